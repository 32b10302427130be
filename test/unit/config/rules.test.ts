/** Every rule with what it refuses and what it lets pass. Each case is one edit of a good file. */
import t, { type Test } from 'tap';
import { type Case, checkEdits } from './cases.js';

const GOOD = `version: 1
directors:
  lb1: { priority: 150, address: 10.10.10.11 }
  lb2: { priority: 100, address: 10.10.10.12 }
vrrp:
  instances:
    - name: outside
      interface: eth0
      virtual_router_id: 51
      advertisement_interval: 1s
      preempt: false
      addresses: [192.168.1.253/24]
    - name: inside
      interface: eth1
      virtual_router_id: 52
      addresses: [10.10.10.1/24]
  sync_groups:
    - { name: pair, instances: [outside, inside] }
connection_sync: { interface: eth1, id: 51 }
virtual_servers:
  - name: web
    address: 192.168.1.253
    port: 80
    forwarding: nat
    health_check: { tcp: {}, interval: 2s, timeout: 1s }
    real_servers:
      - { address: 10.10.10.2, port: 80 }
      - { address: 10.10.10.3, port: 8000, weight: 2 }
`;

const check = (t: Test, cases: readonly Case[]) => checkEdits(t, GOOD, cases);

void t.test('the good file is good', async (t) => check(t, [['version: 1', 'version: 1']]));

void t.test('version and directors', async (t) =>
  check(t, [
    ['version: 1', 'version: 2', /^version: expected 1, the version of this format, not 2$/],
    ['version: 1\n', '', /^version: is missing/],
    ['lb1: {', 'lb3: {', /^directors: no director is named 'lb1': the file has lb3, lb2/],
    ['  lb2: { priority: 100, address: 10.10.10.12 }\n', ''],
    ['10.10.10.12', '10.10.10.11', /^directors\.lb2\.address: there is already a director with the address/],
    ['lb2: {', '"l b2": {', /^directors\["l b2"\]: expected a name of 1 to 64/],
    ['priority: 100', 'priority: 150'],
    ['priority: 100, ', ''],
    [
      'priority: 100',
      'priority: 0',
      /^directors\.lb2\.priority: expected a whole number from 1 to 255, not 0/,
    ],
    ['priority: 100', 'priority: 255'],
    ['priority: 100', 'priority: 256', /1 to 255, not 256/],
    ['priority: 100', 'priority: 1.5', /1 to 255, not 1\.5/],
    ['priority: 100', 'priority: "100"', /1 to 255, not '100'/],
  ]),
);

void t.test('names and interfaces', async (t) =>
  check(t, [
    [
      'name: inside',
      'name: outside',
      /instances\[1\]\.name: there is already an instance named 'outside'/,
      /no instance is named 'inside'/,
    ],
    ['name: inside', 'name: 5', /instances\[1\]\.name: expected a name/, /no instance is named 'inside'/],
    ['interface: eth0', 'interface: abcdefghijklmno'],
    [
      'interface: eth0',
      'interface: abcdefghijklmnop',
      /instances\[0\]\.interface: expected an interface name of 1 to 15/,
    ],
    ['interface: eth0', 'interface: a/b', /not 'a\/b'/],
    ['interface: eth0', 'interface: "a b"', /not 'a b'/],
    ['interface: eth0', 'interface: ""', /not ''/],
    ['interface: eth0', 'interface: ..', /not '\.\.'/],
    ['interface: eth0', 'interface: "eth0:1"', /not 'eth0:1'/],
    ['interface: eth0', 'interface: 5', /interface: expected an interface name, or a mapping/],
    ['interface: eth0', 'interface: { lb1: ens33, lb2: eth0 }'],
    ['interface: eth0', 'interface: { lb1: ens33 }', /instances\[0\]\.interface: names no interface for lb2/],
    [
      'interface: eth0',
      'interface: { lb1: a, lb2: b, lb9: c }',
      /interface\.lb9: no director is named 'lb9'; did you mean 'lb1'/,
    ],
    ['interface: eth0', 'interface: { lb1: a, lb2: b/c }', /interface\.lb2: expected an interface name/],
    [
      'interface: eth1, id: 51',
      'interface: { lb1: a }, id: 51',
      /^connection_sync\.interface: names no interface for lb2/,
    ],
  ]),
);

