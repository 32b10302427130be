import { readFileSync } from 'node:fs';
import { load } from 'js-yaml';
import t from 'tap';
import {
  preempts,
  withAdvertisementInterval,
  withOtherWeight,
  withPreemption,
} from '../../../src/drill/lab/lab-config.js';
import {
  cableBatch,
  hostBatch,
  hostSysctls,
  isolationBatch,
  needsTunnel,
  plugBatch,
  switchBatch,
  switchPort,
  unplugBatch,
} from '../../../src/drill/lab/lab-plan.js';
import { type Host, TOPOLOGIES, TOPOLOGY_NAMES } from '../../../src/drill/lab/topology.js';
import {
  lackingForHealth,
  lackingForPair,
  roleOf,
  timersOf,
  virtualAddresses,
} from '../../../src/drill/scenarios/readiness.js';
import { instanceSettings } from '../../../src/planning/settings.js';
import type { DirectorStatus, InstanceStatus } from '../../../src/runtime/status.js';
import { vrrpInstance } from '../vrrp/instances.js';

function hostOf(topology: keyof typeof TOPOLOGIES, name: string): Host {
  const host = TOPOLOGIES[topology].hosts.find((one) => one.name === name);
  if (host === undefined) throw new Error(`${topology} has no ${name}`);
  return host;
}

const pidOf = (host: string): number => host.length;

await t.test('every cable has one switch port, and the ports of a network one switch', async (t) => {
  for (const name of TOPOLOGY_NAMES) {
    const topology = TOPOLOGIES[name];
    const lines = switchBatch(topology, pidOf);
    const cables = topology.hosts.flatMap((host) => host.cables.map((cable) => ({ host, cable })));
    for (const { host, cable } of cables) {
      const port = switchPort(host, cable);
      t.ok(
        lines.includes(`link add ${port} type veth peer name ${cable.interface} netns ${pidOf(host.name)}`),
        port,
      );
      t.ok(lines.includes(`link set ${port} master ${cable.network} up`));
    }
    t.equal(
      new Set(cables.map(({ host, cable }) => switchPort(host, cable))).size,
      cables.length,
      'names are unique',
    );
  }
});

await t.test(
  'a real server behind NAT goes out by the DIP, one under DR is silent about the VIP',
  async (t) => {
    const behindNat = hostOf('nat', 'rs1');
    const underDr = hostOf('dr', 'rs1');
    const tunnelled = hostOf('tun', 'rs1');
    t.equal(hostBatch(behindNat).at(-1), 'route add default via 10.10.10.1');
    t.match(hostBatch(underDr), ['link set lo up', 'addr add 192.168.79.129/24 brd + dev eth0']);
    t.ok(hostBatch(underDr).includes('addr add 192.168.79.180/32 dev lo'));
    t.ok(hostSysctls(underDr).includes('net.ipv4.conf.lo.arp_ignore=1'));
    t.ok(hostSysctls(tunnelled).includes('net.ipv4.conf.tunl0.rp_filter=0'));
    t.equal(needsTunnel(TOPOLOGIES.tun), true);
    t.equal(needsTunnel(TOPOLOGIES.dr), false);
  },
);

await t.test('both families, where a topology has them', async (t) => {
  const server = hostBatch(hostOf('services', 'rs1'));
  t.ok(server.includes('addr add fd00::2/64 dev eth0 nodad'));
  t.same(server.slice(-2), ['route add default via 10.10.10.1', 'route add default via fd00::1']);
  const client = hostBatch(hostOf('services', 'client'));
  t.ok(client.includes('addr add 2001:db8:1::2/64 dev eth0 nodad'));
  t.ok(client.includes('addr add 192.168.1.28/24 dev eth0'), 'many clients on one host');
  t.notMatch(hostBatch(hostOf('nat', 'rs1')).join(), /::/);
});

await t.test('services and marks are those of the configuration', async (t) => {
  const { hosts, services = {} } = TOPOLOGIES.services;
  const text = readFileSync(new URL('../../../../config/services.yaml', import.meta.url), 'utf8');
  const { ipv6, persistent, sorry, udp } = services;
  for (const address of [ipv6, persistent?.address]) {
    t.ok(text.includes(`${address}/`), `VIP ${address}`);
  }
  for (const port of [udp?.port, sorry?.port]) {
    t.ok(text.includes(`port: ${port}\n`), `port ${port}`);
  }
  for (const { nftables = '' } of hosts.filter((host) => host.role === 'director')) {
    const comment = nftables.split('\n').map((line) => `#       ${line}`);
    t.ok(text.includes(comment.join('\n')), 'the marks that a user is told to set');
  }
  t.ok(text.includes('sorry_server: { address: 10.10.10.9, port: 80 }'));
  t.equal(hosts.find((host) => host.name === sorry?.server)?.cables[0]?.address, '10.10.10.9/24');
});

