/** What `vrrp` of the file becomes for each director. */
import t from 'tap';
import type { DirectorConfig, VrrpInstance } from '../../../src/config/model.js';
import { parseConfig } from '../../../src/config/parse.js';
import { virtualMacName } from '../../../src/config/virtual-mac-name.js';
import { virtualRoute, virtualRule } from '../vrrp/instances.js';

function configOf(vrrp: string, name = 'lb1'): DirectorConfig {
  const head = `version: 1
directors: { lb1: { address: 10.0.0.1, priority: 255 }, lb2: { address: 10.0.0.2 }, lb3: { address: 10.0.0.3 } }
virtual_servers:
  - { name: web, address: 10.0.0.9, port: 80, forwarding: nat, real_servers: [{ address: 10.1.0.2 }] }
`;
  const result = parseConfig(head + vrrp, { name });
  if (!result.ok) throw new Error(JSON.stringify(result.faults));
  return result.config;
}

function instanceOf(rest: string, name = 'lb1', more = ''): VrrpInstance {
  const text = `vrrp:\n${more}  instances:\n    - { name: a, interface: eth0, virtual_router_id: 51, ${rest} }\n`;
  const [instance] = configOf(text, name).instances;
  if (instance === undefined) throw new Error('no instance');
  return instance;
}

const V4 = 'addresses: [10.0.0.9/24]';
const V6 =
  'addresses: [2001:DB8::1/64, fe80::0:1/64, { address: 10.0.0.9/24, interface: eth1, advertise: false }]';

void t.test('defaults', async (t) => {
  t.strictSame(instanceOf(V4, 'lb2'), {
    name: 'a',
    interface: 'eth0',
    version: 3,
    family: 'ipv4',
    virtualRouterId: 51,
    priority: 100,
    advertisementIntervalMs: 1000,
    preempt: { mode: 'always', delayMs: 0 },
    startupDelayMs: 0,
    acceptMode: true,
    virtualMacInterface: undefined,
    transport: { kind: 'multicast' },
    checksum: 'rfc5798',
    addresses: [{ address: '10.0.0.9', prefixLength: 24, interface: 'eth0' }],
    advertised: ['10.0.0.9'],
    routes: [],
    rules: [],
    announcing: { repeatMs: [100, 1000, 5000], refreshMs: undefined },
    track: [],
  });
  const config = configOf(
    `vrrp: { instances: [], hooks: [{ command: [/a] }], track: [{ name: f, file: /f }] }`,
  );
  t.strictSame(config.hooks, [
    {
      command: ['/a'],
      on: ['master', 'backup', 'fault', 'initialize', 'still-master'],
      instances: undefined,
      user: undefined,
      timeoutMs: 10_000,
    },
  ]);
  t.strictSame(config.tracked, [
    { name: 'f', kind: { type: 'file', path: '/f' }, intervalMs: 1000, rise: 1, fall: 1, debounceMs: 0 },
  ]);
});

void t.test('IPv6: canonical, the link-local address in front', async (t) => {
  const instance = instanceOf(V6);
  t.equal(instance.family, 'ipv6');
  t.strictSame(instance.advertised, ['fe80::1', '2001:db8::1']);
  t.strictSame(
    instance.addresses.map((one) => one.address),
    ['2001:db8::1', 'fe80::1', '10.0.0.9'],
    'held in the order of the file',
  );
  const elsewhere = instanceOf(
    'addresses: [{ address: fe80::2/64, interface: eth1 }, 2001:db8::1/64, fe80::1/64]',
  );
  t.strictSame(elsewhere.advertised, ['fe80::1', 'fe80::2', '2001:db8::1'], 'that of its own link');
});

void t.test('the owner preempts', async (t) => {
  t.strictSame(instanceOf(`${V4}, preempt: false`, 'lb1').preempt, { mode: 'always', delayMs: 0 });
  t.strictSame(instanceOf(`${V4}, preempt: false`, 'lb2').preempt, { mode: 'never' });
});

void t.test('preemption', async (t) => {
  const of = (text: string) => instanceOf(`${V4}, preempt: ${text}`, 'lb2').preempt;
  t.strictSame(of('true'), { mode: 'always', delayMs: 0 });
  t.strictSame(of('{ delay: 30s }'), { mode: 'always', delayMs: 30_000 });
  t.strictSame(of('{ after: synced }'), { mode: 'synced', delayMs: 0, atMostMs: 60_000 });
  t.strictSame(of('{ after: synced, at_most: 2m, delay: 1s }'), {
    mode: 'synced',
    delayMs: 1000,
    atMostMs: 120_000,
  });
  t.strictSame(instanceOf(`${V4}, preempt: { after: synced }`, 'lb1').preempt, {
    mode: 'always',
    delayMs: 0,
  });
});

