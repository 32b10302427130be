import t from 'tap';
import type { DirectorConfig, VrrpInstance } from '../../../src/config/model.js';
import type { VirtualServer } from '../../../src/config/model-servers.js';
import type { DumpedService } from '../../../src/ipvs/model.js';
import { wholeServices } from '../../../src/planning/desired.js';
import { type Present, preview, type RunningInstance } from '../../../src/planning/preview.js';
import { requiredSysctls } from '../../../src/planning/requirements.js';
import { instanceSettings } from '../../../src/planning/settings.js';
import { sourceNatRuleset } from '../../../src/planning/source-nat.js';
import { onPort, realServer, virtualServer } from '../config/servers.js';
import { directorConfig, virtualRoute, virtualRule, vrrpInstance } from '../vrrp/instances.js';

function instance(name: string, virtualRouterId: number): VrrpInstance {
  return vrrpInstance({
    name,
    virtualRouterId,
    priority: 150,
    addresses: [{ address: `192.0.2.${virtualRouterId}`, prefixLength: 24, interface: 'eth0' }],
  });
}

const WEB = virtualServer({
  realServers: [realServer('10.0.0.2'), realServer('10.0.0.3', { port: 8000, weight: 2 })],
});

const OUTSIDE = instance('outside', 51);
const INSIDE = instance('inside', 52);
const PLAIN: DirectorConfig = directorConfig({ instances: [OUTSIDE] });
const WITH_WEB: DirectorConfig = { ...PLAIN, virtualServers: [WEB] };
const PAIR: DirectorConfig = {
  ...PLAIN,
  instances: [OUTSIDE, INSIDE],
  syncGroups: [{ name: 'pair', instances: ['outside', 'inside'], track: [] }],
};

function running(config: VrrpInstance, state = 'master'): RunningInstance {
  return {
    name: config.name,
    interface: config.interface,
    virtual_router_id: config.virtualRouterId,
    priority: config.priority,
    state,
    advertisement_interval_ms: config.advertisementIntervalMs,
    addresses: config.addresses.map((a) => `${a.address}/${a.prefixLength}`),
    settings: instanceSettings(config),
  };
}

/** As systemd sets it on every interface. */
const PROMOTING: ReadonlyMap<string, string> = new Map([
  ['net.ipv4.conf.eth0.promote_secondaries', '1'],
  ['net.ipv4.conf.eth1.promote_secondaries', '1'],
]);

/** A kernel with nothing of ours, and no daemon. */
const NOTHING: Present = {
  services: [],
  owned: new Set(),
  sourceNat: undefined,
  daemons: [],
  timeouts: { tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 300 },
  timeoutsBefore: undefined,
  ownDaemons: [],
  sysctls: PROMOTING,
  sysctlsBefore: new Map(),
  instances: undefined,
  syncGroups: [],
  serves: () => true,
  weight: () => undefined,
};

function dumped(servers: readonly VirtualServer[]): DumpedService[] {
  return wholeServices(servers).map((service) => ({
    ...service,
    destinations: service.destinations.map((destination) => ({
      ...destination,
      activeConnections: 0,
      inactiveConnections: 0,
      persistentConnections: 0,
    })),
  }));
}

function texts(config: DirectorConfig, present: Partial<Present>): string[] {
  return preview(config, requiredSysctls(config), { ...NOTHING, ...present }).map((change) => change.text);
}

void t.test('a first start', async (t) => {
  const sysctls = new Map([
    ['net.ipv4.ip_forward', '0'],
    ['net.ipv4.conf.all.send_redirects', '0'],
    ['net.ipv4.conf.eth0.send_redirects', '1'],
    ['net.ipv4.conf.eth0.promote_secondaries', '0'],
  ]);
  t.strictSame(texts(WITH_WEB, { sysctls }), [
    "sysctl -w net.ipv4.ip_forward='1' (is 0)",
    "sysctl -w net.ipv4.conf.eth0.send_redirects='0' (is 1)",
    "sysctl -w net.ipv4.conf.eth0.promote_secondaries='1' (is 0)",
    "sysctl -w net.ipv4.vs.expire_nodest_conn='1' (IPVS not loaded)",
    "sysctl -w net.ipv4.vs.expire_quiescent_template='1' (IPVS not loaded)",
    'ipvsadm -A -t 192.0.2.51:80 -s rr',
    'ipvsadm -a -t 192.0.2.51:80 -r 10.0.0.2:80 -m -w 1',
    'ipvsadm -a -t 192.0.2.51:80 -r 10.0.0.3:8000 -m -w 2',
    'vrrp outside: start on eth0 as virtual router 51',
  ]);
});