void t.test('instances', async (t) =>
  check(t, [
    ['virtual_router_id: 52', 'virtual_router_id: 51'],
    ['virtual_router_id: 52', 'virtual_router_id: 0', /1 to 255, not 0/],
    ['virtual_router_id: 52', 'virtual_router_id: 256', /1 to 255, not 256/],
    [
      'interface: eth1\n      virtual_router_id: 52',
      'interface: eth0\n      virtual_router_id: 51',
      /instances\[1\]\.virtual_router_id: VRID 51 is already that of instance 'outside' on interface 'eth0'/,
    ],
    [
      'interface: eth1\n      virtual_router_id: 52',
      'interface: { lb1: eth9, lb2: eth0 }\n      virtual_router_id: 51',
      /VRID 51 is already that/,
    ],
    ['      virtual_router_id: 51', '      version: 3\n      virtual_router_id: 51'],
    [
      '      virtual_router_id: 51',
      '      version: 4\n      virtual_router_id: 51',
      /version: expected 2 or 3, not 4/,
    ],
    ['preempt: false', 'preempt: true'],
    ['preempt: false', 'preempt: { delay: 30s }'],
    ['preempt: false', 'preempt: {}'],
    [
      'preempt: false',
      'preempt: no',
      /preempt: expected true, false, \{ delay: 30s \} or \{ after: synced, at_most: 60s \}, not 'no'/,
    ],
    ['preempt: false', 'preempt: { delay: 30 }', /preempt\.delay: a duration needs a unit: write 30s/],
    ['preempt: false', 'preempt: { delay: 2h }', /preempt\.delay: expected a duration from 0ms to 1h/],
    ['preempt: false', 'preempt: { after: synced }'],
    ['preempt: false', 'preempt: { after: synced, at_most: 1s }'],
    ['preempt: false', 'preempt: { after: synced, at_most: 1h }'],
    ['preempt: false', 'preempt: { delay: 30s, after: synced }'],
    ['preempt: false', 'preempt: { after: sync }', /preempt\.after: expected 'synced', not 'sync'/],
    ['preempt: false', 'preempt: { at_most: 60s }', /preempt\.at_most: 'at_most' goes with 'after: synced'/],
    [
      'preempt: false',
      'preempt: { after: synced, at_most: 500ms }',
      /preempt\.at_most: expected a duration from 1s to 1h/,
    ],
    [
      'preempt: false',
      'preempt: { delay: 10s, after: synced, at_most: 10s }',
      /preempt\.at_most: .* waited for 10s at most, and the delay is 10s: make 'at_most' longer/,
    ],
    [
      'preempt: false',
      'preempt: { delay: 2m, after: synced }',
      /preempt: .* waited for 1m at most, and the delay is 2m: make 'at_most' longer/,
    ],
    ['preempt: false', 'preempt: { dely: 1s }', /preempt\.dely: unknown key 'dely'; did you mean 'delay'/],
    ['preempt: false', 'checksum: rfc9568'],
    ['preempt: false', 'checksum: rfc3768', /checksum: expected 'rfc5798' or 'rfc9568', not 'rfc3768'/],
    ['preempt: false', 'priority: { lb1: 20 }'],
    [
      'preempt: false',
      'priority: { lb1: 256 }',
      /instances\[0\]\.priority\.lb1: expected a whole number from 1 to 255/,
    ],
    ['preempt: false', 'priority: { lb7: 20 }', /priority\.lb7: no director is named 'lb7'/],
    [
      'preempt: false',
      'priority: 20',
      /priority: expected a mapping of director names to priorities, not 20/,
    ],
  ]),
);

void t.test('advertisement_interval', async (t) =>
  check(
    t,
    (
      [
        ['10ms'],
        ['40.95s'],
        ['40950ms'],
        ['0.5s'],
        ['9ms', /from 10ms to 40\.95s in whole centiseconds .*, not '9ms'/],
        ['0s', /in whole centiseconds/],
        ['15ms', /in whole centiseconds/],
        ['1', /a duration needs a unit: write 1s instead of 1/],
        ['"1"', /expected a duration .* such as 500ms, 1s, 5m or 2h, not '1'/],
        ['1 s', /expected a duration/],
        ['-1s', /expected a duration/],
        ['1d', /expected a duration/],
      ] satisfies [string, RegExp?][]
    ).map(([value, fault]): Case => {
      const to = `advertisement_interval: ${value}`;
      return fault === undefined
        ? ['advertisement_interval: 1s', to]
        : [
            'advertisement_interval: 1s',
            to,
            new RegExp(`instances\\[0\\]\\.advertisement_interval: .*${fault.source}`),
          ];
    }),
  ),
);

