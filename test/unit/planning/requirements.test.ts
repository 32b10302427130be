import t from 'tap';
import { type ConnectionSync, type DirectorConfig, NO_IPVS_SETTINGS } from '../../../src/config/model.js';
import { type Forwarding } from '../../../src/config/model-servers.js';
import {
  dispensableSysctl,
  hasIpvsSettings,
  requiredSyncDaemons,
  requiredSysctls,
} from '../../../src/planning/requirements.js';
import { realServer, virtualServer } from '../config/servers.js';
import { directorConfig, vrrpInstance } from '../vrrp/instances.js';

function config(
  forwarding: readonly Forwarding[],
  connectionSync?: ConnectionSync,
  interfaces: readonly string[] = ['eth0'],
): DirectorConfig {
  return directorConfig({
    instances: interfaces.map((name, i) =>
      vrrpInstance({
        name: `i${i}`,
        interface: name,
        virtualRouterId: i + 1,
        addresses: [{ address: `192.0.2.${i + 1}`, prefixLength: 24, interface: name }],
      }),
    ),
    connectionSync,
    virtualServers: forwarding.map((method, i) =>
      virtualServer({
        name: `s${i}`,
        service: { protocol: 'tcp', address: '192.0.2.1', port: 80 + i },
        realServers: [realServer('10.0.0.2', { forwarding: method })],
      }),
    ),
  });
}

const PROMOTING: [string, string][] = [['net.ipv4.conf.eth0.promote_secondaries', '1']];
/** Of every director with virtual servers. */
const BALANCING: [string, string][] = [
  ...PROMOTING,
  ['net.ipv4.vs.expire_nodest_conn', '1'],
  ['net.ipv4.vs.expire_quiescent_template', '1'],
];

function sysctls(...args: Parameters<typeof config>): [string, string][] {
  return [...requiredSysctls(config(...args))];
}

const VIP = { address: '192.0.2.9', prefixLength: 24 };
const VIP6 = { address: '2001:db8::9', prefixLength: 64 };

void t.test('under a virtual MAC address the parent leaves ARP to the device on top of it', async (t) => {
  const instance = (name: string, changes: Parameters<typeof vrrpInstance>[0]) =>
    vrrpInstance({ name, interface: name, virtualMacInterface: `vrrp.${name}`, ...changes });
  const instances = [
    instance('eth0.100', { addresses: [{ ...VIP, interface: 'vrrp.eth0.100' }] }),
    instance('eth1', { family: 'ipv6', addresses: [{ ...VIP6, interface: 'vrrp.eth1' }] }),
    instance('eth2', { virtualMacInterface: undefined, addresses: [{ ...VIP, interface: 'eth2' }] }),
  ];
  t.same(
    [...requiredSysctls(directorConfig({ instances }))],
    [
      ['net.ipv4.conf.eth0/100.arp_ignore', '1'],
      ['net.ipv4.conf.eth0/100.arp_announce', '2'],
      ['net.ipv4.conf.eth2.promote_secondaries', '1'],
    ],
    'the device on top comes later',
  );
});

void t.test('plain VRRP asks for nothing but that other IPv4 addresses survive', async (t) => {
  t.strictSame(sysctls([], undefined, ['eth0', 'eth0.100', 'eth0']), [
    ['net.ipv4.conf.eth0.promote_secondaries', '1'],
    ['net.ipv4.conf.eth0/100.promote_secondaries', '1'],
  ]);
  const addresses = [
    { ...VIP6, interface: 'eth1' },
    { ...VIP, interface: 'eth2' },
  ];
  t.strictSame(
    [...requiredSysctls(directorConfig({ instances: [vrrpInstance({ addresses })] }))],
    [['net.ipv4.conf.eth2.promote_secondaries', '1']],
    'where the addresses are, which need not be where VRRP is spoken',
  );
  const plain = config([]);
  t.ok(dispensableSysctl('net.ipv4.conf.eth0.promote_secondaries', plain), 'it can do without');
  t.notOk(dispensableSysctl('net.ipv4.ip_forward', plain));
  t.strictSame(requiredSyncDaemons(config([])), []);
});