void t.test('start-up delay: the general one, or its own', async (t) => {
  const general = '  startup_delay: 5s\n';
  t.equal(instanceOf(V4, 'lb1', general).startupDelayMs, 5000);
  t.equal(instanceOf(`${V4}, startup_delay: 0s`, 'lb1', general).startupDelayMs, 0);
});

void t.test('addresses have a lifetime unless the file says otherwise', async (t) => {
  const permanent = (general: string) => configOf(`vrrp:\n${general}  instances: []\n`).permanentAddresses;
  t.equal(permanent(''), false);
  t.equal(permanent('  permanent_addresses: true\n'), true);
});

void t.test('transports', async (t) => {
  const of = (text: string, name = 'lb2') => instanceOf(`${V4}, transport: ${text}`, name).transport;
  const mapping = '{ lb1: 10.9.0.1, lb2: 10.9.0.2, lb3: 10.9.0.3 }';
  const own = { local: '10.0.0.2', peers: ['10.0.0.1', '10.0.0.3'] };
  const named = { local: '10.9.0.2', peers: ['10.9.0.1', '10.9.0.3'] };
  t.strictSame(of('unicast'), { kind: 'unicast', ...own, minTtl: 255 });
  t.strictSame(of('{ unicast: {}, min_ttl: 7 }'), { kind: 'unicast', ...own, minTtl: 7 });
  t.strictSame(of(`{ unicast: ${mapping} }`), { kind: 'unicast', ...named, minTtl: 255 });
  t.strictSame(of('udp'), { kind: 'udp', port: 8112, local: undefined, peers: [] });
  t.strictSame(of('{ udp: { port: 99 } }'), { kind: 'udp', port: 99, local: undefined, peers: [] });
  t.strictSame(of('{ udp: { peers: {} } }'), { kind: 'udp', port: 8112, ...own });
  t.strictSame(of(`{ udp: { peers: ${mapping} } }`), { kind: 'udp', port: 8112, ...named });
});

void t.test(
  'a virtual MAC address: a device of its own, with the addresses and routes of the interface',
  async (t) => {
    const routes =
      'routes: [{ to: default, via: 10.0.0.254 }, { to: 192.0.2.0/24, interface: eth0, metric: 7 }]';
    const addresses =
      'addresses: [10.0.0.9/24, { address: 10.7.0.9/24, interface: { lb1: eth7, lb2: eth0, lb3: x } }]';
    const rest = `virtual_mac: true, ${addresses}, ${routes}`;
    const [lb1, lb2] = [instanceOf(rest, 'lb1'), instanceOf(rest, 'lb2')];
    t.equal(lb1.interface, 'eth0');
    t.equal(lb1.virtualMacInterface, 'vrrp4-51-eth0');
    t.strictSame(
      lb1.addresses.map((one) => one.interface),
      ['vrrp4-51-eth0', 'eth7'],
    );
    t.strictSame(
      lb2.addresses.map((one) => one.interface),
      ['vrrp4-51-eth0', 'vrrp4-51-eth0'],
    );
    t.strictSame(lb1.routes, [
      virtualRoute({ via: '10.0.0.254', interface: 'vrrp4-51-eth0' }),
      virtualRoute({ destination: '192.0.2.0', prefixLength: 24, metric: 7 }),
    ]);
  },
);

void t.test('devices are named by VRID and interface alone, and fit IFNAMSIZ', async (t) => {
  const one = (name: string, device: string, address: string) =>
    `    - { name: ${name}, interface: ${device}, virtual_router_id: 255, virtual_mac: true, addresses: [${address}] }\n`;
  const many = Array.from({ length: 254 }, (_, n) => one(`i${n}`, `e${n}`, `10.3.${n}.1/32`)).join('');
  const { instances } = configOf(`vrrp:\n  instances:\n${many}${one('six', 'e1', 'fe80::1/64')}`);
  const names = instances.map(({ virtualMacInterface }) => virtualMacInterface ?? '');
  t.strictSame(names.slice(0, 3), ['vrrp4-255-e0', 'vrrp4-255-e1', 'vrrp4-255-e2']);
  t.equal(names.at(-1), 'vrrp6-255-e1');
  t.equal(new Set(names).size, 255);
  // The second without the first has its name all the same: a reload that removes one leaves the other alone.
  const second = configOf(`vrrp:\n  instances:\n${one('i1', 'e1', '10.3.1.1/32')}`).instances[0];
  t.equal(second?.virtualMacInterface, 'vrrp4-255-e1');
  t.match(
    virtualMacName('ipv4', 255, 'enp65s0f0np0'),
    /^vrrp4-255-[0-9a-z]{5}$/,
    'where the whole is too long',
  );
  t.not(virtualMacName('ipv4', 255, 'enp65s0f0np0'), virtualMacName('ipv4', 255, 'enp65s0f1np1'));
  t.ok(names.every((name) => name.length <= 15));
});