void t.test('virtual addresses', async (t) => {
  const bad: readonly (readonly [string, RegExp])[] = [
    ['192.168.1.253', /has no prefix length/],
    ['192.168.1.253/0', /bad prefix length/],
    ['192.168.1.253/33', /bad prefix length/],
    ['192.168.1.253/024', /bad prefix length/],
    ['192.168.1.253/', /bad prefix length/],
    ['192.168.1.256/24', /not an IPv4 address/],
    ['192.168.01.25/24', /not an IPv4 address/],
    ['192.168.1/24', /not an IPv4 address/],
    ['192.168.1.0/24', /the address of the network itself/],
    ['192.168.1.255/24', /the broadcast address/],
    ['224.0.0.18/24', /not the address of a single host/],
    ['0.0.0.1/24', /not the address of a single host/],
    ['127.0.0.1/8', /'127\.0\.0\.1' is a loopback address/],
    ['fe80::1%eth0/64', /has a zone/],
    [
      '10.10.10.1/8',
      /instances\[1\]\.addresses\[0\]: the address '10\.10\.10\.1' is already held by instance 'outside'/,
    ],
    ['{ address: 192.168.1.300/24 }', /addresses\[0\]\.address: .*not an IPv4 address/],
    [
      '{ address: 192.168.1.253/24, interface: { lb1: a } }',
      /addresses\[0\]\.interface: names no interface for lb2/,
    ],
    ['{ address: 192.168.1.253/24, dev: eth0 }', /addresses\[0\]\.dev: unknown key 'dev'/],
    ['7', /addresses\[0\]: expected an address with prefix length/],
  ];
  check(
    t,
    bad.map(([value, fault]): Case => ['addresses: [192.168.1.253/24]', `addresses: [${value}]`, fault]),
  );
  check(t, [
    ['[192.168.1.253/24]', '[192.168.1.253/32]'],
    ['[192.168.1.253/24]', '[192.168.1.252/31]'],
    ['[192.168.1.253/24]', '[{ address: 192.168.1.253/24, interface: eth9 }]'],
    ['[192.168.1.253/24]', '[]', /addresses: expected at least one address/],
  ]);
});

void t.test("a director's own address is virtual only where it owns it", async (t) => {
  const fault = (director: string) =>
    new RegExp(
      `addresses\\[0\\]: '10\\.10\\.10\\.12' is the address of director '${director}', .* priority 255 there`,
    );
  const [from, to] = ['addresses: [192.168.1.253/24]', 'addresses: [10.10.10.12/24]'];
  check(t, [
    [from, to, fault('lb2')],
    [from, `${to}\n      priority: { lb1: 255 }`, fault('lb2')],
    [from, `${to}\n      priority: { lb2: 255 }`],
    ['interface: eth0', 'interface: lo', /instances\[0\]\.interface: 'lo' reaches no other host/],
    ['interface: eth0', 'interface: { lb1: eth0, lb2: lo }', /instances\[0\]\.interface: 'lo' reaches/],
  ]);
});

void t.test('sync groups', async (t) => {
  const group = '- { name: pair, instances: [outside, inside] }';
  check(t, [
    [
      '[outside, inside]',
      '[outside]',
      /sync_groups\[0\]\.instances: a sync group needs at least two instances/,
    ],
    [
      '[outside, inside]',
      '[outside, insid]',
      /instances\[1\]: no instance is named 'insid'; did you mean 'inside'/,
    ],
    ['[outside, inside]', '[outside, outside]', /instance 'outside' is already in sync group 'pair'/],
    [
      group,
      `${group}\n    - { name: two, instances: [inside, outside] }`,
      /sync_groups\[1\]\.instances\[0\]: instance 'inside' is already in sync group 'pair'/,
      /sync_groups\[1\]\.instances\[1\]: instance 'outside' is already/,
    ],
    [
      group,
      `${group}\n    - { name: pair, instances: [] }`,
      /sync_groups\[1\]\.name: there is already a sync group named 'pair'/,
      /at least two/,
    ],
  ]);
});

void t.test('connection sync', async (t) =>
  check(t, [
    ['id: 51 }', 'id: 0 }', /^connection_sync\.id: expected a whole number from 1 to 255, not 0/],
    ['id: 51 }', 'id: 256 }', /1 to 255/],
    ['id: 51 }', 'id: 255 }'],
    ['connection_sync: { interface: eth1, id: 51 }\n', ''],
  ]),
);