void t.test('settings of IPVS: the operator has the last word', async (t) => {
  const { timeouts } = NO_IPVS_SETTINGS;
  const own = { ...NO_IPVS_SETTINGS, sysctls: { sync_threshold: '3 50', conntrack: '1' } };
  const wanted = requiredSysctls({ ...config(['tun'], { interface: 'eth0', id: 1 }), ipvs: own });
  t.equal(wanted.get('net.ipv4.vs.sync_threshold'), '3 50');
  t.equal(wanted.get('net.ipv4.vs.conntrack'), '1');
  t.ok(dispensableSysctl('net.ipv4.vs.conntrack', { ipvs: own }), 'a kernel that refuses it is no fault');
  t.notOk(dispensableSysctl('net.ipv4.vs.sync_version', { ipvs: own }));
  t.ok(hasIpvsSettings(own));
  t.ok(hasIpvsSettings({ ...NO_IPVS_SETTINGS, timeouts: { ...timeouts, udpSeconds: 5 } }));
  t.ok(hasIpvsSettings({ ...NO_IPVS_SETTINGS, exclusive: true }));
  t.notOk(hasIpvsSettings({ ...NO_IPVS_SETTINGS, timeouts: { ...timeouts } }));
});

void t.test('nat routes and sends no redirects, dr sends no redirects, tun needs neither', async (t) => {
  const redirects: [string, string][] = [
    ['net.ipv4.conf.all.send_redirects', '0'],
    ['net.ipv4.conf.eth0.send_redirects', '0'],
  ];
  const forward = ['net.ipv4.ip_forward', '1'];
  t.strictSame(sysctls(['nat']), [forward, ...redirects, ...BALANCING]);
  t.strictSame(sysctls(['dr']), [...redirects, ...BALANCING]);
  t.strictSame(sysctls(['tun']), BALANCING);
  t.strictSame(sysctls(['tun', 'nat']), [forward, ...redirects, ...BALANCING]);
});

void t.test('each interface once, a VLAN in the words of sysctl(8)', async (t) => {
  const keys = sysctls(['dr'], undefined, ['eth0', 'eth0.100', 'eth0']).map(([key]) => key);
  t.strictSame(keys, [
    'net.ipv4.conf.all.send_redirects',
    'net.ipv4.conf.eth0.send_redirects',
    'net.ipv4.conf.eth0/100.send_redirects',
    'net.ipv4.conf.eth0.promote_secondaries',
    'net.ipv4.conf.eth0/100.promote_secondaries',
    ...BALANCING.slice(1).map(([key]) => key),
  ]);
});

void t.test('an interface that only carries an address counts, too', async (t) => {
  const base = config(['dr']);
  const instances = base.instances.map((instance) => ({
    ...instance,
    addresses: [{ address: '10.0.0.1', prefixLength: 24, interface: 'eth1' }],
  }));
  t.ok(requiredSysctls({ ...base, instances }).has('net.ipv4.conf.eth1.send_redirects'));
});

void t.test('a virtual MAC device has settings of its own: it is not there yet', async (t) => {
  const base = config(['nat']);
  const device = 'vrrp4-51-eth0';
  const instances = base.instances.map((instance) => ({
    ...instance,
    virtualMacInterface: device,
    addresses: [{ address: '10.0.0.1', prefixLength: 24, interface: device }],
  }));
  const keys = [...requiredSysctls({ ...base, instances }).keys()];
  t.strictSame(
    keys.filter((key) => key.includes(device)),
    [],
  );
  t.ok(keys.includes('net.ipv4.conf.eth0.send_redirects'));
});

void t.test('connection sync: both daemons, and connections are told by time', async (t) => {
  const sync = { interface: 'eth1', id: 51 };
  t.strictSame(sysctls([], sync), [
    ...PROMOTING,
    ['net.ipv4.vs.sync_version', '1'],
    ['net.ipv4.vs.sync_refresh_period', '10'],
    ['net.ipv4.vs.sync_retries', '3'],
    ['net.ipv4.vs.sync_threshold', '2 0'],
    ['net.ipv4.vs.sync_sock_size', '8388608'],
  ]);
  t.strictSame(requiredSyncDaemons(config([], sync)), [
    { state: 'master', interface: 'eth1', syncid: 51 },
    { state: 'backup', interface: 'eth1', syncid: 51 },
  ]);
});