void t.test('nothing to change', async (t) => {
  const sysctls = requiredSysctls(WITH_WEB);
  t.strictSame(texts(WITH_WEB, { sysctls, services: dumped([WEB]), instances: [running(OUTSIDE)] }), []);
  t.strictSame(
    texts(PAIR, { instances: PAIR.instances.map((i) => running(i)), syncGroups: PAIR.syncGroups }),
    [],
  );
});

void t.test('IPVS: what is unhealthy or bound to another master is not there, strangers stay', async (t) => {
  const sysctls = requiredSysctls(WITH_WEB);
  const instances = [running(OUTSIDE, 'backup')];
  const only = { sysctls, instances };
  const down = texts(WITH_WEB, { ...only, serves: (_, { address }) => address !== '10.0.0.3' });
  t.strictSame(down, [
    'ipvsadm -A -t 192.0.2.51:80 -s rr',
    'ipvsadm -a -t 192.0.2.51:80 -r 10.0.0.2:80 -m -w 1',
  ]);

  const served = dumped([WEB]);
  const asked = texts(WITH_WEB, {
    ...only,
    services: served,
    weight: (_, { address }) => (address === '10.0.0.3' ? 7 : undefined),
  });
  t.strictSame(asked, ['ipvsadm -e -t 192.0.2.51:80 -r 10.0.0.3:8000 -m -w 7'], 'what a check asks for');

  const bound = { ...WITH_WEB, virtualServers: [{ ...WEB, vrrpInstance: 'outside' }] };
  t.strictSame(texts(bound, only), [], 'a backup has no bound server');
  t.ok(texts(bound, { sysctls, instances: [running(OUTSIDE)] }).length > 0, 'a master has');

  const services = dumped([WEB, onPort(WEB, 443)]);
  t.strictSame(texts(WITH_WEB, { ...only, services }), [], "another's server is not touched");
  const owned = new Set(['tcp 192.0.2.51:443']);
  t.strictSame(texts(WITH_WEB, { ...only, services, owned }), ['ipvsadm -D -t 192.0.2.51:443']);
  const exclusive = { ...WITH_WEB, ipvs: { ...WITH_WEB.ipvs, exclusive: true } };
  t.ok(texts(exclusive, { ...only, services }).includes('ipvsadm -D -t 192.0.2.51:443'), 'whoever made it');
});

void t.test('sysctls: lists by value, a kernel without IPVS, and those no longer wanted', async (t) => {
  const config = { ...PLAIN, connectionSync: { interface: 'eth1', id: 7 } };
  const instances = [running(OUTSIDE)];
  const daemons = [
    { state: 'master', interface: 'eth1', syncid: 7 },
    { state: 'backup', interface: 'eth1', syncid: 7 },
  ] as const;
  const wanted = requiredSysctls(config);
  // The kernel prints lists with tabs.
  const sysctls = new Map([...wanted].map(([key, value]) => [key, value.replace(' ', '\t')]));
  t.ok(
    [...sysctls.values()].some((value) => value.includes('\t')),
    'there is a list',
  );
  t.strictSame(texts(config, { instances, daemons, sysctls }), []);
  t.strictSame(
    texts(config, { instances, daemons }),
    [...wanted]
      .filter(([key]) => !PROMOTING.has(key))
      .map(([key, value]) => `sysctl -w ${key}='${value}' (IPVS not loaded)`),
  );
  t.strictSame(
    texts(PLAIN, { instances, sysctls: new Map() }),
    ["sysctl -w net.ipv4.conf.eth0.promote_secondaries='1' (not there)"],
    'an interface that is not there has none',
  );
  const sysctlsBefore = new Map([['net.ipv4.vs.sync_threshold', '3\t50']]);
  const before = {
    instances,
    sysctls: new Map([...PROMOTING, ['net.ipv4.vs.sync_threshold', '2\t9']]),
    sysctlsBefore,
  };
  t.strictSame(texts(PLAIN, before), [
    "sysctl -w net.ipv4.vs.sync_threshold='3 50' (is 2 9; its value from before the director)",
  ]);
});