void t.test('virtual servers', async (t) => {
  const port = 'port: 80\n    forwarding: nat';
  const copy = (name: string, more: string) =>
    `  - { name: ${name}, address: 192.168.1.253, forwarding: nat, real_servers: [{ address: 10.10.10.2 }], ${more} }\n`;
  check(t, [
    [port, 'port: 65536\n    forwarding: nat', /^virtual_servers\[0\]\.port: .* 0 to 65535/],
    [port, `${port}\n    protocol: udp`],
    [port, `${port}\n    protocol: icmp`, /protocol: expected 'tcp', 'udp' or 'sctp', not 'icmp'/],
    [port, `${port}\n    scheduler: mh`],
    [port, `${port}\n    scheduler: threes`, /scheduler: expected a scheduler \(rr, wrr/],
    ['    forwarding: nat\n', '', /forwarding: is missing: expected 'nat', 'dr', 'tun' or 'fullnat'/],
    ['version: 1', 'version: 1\nmasquerade: [{ source: 10.10.10.0/24, interface: eth0 }]'],
    [
      'version: 1',
      'version: 1\nmasquerade: [{ source: 10.10.10.1/24, interface: eth0 }]',
      /masquerade\[0\]\.source: .*did you mean 10\.10\.10\.0\/24/,
    ],
    [
      'version: 1',
      'version: 1\nmasquerade: [{ source: 10.10.10.0/24, interface: eth0, snat_address: fd00::1 }]',
      /masquerade\[0\]\.snat_address: 'fd00::1' is IPv6, and the source IPv4/,
    ],
    [
      'version: 1',
      `version: 1\nmasquerade: [{ source: 10.10.10.0/24, interface: 'a"b' }]`,
      /masquerade\[0\]\.interface: .* is a name that nftables cannot be told/,
    ],
    ['forwarding: nat', 'forwarding: fullnat'],
    ['forwarding: nat', 'forwarding: fullnat\n    snat_address: 10.10.10.1'],
    [
      'forwarding: nat',
      'forwarding: fullnat\n    snat_address: fd00::1',
      /snat_address: 'fd00::1' is IPv6, and no real server with forwarding 'fullnat' is/,
    ],
    [
      'forwarding: nat',
      'forwarding: nat\n    snat_address: 10.10.10.1',
      /snat_address: goes with forwarding 'fullnat'/,
    ],
    [
      'forwarding: nat',
      'forwarding: fullnat\n    protocol: udp\n    one_packet: true',
      /one_packet: .*forwarding 'fullnat' translates connections/,
    ],
    [
      'forwarding: nat',
      'forwarding: masq',
      /forwarding: expected 'nat', 'dr', 'tun' or 'fullnat', not 'masq'/,
    ],
    ['forwarding: nat', 'forwarding: dr', /real_servers\[1\]\.port: forwarding 'dr' maps no ports/],
    ['forwarding: nat', 'forwarding: tun', /real_servers\[1\]\.port: forwarding 'tun' maps no ports/],
    [port, `${port}\n    vrrp_instance: outside`],
    [
      port,
      `${port}\n    vrrp_instance: outsid`,
      /vrrp_instance: no instance is named 'outsid'; did you mean 'outside'/,
    ],
    ['address: 192.168.1.253\n', 'address: 192.168.1.99\n'],
    [
      'address: 192.168.1.253\n',
      'vrrp_instance: outside\n    address: 192.168.1.99\n',
      /address: '192\.168\.1\.99' is an address of no instance/,
    ],
    ['address: 192.168.1.253\n', 'address: 192.168.1.253/24\n', /not an IPv4 address/],
    [port, `${port}\n    persistence: { timeout: 5m, netmask: 255.255.255.0 }`],
    [port, `${port}\n    persistence: { netmask: 255.0.255.0 }`, /persistence\.netmask: .*is not a netmask/],
    [
      port,
      `${port}\n    persistence: { timeout: 500ms }`,
      /persistence\.timeout: expected a duration .*in whole seconds/,
    ],
    [port, `${port}\n    sched: rr`, /virtual_servers\[0\]\.sched: unknown key 'sched'/],
    ['virtual_servers:\n', `virtual_servers:\n${copy('other', 'port: 81')}`],
    ['virtual_servers:\n', `virtual_servers:\n${copy('other', 'port: 80, protocol: udp')}`],
    [
      'virtual_servers:\n',
      `virtual_servers:\n${copy('web', 'port: 81')}`,
      /there is already a virtual server named 'web'/,
    ],
    [
      'virtual_servers:\n',
      `virtual_servers:\n${copy('other', 'port: 80, protocol: tcp')}`,
      /^virtual_servers\[1\]: tcp 192\.168\.1\.253:80 is already the virtual server 'other' \(line 21\)/,
    ],
  ]);
});

void t.test('real servers', async (t) =>
  check(t, [
    ['10.10.10.3, port: 8000', '10.10.10.2, port: 8000'],
    [
      '10.10.10.3, port: 8000',
      '10.10.10.2, port: 80',
      /real_servers\[1\]: 10\.10\.10\.2:80 is already a real server/,
    ],
    ['10.10.10.3, port: 8000', '10.10.10.2', /real_servers\[1\]: 10\.10\.10\.2:80 is already a real server/],
    ['weight: 2', 'weight: 0'],
    ['weight: 2', 'weight: 65535'],
    ['weight: 2', 'weight: 65536', /weight: expected a whole number from 0 to 65535, not 65536/],
    ['weight: 2', 'weight: -1', /0 to 65535, not -1/],
    ['port: 8000', 'port: 0', /1 to 65535, not 0/],
    ['10.10.10.3,', '10.10.10,', /real_servers\[1\]\.address: '10\.10\.10' is not an IPv4 address/],
    ['weight: 2', 'wieght: 2', /wieght: unknown key 'wieght'; did you mean 'weight'/],
    [
      GOOD.slice(GOOD.indexOf('    real_servers:')),
      '    real_servers: []\n',
      /real_servers: expected at least one real server/,
    ],
  ]),
);

void t.test('health checks', async (t) => {
  const bad: readonly (readonly [string, ...RegExp[]])[] = [
    [
      '{ tcp: true }',
      /health_check\.tcp: expected a mapping \(script, tls; tcp: \{\} is a connection alone\), not true/,
    ],
    [
      '{ interval: 2s }',
      /health_check: names no check: expected one of tcp, smtp, .*command, such as tcp: \{\}/,
    ],
    ['{ tcp: {}, http: {} }', /health_check\.http: a health check is either tcp or http, not both/],
    [
      '{ tcp: {}, interval: 1s, timeout: 1001ms }',
      /timeout: the timeout 1001ms is longer than the interval 1s/,
    ],
    ['{ tcp: {}, timeout: 3s }', /timeout: the timeout 3s is longer than the interval 2s/],
    ['{ tcp: {}, interval: 500ms }', /interval: the timeout 1s \(the default\) is longer/],
    ['{ tcp: {}, interval: 5 }', /interval: a duration needs a unit/],
    ['{ tcp: {}, interval: 2h }', /interval: expected a duration from 50ms to 1h/],
    ['{ tcp: {}, rise: 0 }', /rise: expected a whole number from 1 to 255/],
    ['{ tcp: {}, delay_before_retry: 1s }', /delay_before_retry: goes with 'retry'/],
    ['{ tcp: {}, retry: -1 }', /retry: expected a whole number from 0 to 255/],
    ['{ tcp: {}, retry: 1, delay_before_retry: 0s }', /delay_before_retry: expected a duration from 50ms/],
    ['{ retry: 1 }', /health_check: names no check/],
    ['{ tcp: {}, fall: 0 }', /fall: expected a whole number from 1 to 255/],
    ['{ tcp: { port: 1 } }', /health_check\.tcp\.port: unknown key 'port'/],
    ['{ http: { path: index } }', /http\.path: expected a path that begins with '\/'/],
    ['{ tcp: {}, timeout: 0 }', /timeout: a duration needs a unit: expected one from 50ms to 1h/],
    ['{ http: { path: "/a b" } }', /http\.path: .*in visible ASCII with %XX for all else, not '\/a b'/],
    ['{ http: { path: /größe } }', /http\.path: .*in visible ASCII/],
    ['{ http: { path: "/a\\tb" } }', /http\.path: .*in visible ASCII/],
    ['{ http: { status: 100 } }', /http\.status: expected a whole number from 200 to 599/],
    ['{ http: { host: "a\\r\\nb" } }', /http\.host: expected a host name/],
    ['{ htpp: {} }', /htpp: unknown key 'htpp'; did you mean 'http'/],
  ];
  const from = '{ tcp: {}, interval: 2s, timeout: 1s }';
  check(
    t,
    bad.map(([value, ...faults]): Case => [from, value, ...faults]),
  );
  check(t, [
    [from, '{ tcp: {}, interval: 1s, timeout: 1s, rise: 1, fall: 255 }'],
    [from, '{ http: { path: "/a?b=c", status: 599, host: "www.example:8080" } }'],
  ]);
});