await t.test('power is all cables at once', async (t) => {
  const director = hostOf('nat', 'lb1');
  t.same(cableBatch(director ?? t.fail(), 'down'), [
    'link set lb1-outside nomaster',
    'link set lb1-inside nomaster',
    'link set lb1-outside down',
    'link set lb1-inside down',
  ]);
  t.same(cableBatch(director ?? t.fail(), 'up'), [
    'link set lb1-outside master outside up',
    'link set lb1-inside master inside up',
  ]);
});

await t.test('an interface name the kernel could not take is refused', async (t) => {
  const host = { name: 'a-very-long-name', role: 'client', cables: [] } as const;
  t.throws(() => switchPort(host, { interface: 'eth0', network: 'outside', address: '' }), RangeError);
});

await t.test('the labs have the addresses of the configurations', async (t) => {
  for (const name of TOPOLOGY_NAMES) {
    const topology = TOPOLOGIES[name];
    const text = readFileSync(new URL(`../../../../config/${topology.configFile}`, import.meta.url), 'utf8');
    t.match(text, topology.vip, `${name}: VIP`);
    for (const host of topology.hosts.filter((one) => one.role === 'real-server')) {
      const address = host.cables[0]?.address.split('/')[0] ?? '';
      // Behind a firewall mark real servers have the port that the client asked.
      const marked = topology.services?.persistent?.ports.filter((port) => port !== topology.port) ?? [];
      const ports = [...(host.httpPorts ?? []), ...(host.tcpPorts ?? []), ...(host.udpPorts ?? [])];
      for (const port of ports.filter((one) => !marked.includes(one))) {
        t.match(text, new RegExp(`address: ${address}, port: ${port}\\b`), `${name}: ${address}:${port}`);
      }
    }
  }
});

await t.test('another advertisement interval, and nothing else', async (t) => {
  const text =
    'version: 1\nvrrp:\n  instances:\n    - { name: a, advertisement_interval: 1s }\n    - { name: b }\n';
  t.same(load(withAdvertisementInterval(text, '10ms')), {
    version: 1,
    vrrp: {
      instances: [
        { name: 'a', advertisement_interval: '10ms' },
        { name: 'b', advertisement_interval: '10ms' },
      ],
    },
  });
  t.throws(() => withAdvertisementInterval('version: 1\n', '10ms'), TypeError);
});

function status(
  state: 'master' | 'backup' | 'fault',
  health: 'up' | 'down' | 'unknown' = 'up',
  daemons = 2,
): DirectorStatus {
  const real = {
    address: '10.10.10.2',
    port: 80,
    weight: 1,
    health,
    reason: health === 'down' ? 'refused' : null,
  };
  const instance = (name: string, address: string): InstanceStatus => ({
    name,
    interface: 'eth0',
    virtual_router_id: 51,
    state,
    priority: 100,
    advertisement_interval_ms: 1000,
    since_s: 1,
    master: null,
    addresses: [address],
    settings: instanceSettings(vrrpInstance()),
    effective_priority: 100,
    faults: [],
    counters: {},
    maintenance: 'off',
    handing_over: false,
  });
  return {
    version: 1,
    director: 'lb1',
    started: '',
    configuration: { path: '/run/x.json', sha256: 'abc' },
    services: { state: 'running', answers: true, pid: 2, restarts: 0, event_loop: null, log: null },
    event_loop: { max_ms: 0, p99_ms: 0 },
    log: { lines_lost: 0, failed_writes: 0, error: null },
    deadline_lateness: { count: 0, max_ms: 0, p99_ms: 0, over_20_ms: 0 },
    sync_groups: [],
    instances: [instance('outside', '192.168.1.253/24'), instance('inside', '10.10.10.1/24')],
    virtual_servers: [
      {
        name: 'web',
        address: '',
        port: 80,
        protocol: 'tcp',
        scheduler: 'rr',
        forwarding: 'nat',
        real_servers: [real],
      },
    ],
    connection_sync: {
      interface: 'eth1',
      id: 51,
      daemons: (['master', 'backup'] as const).slice(0, daemons),
    },
  };
}