void t.test('sync daemons: ours start, what is in the way or no longer wanted stops', async (t) => {
  const config = { ...PLAIN, connectionSync: { interface: 'eth1', id: 7 } };
  const only = { instances: [running(OUTSIDE)], sysctls: requiredSysctls(config) };
  const start = (state: string) => `ipvsadm --start-daemon ${state} --mcast-interface eth1 --syncid 7`;
  t.strictSame(texts(config, only), [start('master'), start('backup')]);

  const other = { state: 'master', interface: 'eth0', syncid: 1 } as const;
  t.strictSame(texts(config, { ...only, daemons: [other] }), [
    'ipvsadm --stop-daemon master',
    start('master'),
    start('backup'),
  ]);
  t.strictSame(texts(PLAIN, { ...only, daemons: [other] }), [], "a stranger's daemon in nobody's way");
  t.strictSame(texts(PLAIN, { ...only, daemons: [other], ownDaemons: [other] }), [
    'ipvsadm --stop-daemon master',
  ]);
});

void t.test('VRRP: settings that a running master takes over', async (t) => {
  const changed: VrrpInstance = {
    ...OUTSIDE,
    priority: 90,
    advertisementIntervalMs: 100,
    addresses: [{ address: '192.0.2.99', prefixLength: 32, interface: 'eth0' }],
  };
  t.strictSame(texts({ ...PLAIN, instances: [changed] }, { instances: [running(OUTSIDE)] }), [
    'vrrp outside: priority 150 -> 90',
    'vrrp outside: advertisement interval 1000 ms -> 100 ms',
    'vrrp outside: add 192.0.2.99/32',
    'vrrp outside: remove 192.0.2.51/24',
  ]);
});