void t.test('routes: `default` is of the family of its next hop, its source, or the instance', async (t) => {
  const { routes } = instanceOf(
    `${V6}, routes: [{ to: default }, { to: default, via: 10.0.0.8 }, { to: default, source: 10.0.0.9, metric: 1 }, { to: "2001:DB8:1::/48" }]`,
  );
  t.strictSame(
    routes.map((route) => `${route.destination}/${route.prefixLength}`),
    ['::/0', '0.0.0.0/0', '0.0.0.0/0', '2001:db8:1::/48'],
  );
});

void t.test('routes and rules with all they can say', async (t) => {
  const { routes, rules } = instanceOf(
    `addresses: [10.0.0.9/24], routes: [
      { to: 10.1.0.0/16, via: 10.9.0.1, on_link: true, table: 100, scope: link, mtu: 1400, interface: eth9 },
      { to: default, type: blackhole, table: local, metric: 9 }, { to: 10.3.0.0/16, type: local, scope: 7 }], rules: [
      { priority: 5, from: 10.0.0.0/8, to: 10.9.0.0/16, table: 100, not: true, fwmark: 0x10/0xf0, iif: { lb1: a, lb2: b, lb3: c } },
      { priority: 5, family: ipv6, action: prohibit, oif: eth0, ip_protocol: udp, source_port: 53, destination_port: 1024-2047 },
      { priority: 6, table: main, suppress_prefix_length: 0, fwmark: 7 }]`,
  );
  t.strictSame(routes, [
    virtualRoute({
      destination: '10.1.0.0',
      prefixLength: 16,
      via: '10.9.0.1',
      onLink: true,
      table: 100,
      scope: 253,
      mtu: 1400,
      interface: 'eth9',
    }),
    virtualRoute({ type: 'blackhole', table: 255, metric: 9, interface: undefined }),
    virtualRoute({ type: 'local', destination: '10.3.0.0', prefixLength: 16, scope: 7 }),
  ]);
  const to = { address: '10.9.0.0', prefixLength: 16 };
  const from = { address: '10.0.0.0', prefixLength: 8 };
  t.strictSame(rules, [
    virtualRule({ priority: 5, from, to, invert: true, fwmark: { mark: 16, mask: 240 }, iif: 'a' }),
    virtualRule({
      priority: 5,
      family: 'ipv6',
      action: 'prohibit',
      oif: 'eth0',
      ipProtocol: 17,
      sourcePorts: { first: 53, last: 53 },
      destinationPorts: { first: 1024, last: 2047 },
    }),
    virtualRule({
      priority: 6,
      action: { table: 254 },
      suppressPrefixLength: 0,
      fwmark: { mark: 7, mask: 0xffff_ffff },
    }),
  ]);
});

void t.test('tracked objects of every kind, and their uses', async (t) => {
  const config = configOf(
    `vrrp:
  track:
    - { name: uplink, interface: { lb1: x, lb2: y, lb3: z }, address: "2001:DB8::9", debounce: 2s }
    - { name: drain, file: /run/drain, interval: 5s }
    - { name: probe, script: [/bin/probe, --fast], user: me, interval: 2s, rise: 2, fall: 3 }
    - { name: quick, script: [/bin/probe], timeout: 100ms }
    - { name: proxy, process: haproxy }
    - { name: web-ok, virtual_server: web }
  instances:
    - { name: a, interface: eth0, virtual_router_id: 1, addresses: [10.0.0.9/24], priority: { lb1: 254 }, track: [uplink, { name: drain, weight: -9 }] }
    - { name: b, interface: eth1, virtual_router_id: 1, priority: { lb1: 254 }, addresses: [10.1.0.9/24] }
  sync_groups: [{ name: g, instances: [a, b], track: [{ name: web-ok }] }]
`,
    'lb2',
  );
  t.strictSame(
    config.tracked.map(({ kind }) => kind),
    [
      { type: 'interface', interface: 'y', address: '2001:db8::9' },
      { type: 'file', path: '/run/drain' },
      { type: 'script', command: ['/bin/probe', '--fast'], user: 'me', timeoutMs: 2000 },
      { type: 'script', command: ['/bin/probe'], user: undefined, timeoutMs: 100 },
      { type: 'process', process: 'haproxy' },
      { type: 'virtual-server', virtualServer: 'web', quorum: 1 },
    ],
  );
  t.match(config.tracked[0], { debounceMs: 2000, rise: 1, fall: 1, intervalMs: 1000 });
  t.match(config.tracked[2], { debounceMs: 0, rise: 2, fall: 3, intervalMs: 2000 });
  t.strictSame(config.instances[0]?.track, [
    { object: 'uplink', weight: undefined },
    { object: 'drain', weight: -9 },
  ]);
  t.strictSame(config.syncGroups, [
    { name: 'g', instances: ['a', 'b'], track: [{ object: 'web-ok', weight: undefined }] },
  ]);
});