await t.test('ready is one master, one backup and every real server up', async (t) => {
  const pair = (lb1: DirectorStatus | undefined, lb2: DirectorStatus | undefined, preempts = false) =>
    lackingForPair(
      new Map([
        ['lb1', lb1],
        ['lb2', lb2],
      ]),
      preempts,
    );
  t.equal(pair(status('master'), status('backup')), undefined);
  t.match(pair(status('master'), status('master')), '2 masters');
  t.match(pair(status('backup'), status('backup')), '0 masters');
  t.match(pair(status('master'), undefined), 'lb2 does not answer');
  t.match(pair(status('master'), status('fault')), 'lb2: outside fault, inside fault');
  t.match(
    pair(status('master'), status('backup', 'down')),
    'lb2: real server 10.10.10.2:80 is down (refused)',
  );
  t.match(pair(status('master', 'unknown'), status('backup')), 'lb1: real server 10.10.10.2:80 is unknown');
  t.match(pair(status('master'), status('backup', 'up', 1)), 'lb2: sync daemons: master');
  const preferred = (state: 'master' | 'backup'): DirectorStatus => {
    const one = status(state);
    return { ...one, instances: one.instances.map((instance) => ({ ...instance, priority: 250 })) };
  };
  t.equal(pair(preferred('master'), status('backup'), true), undefined);
  t.equal(pair(preferred('backup'), status('master')), undefined);
  t.equal(pair(preferred('backup'), status('master'), true), 'lb1 has not taken its role back');
});

await t.test('a director has a role only while its instances agree', async (t) => {
  const both = status('master');
  t.equal(roleOf(both), 'master');
  const [first, ...rest] = both.instances.toReversed();
  t.equal(
    roleOf({
      ...both,
      instances: [...rest, ...(first === undefined ? [] : [{ ...first, state: 'backup' as const }])],
    }),
    undefined,
  );
  t.equal(roleOf(undefined), undefined);
});

await t.test('a real server is out when every director says so', async (t) => {
  const of = (first: 'up' | 'down', second: 'up' | 'down') =>
    lackingForHealth(
      new Map([
        ['lb1', status('master', first)],
        ['lb2', status('backup', second)],
      ]),
      ['fd00::2', '10.10.10.2'],
      'down',
    );
  t.equal(of('down', 'down'), undefined);
  t.match(of('down', 'up'), 'lb2: 10.10.10.2:80 is up');
  t.same(virtualAddresses(status('master')), ['192.168.1.253', '10.10.10.1']);
  t.same(timersOf(status('master')), { intervalMs: 1000, priority: 100 });
});

await t.test('whether the preferred director takes its role back', async (t) => {
  const file = (...instances: string[]): string =>
    `vrrp:\n  instances:\n${instances.map((one) => `    - { ${one} }\n`).join('')}`;
  t.ok(preempts(file('name: a', 'name: b, preempt: { after: synced }')));
  t.notOk(preempts(file('name: a', 'name: b, preempt: false')), 'all of a group have to');
});

await t.test('preemption where there is none, and as the file has it otherwise', async (t) => {
  const text =
    'vrrp:\n  instances:\n    - { name: a, preempt: false }\n    - { name: b, preempt: { after: synced } }\n';
  t.same(load(withPreemption(text)), {
    vrrp: {
      instances: [
        { name: 'a', preempt: true },
        { name: 'b', preempt: { after: 'synced' } },
      ],
    },
  });
});

await t.test('a reload that has something to do', async (t) => {
  const text = `virtual_servers:
    - { name: web, real_servers: [{ address: 10.0.0.2, weight: 1 }, { address: 10.0.0.3, weight: 1 }] }
    - { name: other, real_servers: [{ address: 10.0.0.2 }] }`;
  t.same(load(withOtherWeight(text, 3)), {
    virtual_servers: [
      {
        name: 'web',
        real_servers: [
          { address: '10.0.0.2', weight: 1 },
          { address: '10.0.0.3', weight: 3 },
        ],
      },
      { name: 'other', real_servers: [{ address: '10.0.0.2' }] },
    ],
  });
  t.throws(() => withOtherWeight('version: 1\n', 3), TypeError);
});

await t.test('a host that boots gets the cables that it had', async (t) => {
  const lb1 = hostOf('nat', 'lb1');
  const all = switchBatch(TOPOLOGIES.nat, () => 7);
  const plugged = plugBatch(lb1, 7);
  t.equal(plugged.length, 4);
  t.ok(plugged.every((line) => all.includes(line)));
  t.same(unplugBatch(lb1), ['link del lb1-outside', 'link del lb1-inside']);
  t.same(isolationBatch([lb1], true), [
    'link set lb1-outside type bridge_slave isolated on',
    'link set lb1-inside type bridge_slave isolated on',
  ]);
});