void t.test('VRRP: every other setting, by its name', async (t) => {
  const cases: readonly (readonly [Partial<VrrpInstance>, ...string[]])[] = [
    [{ version: 2 }, 'VRRP version 3 -> 2'],
    [{ checksum: 'rfc9568' }, 'checksum rfc5798 -> rfc9568'],
    [{ preempt: { mode: 'always', delayMs: 0 } }, 'preempt never -> always'],
    [{ preempt: { mode: 'always', delayMs: 30_000 } }, 'preempt never -> after 30000 ms'],
    [
      { preempt: { mode: 'synced', delayMs: 0, atMostMs: 60_000 } },
      'preempt never -> after synced, at most 60000 ms',
    ],
    [
      { preempt: { mode: 'synced', delayMs: 1000, atMostMs: 60_000 } },
      'preempt never -> after 1000 ms and synced, at most 60000 ms',
    ],
    [{ startupDelayMs: 5 }, 'start-up delay (ms) 0 -> 5'],
    [{ acceptMode: false }, 'accept mode on -> off'],
    [{ virtualMacInterface: 'vrrp4-51' }, 'virtual MAC interface none -> vrrp4-51'],
    [
      { transport: { kind: 'unicast', local: '10.0.0.1', peers: ['10.0.0.2', '10.0.0.3'], minTtl: 255 } },
      'transport multicast -> unicast from 10.0.0.1 to 10.0.0.2, 10.0.0.3',
    ],
    [
      { transport: { kind: 'unicast', local: '10.0.0.1', peers: ['10.0.0.2'], minTtl: 254 } },
      'transport multicast -> unicast from 10.0.0.1 to 10.0.0.2 with a TTL of 254 or more',
    ],
    [
      { transport: { kind: 'udp', port: 8112, local: undefined, peers: [] } },
      'transport multicast -> udp port 8112 by multicast',
    ],
    [
      { transport: { kind: 'udp', port: 8112, local: '10.0.0.1', peers: ['10.0.0.2'] } },
      'transport multicast -> udp port 8112 from 10.0.0.1 to 10.0.0.2',
    ],
    [
      { announcing: { repeatMs: [], refreshMs: 60_000 } },
      'announcements repeated after (ms) 100, 1000, 5000 -> none',
      'announcements refreshed every (ms) none -> 60000',
    ],
    [{ track: [{ object: 'uplink', weight: undefined }] }, 'track uplink'],
    [{ track: [{ object: 'web', weight: -30 }] }, 'track web weight -30'],
    [
      {
        routes: [
          virtualRoute({ via: '192.0.2.9', source: '192.0.2.51', metric: 5 }),
          virtualRoute({
            type: 'blackhole',
            table: 7,
            destination: '10.0.0.0',
            prefixLength: 8,
            interface: undefined,
          }),
        ],
      },
      'add route default via 192.0.2.9 dev eth0 src 192.0.2.51 metric 5',
      'add route blackhole 10.0.0.0/8 table 7',
    ],
    [
      {
        rules: [
          virtualRule({ from: { address: '10.0.0.0', prefixLength: 8 }, fwmark: { mark: 7, mask: 0xff } }),
        ],
      },
      'add rule priority 1000 from 10.0.0.0/8 fwmark 0x7/0xff table 100',
    ],
  ];
  for (const [change, ...expected] of cases) {
    const changed = vrrpInstance({ ...OUTSIDE, ...change });
    const config = { ...PLAIN, instances: [changed] };
    const sysctls = requiredSysctls(config);
    const forth = texts(config, { instances: [running(OUTSIDE)], sysctls });
    t.strictSame(
      forth,
      expected.map((text) => `vrrp outside: ${text}`),
    );
    t.strictSame(texts(config, { instances: [running(changed)], sysctls }), []);
    const back = texts(PLAIN, { instances: [running(changed)] });
    t.equal(back.length, expected.length, `and back: ${back.join()}`);
  }
  const earlier = { ...running(OUTSIDE), settings: undefined };
  const changed = vrrpInstance({ ...OUTSIDE, version: 2 });
  t.strictSame(
    texts({ ...PLAIN, instances: [changed] }, { instances: [earlier] }),
    [],
    'not known, not told',
  );
});

void t.test('VRRP: what moves into the advertisement or out of it, and its order', async (t) => {
  const addresses = ['192.0.2.1', '192.0.2.2', '192.0.2.3'].map((address) => ({
    address,
    prefixLength: 24,
    interface: 'eth0',
  }));
  const before = { ...OUTSIDE, addresses, advertised: ['192.0.2.1', '192.0.2.2'] };
  const change = (advertised: readonly string[]) =>
    texts({ ...PLAIN, instances: [{ ...before, advertised }] }, { instances: [running(before)] });
  t.strictSame(change(['192.0.2.1', '192.0.2.3']), [
    'vrrp outside: advertise 192.0.2.3',
    'vrrp outside: no longer advertise 192.0.2.2',
  ]);
  t.strictSame(change(['192.0.2.2', '192.0.2.1']), [
    'vrrp outside: advertise in another order: 192.0.2.2, 192.0.2.1',
  ]);
});

void t.test('VRRP: what a sync group tracks', async (t) => {
  const instances = PAIR.instances.map((i) => running(i));
  const track = [{ object: 'uplink', weight: undefined }];
  const tracking = { ...PAIR, syncGroups: [{ name: 'pair', instances: ['outside', 'inside'], track }] };
  t.strictSame(texts(tracking, { instances, syncGroups: PAIR.syncGroups }), [
    'vrrp outside: with its group track uplink',
    'vrrp inside: with its group track uplink',
  ]);
  const told = [{ name: 'pair', instances: ['outside', 'inside'], track: [{ object: 'uplink' }] }];
  t.strictSame(texts(tracking, { instances, syncGroups: told }), [], 'as JSON has it');
  t.strictSame(texts(PAIR, { instances, syncGroups: told }), [
    'vrrp outside: with its group no longer track uplink',
    'vrrp inside: with its group no longer track uplink',
  ]);
});

void t.test('VRRP: what costs an election is told, and what does not', async (t) => {
  const instances = PAIR.instances.map((i) => running(i));
  const { syncGroups } = PAIR;
  const outside = { ...OUTSIDE, virtualRouterId: 53 };
  t.strictSame(
    texts({ ...PAIR, instances: [outside, INSIDE] }, { instances, syncGroups }),
    [
      'vrrp outside: stop, its sync group goes on, then start on eth0 as virtual router 53',
      'vrrp inside: goes on, its sync group changes',
    ],
    'the other member does not go along',
  );
  t.strictSame(
    texts({ ...PAIR, syncGroups: [], instances: [outside, INSIDE] }, { instances }),
    ['vrrp outside: hand over and stop, then start on eth0 as virtual router 53'],
    'alone it hands over',
  );
  t.strictSame(texts({ ...PAIR, syncGroups: [] }, { instances, syncGroups }), [
    'vrrp outside: goes on, its sync group changes',
    'vrrp inside: goes on, its sync group changes',
  ]);
  t.strictSame(
    texts(PLAIN, { instances }),
    ['vrrp inside: hand over and stop'],
    'alone, it concerns no other',
  );
  t.strictSame(texts(PLAIN, { instances, syncGroups }), [
    'vrrp outside: goes on, its sync group changes',
    'vrrp inside: stop, its sync group goes on',
  ]);
  t.strictSame(texts({ ...PLAIN, instances: [{ ...OUTSIDE, name: 'front' }] }, { instances }), [
    'vrrp front: goes on, renamed from outside',
    'vrrp inside: hand over and stop',
  ]);
});

void t.test('timeouts: what the file says, and back to what was before', async (t) => {
  const only = { instances: [running(OUTSIDE)] };
  const ipvs = {
    timeouts: { tcpSeconds: 0, tcpFinSeconds: 0, udpSeconds: 30 },
    sysctls: {},
    exclusive: false,
  };
  t.strictSame(texts({ ...PLAIN, ipvs }, only), ['ipvsadm --set 900 120 30']);
  const timeouts = { tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 30 };
  const timeoutsBefore = { ...timeouts, udpSeconds: 300 };
  t.strictSame(texts({ ...PLAIN, ipvs }, { ...only, timeouts, timeoutsBefore }), []);
  t.strictSame(texts(PLAIN, { ...only, timeouts, timeoutsBefore }), ['ipvsadm --set 900 120 300']);
  t.strictSame(texts(PLAIN, { ...only, timeouts }), [], 'those of somebody else stay');
});

void t.test('the source translation: told by the name of its chain', async (t) => {
  const only = { instances: [running(OUTSIDE)] };
  const masquerades = [{ source: '10.10.10.0/24', interface: 'eth0', snatAddress: undefined }];
  const config = { ...PLAIN, masquerades };
  const isNft = (text: string) => text.startsWith('nft');
  t.same(texts(config, only).filter(isNft), ['nft: add table inet lvs_director_nat (source translation)']);
  const sourceNat = sourceNatRuleset(config);
  t.same(texts(config, { ...only, sourceNat }).filter(isNft), []);
  const other = { ...PLAIN, masquerades: [{ ...masquerades[0], interface: 'eth1' }] } as typeof config;
  t.same(texts(other, { ...only, sourceNat }).filter(isNft), [
    'nft: replace table inet lvs_director_nat (source translation)',
  ]);
  t.same(texts(PLAIN, { ...only, sourceNat }).filter(isNft), [
    'nft: delete table inet lvs_director_nat (source translation)',
  ]);
});
