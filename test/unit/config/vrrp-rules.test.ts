/** Rules of versions, IPv6, transports, tracking, routes and hooks. Each case is one edit of a good file. */
import t, { type Test } from 'tap';
import { parseConfig } from '../../../src/config/parse.js';
import { virtualMacName } from '../../../src/config/virtual-mac-name.js';
import { type Case, checkEdits } from './cases.js';

const GOOD = `version: 1
directors:
  lb1: { priority: 150, address: 10.10.10.11 }
  lb2: { priority: 100, address: 10.10.10.12 }
vrrp:
  track:
    - { name: uplink, interface: eth2 }
    - { name: web-ok, virtual_server: web, quorum: 2 }
    - { name: probe, script: [/usr/bin/probe, --fast], user: nobody, timeout: 1s, interval: 2s, rise: 2, fall: 2 }
  hooks:
    - { command: [/usr/bin/notify], on: [master, still-master], instances: [outside], user: root, timeout: 10s }
  instances:
    - name: outside
      interface: eth0
      virtual_router_id: 51
      addresses: [192.168.1.253/24]
      # more
      track: [uplink, { name: web-ok, weight: -30 }]
    - name: six
      interface: eth0
      virtual_router_id: 51
      addresses: [2001:db8::1/64, fe80::1/64]
    - name: inside
      interface: eth1
      virtual_router_id: 52
      addresses: [10.10.10.1/24]
  sync_groups:
    - { name: pair, instances: [outside, inside], track: [probe] }
virtual_servers:
  - name: web
    address: 192.168.1.253
    port: 80
    forwarding: nat
    real_servers: [{ address: 10.10.10.2 }, { address: 10.10.10.3, weight: 2 }]
`;

const check = (t: Test, cases: readonly Case[]) => checkEdits(t, GOOD, cases);
/** Cases that put text in place of one text. */
const puts = (from: string, cases: readonly (readonly [to: string, ...faults: RegExp[]])[]): Case[] =>
  cases.map(([to, ...faults]): Case => [from, to, ...faults]);

const MORE = '# more';
const V4 = 'addresses: [192.168.1.253/24]';
const V6 = 'addresses: [2001:db8::1/64, fe80::1/64]';
const SIX = `virtual_router_id: 51\n      ${V6}`;

void t.test('the good file is good', async (t) => check(t, [[MORE, MORE]]));

void t.test('version 2', async (t) => {
  const version = (rest: string) => `version: 2\n      ${rest}`;
  check(t, [
    [MORE, 'version: 2'],
    [MORE, version('advertisement_interval: 255s')],
    [
      MORE,
      version('advertisement_interval: 100ms'),
      /interval: VRRP version 2 counts whole seconds: .*not '100ms'/,
    ],
    [MORE, version('advertisement_interval: 1500ms'), /counts whole seconds/],
    [MORE, version('advertisement_interval: 256s'), /version 2: from 1s to 255s in whole seconds/],
    [
      MORE,
      'advertisement_interval: 40.96s',
      /expected a duration from 10ms to 40\.95s in whole centiseconds, not '40\.96s'/,
    ],
    [MORE, 'advertisement_interval: 41s', /from 10ms to 40\.95s/],
    [
      MORE,
      version('checksum: rfc9568'),
      /instances\[0\]\.checksum: VRRP version 2 has one checksum alone: leave 'checksum' out/,
    ],
    [SIX, `version: 2\n      ${SIX}`, /instances\[1\]\.version: VRRP version 2 is for IPv4 alone/],
    [SIX, `checksum: rfc5798\n      ${SIX}`, /instances\[1\]\.checksum: VRRP over IPv6 has one checksum/],
  ]);
});

void t.test('families and link-local addresses', async (t) => {
  check(t, [
    ...puts(V4, [
      ['addresses: [192.168.1.253/24, { address: 2001:db8::9/64, advertise: false }]'],
      [
        'addresses: [192.168.1.253/24, 2001:db8::9/64]',
        /addresses\[1\]: '2001:db8::9' is IPv6, and this instance advertises IPv4: give it 'advertise: false' or/,
      ],
      [
        'addresses: [{ address: 192.168.1.253/24, advertise: no }]',
        /advertise: expected true or false, not 'no'/,
      ],
      [
        'addresses: [{ address: 192.168.1.253/24, advertise: false }]',
        /instances\[0\]\.addresses: advertises nothing/,
      ],
    ]),
    ...puts(V6, [
      ['addresses: [FE80:0::1/64, 2001:db8::1/64]'],
      [
        'addresses: [2001:db8::1/64]',
        /addresses: VRRP over IPv6 advertises a link-local .* such as fe80::1\/64/,
      ],
      [
        'addresses: [2001:db8::1/64, { address: fe80::1/64, interface: eth1 }]',
        /advertises a link-local address on the instance's interface/,
      ],
      ['addresses: [2001:db8::1/64, { address: fe80::1/64, interface: eth0 }]'],
      [
        'addresses: [2001:db8::1/64, { address: fe80::1/64, interface: { lb1: eth0, lb2: eth9 } }]',
        /advertises a link-local address/,
      ],
      [
        'addresses: [2001:db8::1/64, { address: fe80::1/64, advertise: false }]',
        /advertises a link-local address/,
      ],
      ['addresses: [fe80::1/64, 2001:db8::/64]', /addresses\[1\]: .* is the anycast address of all routers/],
      ['addresses: [fe80::1/64, ff02::12/64]', /is not the address of a single host/],
      ['addresses: [fe80::1/64, fe80::1%eth0/64]', /has a zone/],
      [
        'addresses: [fe80::1/64, 2001:DB8:0::1/64, 2001:db8::1/128]',
        /addresses\[2\]: the address '2001:db8::1' is already held by instance 'six'/,
      ],
      ['addresses: [fe80::1/64, { address: fe80::1/64, interface: eth1 }]'],
      [
        'addresses: [fe80::1/64, { address: fe80::1/64, interface: { lb1: eth1, lb2: eth0 } }]',
        /addresses\[1\]: the address 'fe80::1' is already held/,
      ],
    ]),
  ]);
  // The other instance of VRID 51 on eth0 is of the other family.
  check(t, [[V6, 'addresses: [10.9.9.9/24]', /VRID 51 is already that of instance 'outside'/]]);
});

void t.test('what fits into one packet', async (t) => {
  const v4 = (n: number, rest = '') =>
    `addresses: [${Array.from({ length: n }, (_, i) => `172.16.${i}.7/24`).join(', ')}${rest}]`;
  const hidden = (n: number) =>
    Array.from(
      { length: n },
      (_, i) => `, { address: 10.${32 + (i >> 8)}.${i & 255}.7/32, advertise: false }`,
    ).join('');
  const v6 = (n: number) =>
    `addresses: [fe80::1/64, ${Array.from({ length: n - 1 }, (_, i) => `2001:db8::${i + 1}/64`).join(', ')}]`;
  check(t, [
    [V4, v4(255)],
    [
      V4,
      v4(256),
      /instances\[0\]\.addresses: one packet advertises at most 255 IPv4 addresses, not 256: give the others 'adv/,
    ],
    [V4, v4(255, hidden(3))],
    [V6, v6(90)],
    [V6, v6(91), /instances\[1\]\.addresses: one packet advertises at most 90 IPv6 addresses, not 91/],
    // Of the other instances there are three addresses.
    [V4, v4(1, hidden(4092))],
    [
      V4,
      v4(1, hidden(4093)),
      /vrrp\.instances: hold 4097 addresses, routes and rules in all: one director .* 4096/,
    ],
  ]);
});

void t.test('transports', async (t) => {
  const both = 'lb1: 10.0.0.1, lb2: 10.0.0.2';
  check(
    t,
    puts(
      MORE,
      (
        [
          ['multicast'],
          ['unicast'],
          ['udp'],
          ['{ udp: {} }'],
          [`{ unicast: { ${both} } }`],
          ['{ unicast: {}, min_ttl: 254 }'],
          [`{ udp: { port: 1, peers: { ${both} } } }`],
          ['{ udp: { peers: {} } }'],
          ['broadcast', /transport: expected 'multicast', 'unicast', 'udp', \{ unicast/],
          ['5', /transport: expected 'multicast'/],
          ['{}', /transport: names no transport: expected unicast: \{ \.\.\. \} or udp/],
          ['{ unicats: {} }', /unicats: unknown key 'unicats'; did you mean 'unicast'/],
          ['{ unicast: {}, udp: {} }', /transport\.udp: a transport is unicast or udp, not both/],
          ['{ udp: {}, min_ttl: 255 }', /min_ttl: the TTL is looked at under unicast alone/],
          ['{ unicast: {}, min_ttl: 0 }', /min_ttl: expected a whole number from 1 to 255/],
          ['{ udp: { port: 0 } }', /port: expected a whole number from 1 to 65535/],
          ['{ unicast: { lb1: 10.0.0.1 } }', /unicast: names no address for lb2: every director needs one/],
          [
            `{ unicast: { ${both}, lb3: 10.0.0.3 } }`,
            /unicast\.lb3: no director is named 'lb3'; did you mean 'lb1'/,
          ],
          [
            '{ unicast: { lb1: 10.0.0.1, lb2: 10.0.0.1 } }',
            /lb2: there is already a director with the address '10\.0\.0\.1'/,
          ],
          [
            '{ udp: { peers: { lb1: 10.0.0.1, lb2: "fe80::2" } } }',
            /peers\.lb2: 'fe80::2' is IPv6, and the instance IPv4/,
          ],
        ] satisfies [string, ...RegExp[]][]
      ).map(([value, ...faults]) => [`transport: ${value}`, ...faults]),
    ),
  );
  check(t, [
    [
      SIX,
      `transport: unicast\n      ${SIX}`,
      /transport: the address of director 'lb1' is IPv4, and the instance IPv6: name an address for each/,
      /director 'lb2' is IPv4/,
    ],
    [SIX, `transport: udp\n      ${SIX}`],
    [SIX, `transport: { unicast: { lb1: "fe80::a", lb2: "fe80::b" } }\n      ${SIX}`],
    [
      `${GOOD.slice(GOOD.indexOf('  lb2:'), GOOD.indexOf(MORE))}${MORE}`,
      `${GOOD.slice(GOOD.indexOf('vrrp:'), GOOD.indexOf(MORE))}transport: unicast`,
      /transport: unicast needs a second director/,
    ],
    ['address: 10.10.10.12', 'address: "2001:db8::2"'],
    ['address: 10.10.10.12', 'address: "fe80::2"', /lb2\.address: a link-local address reaches nobody/],
  ]);
});

void t.test('virtual MAC addresses: two devices need two names', async (t) => {
  const long = 'enp129s0f0np0';
  // Five digits stand for the long name, and somebody may have called an interface just so.
  const short = virtualMacName('ipv4', 71, long).slice('vrrp4-71-'.length);
  const first = 'instances:\n    - name: outside';
  const one = (name: string, parent: string, id = 71) =>
    `    - { name: ${name}, interface: ${parent}, virtual_router_id: ${id}, virtual_mac: true, addresses: [10.9.${id}.${name.length}/24] }`;
  const withMore = (...more: string[]) => `instances:\n${more.join('\n')}\n    - name: outside`;
  check(t, [
    [first, withMore(one('long', long), one('other', 'eth7'))],
    [first, withMore(one('long', long), one('short', short, 72))],
    [
      first,
      withMore(one('long', long), one('short', short)),
      new RegExp(`virtual_mac: its device on 'lb1' would be 'vrrp4-71-${short}', as that of instance 'long'`),
    ],
  ]);
});

void t.test('accept mode, virtual MAC address, start-up delay', async (t) =>
  check(
    t,
    puts(MORE, [
      ['accept_mode: true'],
      ['accept_mode: false'],
      ['accept_mode: off', /accept_mode: expected true or false, not 'off'/],
      ['virtual_mac: true'],
      ['virtual_mac: true\n      transport: multicast'],
      [
        'virtual_mac: true\n      transport: unicast',
        /virtual_mac: a virtual MAC address goes with multicast alone/,
      ],
      ['virtual_mac: true\n      transport: { udp: {} }', /goes with multicast alone/],
      ['virtual_mac: false\n      transport: udp'],
      ['startup_delay: 1h'],
      ['startup_delay: 3601s', /startup_delay: expected a duration from 0ms to 1h/],
    ]),
  ),
);

const times = (n: number) => Array.from({ length: n }, (_, index) => `${index + 1}s`).join(', ');

void t.test('announcements', async (t) =>
  check(
    t,
    puts(MORE, [
      ['announce: {}'],
      ['announce: { repeat: [], refresh: 1s }'],
      ['announce: { repeat: [10ms, 1h], refresh: 24h }'],
      ['announce: { repeat: [1s, 100ms] }', /repeat\[1\]: expected more than 1s before it/],
      ['announce: { repeat: [1s, 1s] }', /repeat\[1\]: expected more than 1s/],
      ['announce: { repeat: [1ms] }', /repeat\[0\]: expected a duration from 10ms to 1h/],
      [`announce: { repeat: [${times(16)}] }`],
      [`announce: { repeat: [${times(17)}] }`, /repeat: expected at most 16 repetitions/],
      ['announce: { refresh: 500ms }', /refresh: expected a duration from 1s to 24h/],
    ]),
  ),
);

void t.test('routes', async (t) =>
  check(
    t,
    puts(
      MORE,
      (
        [
          ['{ to: default, via: 192.168.1.1, source: 192.168.1.253, metric: 0, interface: eth0 }'],
          ['{ to: default }'],
          ['{ to: 192.0.2.0/24, interface: { lb1: a, lb2: b } }'],
          ['{ to: "2001:db8:1::/48", via: "fe80::9" }'],
          ['{ to: default, via: 192.168.1.1 }, { to: default, via: "fe80::9" }'],
          ['{ to: default, metric: 1 }, { to: default, metric: 2 }'],
          ['{ via: 192.168.1.1 }', /routes\[0\]\.to: is missing: expected 'default' or a network/],
          [
            '{ to: 192.0.2.1/24 }',
            /to: '192\.0\.2\.1\/24' is not the address of a network: did you mean 192\.0\.2\.0/,
          ],
          ['{ to: 192.0.2.1 }', /to: .* has no prefix length: write \/32/],
          ['{ to: default, interface: { lb1: a } }', /interface: names no interface for lb2/],
          ['{ to: 192.0.2.0/24, via: "fe80::9" }', /via: 'fe80::9' is IPv6, and this is an IPv4 route/],
          [
            '{ to: default, via: 10.0.0.9, source: "fe80::9" }',
            /source: 'fe80::9' is IPv6, and this is an IPv4/,
          ],
          ['{ to: default, metric: 4294967296 }', /metric: expected a whole number from 0 to 4294967295/],
          [
            '{ to: default, via: 10.0.0.9 }, { to: default }',
            /routes\[1\]: there is already a route to 'default'/,
          ],
          ['{ to: default, dev: eth0 }', /dev: unknown key 'dev'/],
          ['{ to: default, table: 100 }, { to: default }'],
          ['{ to: default, table: main }, { to: default }', /there is already a route to 'default'/],
          [
            '{ to: 10.8.0.0/16, table: main }, { to: 10.8.0.0/16, table: 254 }',
            /routes\[1\]: there is already a route to '10\.8\.0\.0\/16'/,
          ],
          ['{ to: default, table: 0 }', /table: expected a whole number from 1 to 4294967295, not 0/],
          ['{ to: default, table: vpn }', /table: expected 'local', 'main', 'default' or a whole number/],
          ['{ to: 10.0.0.0/8, type: blackhole }'],
          ['{ to: 10.0.0.0/8, type: hole }', /type: expected one of 'unicast', .*'throw', not 'hole'/],
          ['{ to: 10.0.0.0/8, type: throw, via: 10.0.0.1 }', /via: a route of type throw forwards nothing/],
          [
            '{ to: 10.0.0.0/8, type: prohibit, interface: x }',
            /interface: a route of type prohibit forwards/,
          ],
          ['{ to: 10.0.0.0/8, on_link: true }', /on_link: .* needs 'via'/],
          ['{ to: 10.0.0.0/8, scope: host, mtu: 1280 }'],
          ['{ to: 10.0.0.0/8, scope: 256 }', /scope: expected a whole number from 0 to 255, not 256/],
          ['{ to: 10.0.0.0/8, mtu: 67 }', /mtu: expected a whole number from 68/],
        ] satisfies [string, ...RegExp[]][]
      ).map(([value, ...faults]) => [`routes: [${value}]`, ...faults]),
    ),
  ),
);

void t.test('rules of the routing policy', async (t) =>
  check(
    t,
    puts(
      MORE,
      (
        [
          ['{ priority: 1, table: 100 }'],
          ['{ priority: 1, from: 10.0.0.0/8, to: 10.1.0.0/16, table: main, not: true }'],
          ['{ priority: 1, action: blackhole, fwmark: 0x1/0xff, iif: eth0, oif: { lb1: a, lb2: b } }'],
          ['{ priority: 1, table: 1, family: ipv6 }, { priority: 1, table: 1 }'],
          ['{ priority: 1, table: 1, ip_protocol: tcp, destination_port: 80, source_port: 1024-65535 }'],
          ['{ priority: 1, table: main, suppress_prefix_length: 0 }'],
          ['{ table: 100 }', /priority: is missing: expected a whole number from 1 to 32765/],
          ['{ priority: 32766, table: 1 }', /priority: expected a whole number from 1 to 32765/],
          ['{ priority: 1 }', /rules\[0\]: needs one of 'table' and 'action'/],
          ['{ priority: 1, table: 1, action: prohibit }', /action: needs one of 'table' and 'action'/],
          ['{ priority: 1, table: 1 }, { priority: 1, table: 2 }', /already an IPv4 rule of priority 1/],
          [
            '{ priority: 1, table: 1, from: 10.0.0.0/8, to: "fd00::/8" }',
            /to: .* is IPv6, and this is an IPv4/,
          ],
          ['{ priority: 1, table: 1, family: ipv6, from: 10.0.0.0/8 }', /family: its networks are IPv4/],
          ['{ priority: 1, table: 1, from: 10.0.0.1/8 }', /from: .* did you mean 10\.0\.0\.0\/8/],
          ['{ priority: 1, table: 1, fwmark: 0x100000000 }', /fwmark: /],
          ['{ priority: 1, table: 1, fwmark: mark }', /fwmark: .*mark/],
          ['{ priority: 1, table: 1, ip_protocol: tcp, source_port: 9-1 }', /source_port: .*is not a port/],
          ['{ priority: 1, table: 1, destination_port: 80 }', /destination_port: needs 'ip_protocol'/],
          [
            '{ priority: 1, action: prohibit, suppress_prefix_length: 0 }',
            /suppress_prefix_length: .* needs 'table'/,
          ],
          ['{ priority: 1, table: 1, iif: { lb1: a } }', /iif: names no interface for lb2/],
        ] satisfies [string, ...RegExp[]][]
      ).map(([value, ...faults]) => [`rules: [${value}]`, ...faults]),
    ),
  ),
);

void t.test('tracked objects', async (t) => {
  const object = '{ name: uplink, interface: eth2 }';
  check(
    t,
    puts(
      object,
      (
        [
          [
            'interface: { lb1: eth2, lb2: eth3 }, address: 10.0.0.9, interval: 1s, rise: 1, fall: 255, debounce: 1h',
          ],
          ['file: /run/drain'],
          ['process: haproxy'],
          ['script: [/bin/true]'],
          ['virtual_server: web'],
          ['virtual_server: web, quorum: 3'],
          ['interface: { lb1: eth2 }', /track\[0\]\.interface: names no interface for lb2/],
          [
            'interval: 1s',
            /track\[0\]: names nothing to track: expected one of interface, file, script, process/,
          ],
          ['file: /a, process: b', /track\[0\]\.process: tracks 'file' already: give each thing a name/],
          [
            'file: /a, quorum: 2',
            /track\[0\]\.quorum: goes with 'virtual_server', not with 'file': leave it out/,
          ],
          ['process: a, timeout: 1s', /timeout: goes with 'script'/],
          ['proces: a', /proces: unknown key 'proces'; did you mean 'process'/],
          ['file: /a, address: 10.0.0.1', /address: goes with 'interface'/],
          ['file: run/drain', /file: expected a path that begins with '\/', not 'run\/drain'/],
          ['process: /usr/sbin/haproxy', /process: expected the name of a process, without its path/],
          ['script: /bin/true', /script: expected a list of a path and its arguments.* not '\/bin\/true'/],
          ['script: []', /script: expected a list of a path/],
          ['script: [true]', /script\[0\]: expected text, not true/],
          ['script: [true, probe]', /script\[0\]: expected text, not true/],
          [
            'script: [probe]',
            /script\[0\]: expected the whole path of the command, which begins with '\/', not 'probe'/,
          ],
          ['script: [/a], user: "a b"', /user: expected the name of a user/],
          ['script: [/a], timeout: 2s', /timeout: the timeout 2s is longer than the interval 1s/],
          [
            'script: [/a], interval: 3s, timeout: 4s',
            /timeout: the timeout 4s is longer than the interval 3s/,
          ],
          ['virtual_server: wbe', /virtual_server: no virtual server is named 'wbe'; did you mean 'web'/],
          ['virtual_server: web, quorum: 0', /quorum: expected a whole number from 1/],
          [
            'virtual_server: web, quorum: 4',
            /quorum: the real servers of 'web' weigh 3 together: a quorum of 4 is never reached/,
          ],
          ['file: /a, rise: 0', /rise: expected a whole number from 1 to 255/],
          ['file: /a, interval: 10ms', /interval: expected a duration from 50ms to 1h/],
        ] satisfies [string, ...RegExp[]][]
      ).map(([value, ...faults]) => [`{ name: uplink, ${value} }`, ...faults]),
    ),
  );
  check(t, [
    [object, '{ name: uplink, file: /a }\n    - { name: unused, file: /b }'],
    [
      object,
      `${object}\n    - { name: uplink, file: /b }`,
      /track\[1\]\.name: there is already a tracked object named/,
    ],
    [
      'real_servers: [{ address: 10.10.10.2 }, { address: 10.10.10.3, weight: 2 }]',
      'real_servers: [{ address: 10.10.10.2, weight: 0 }]',
      /track\[1\]\.quorum: the real servers of 'web' weigh 0 together/,
    ],
  ]);
});

void t.test('uses of tracked objects', async (t) => {
  check(t, [
    ...puts('[uplink, { name: web-ok, weight: -30 }]', [
      ['[]'],
      ['[{ name: uplink }]'],
      ['[{ name: uplink, weight: 253 }, { name: web-ok, weight: -253 }]'],
      ['[{ name: uplink, weight: 254 }]', /track\[0\]\.weight: expected a whole number from -253 to 253/],
      ['[{ name: uplink, weight: 0 }]', /track\[0\]\.weight: a weight of 0 says nothing/],
      ['[uplnk]', /instances\[0\]\.track\[0\]: no tracked object is named 'uplnk'; did you mean 'uplink'/],
      ['[{ name: web-okay }]', /track\[0\]\.name: no tracked object is named/],
      ['[uplink, { name: uplink, weight: 1 }]', /track\[1\]\.name: there is already a use of 'uplink'/],
      ['[5]', /track\[0\]: expected the name of a tracked object, or/],
    ]),
    [
      'track: [probe]',
      'track: [prob]',
      /sync_groups\[0\]\.track\[0\]: no tracked object is named 'prob'; did/,
    ],
    ['priority: 100', 'priority: 254'],
    [
      'priority: 100',
      'priority: 255',
      /instances\[0\]\.track\[1\]\.weight: director 'lb2' owns the addresses of 'outside' \(priority 255\), which no/,
    ],
    // Weights count for the whole group.
    [
      'virtual_router_id: 52',
      'priority: { lb1: 255 }\n      virtual_router_id: 52',
      /owns the addresses of 'inside'/,
    ],
    [SIX, `priority: { lb1: 255 }\n      ${SIX}`],
    ['track: [probe]', 'track: [{ name: probe, weight: 5 }]'],
  ]);
  check(t, [
    [
      '{ name: web-ok, weight: -30 }]\n    - name: six',
      'web-ok]\n      priority: { lb2: 255 }\n    - name: six',
    ],
  ]);
});

void t.test('hooks', async (t) =>
  check(
    t,
    puts(
      '{ command: [/usr/bin/notify], on: [master, still-master], instances: [outside], user: root, timeout: 10s }',
      [
        ['{ command: [/usr/bin/notify] }'],
        ['{ on: [master] }', /hooks\[0\]\.command: is missing: expected a list of a path and its arguments/],
        ['{ command: [notify] }', /command\[0\]: expected the whole path of the command/],
        ['{ command: notify }', /command: expected a list of a path/],
        ['{ command: [/a], on: [] }', /on: expected at least one of 'master', 'backup'/],
        ['{ command: [/a], on: [leader] }', /on\[0\]: expected one of 'master', .*, not 'leader'/],
        [
          '{ command: [/a], instances: [outsid] }',
          /instances\[0\]: no instance is named 'outsid'; did you mean 'outside'/,
        ],
        ['{ command: [/a], instances: [] }', /instances: expected at least one instance: leave the key out/],
        ['{ command: [/a], timeout: 1ms }', /timeout: expected a duration from 100ms to 1h/],
      ],
    ),
  ),
);

void t.test('one UDP port leads to the same peers for all instances', async (t) => {
  const faultsOf = (first: unknown, second: unknown) => {
    const instance = (name: string, id: number, transport: unknown) => ({
      name,
      interface: 'eth0',
      virtual_router_id: id,
      transport,
      addresses: [`10.0.1.${id}/24`],
    });
    const file = {
      version: 1,
      directors: { lb1: { address: '10.0.0.1' }, lb2: { address: '10.0.0.2' } },
      vrrp: { instances: [instance('a', 1, first), instance('b', 2, second)] },
    };
    const result = parseConfig(JSON.stringify(file), { name: 'lb1' });
    return result.ok ? [] : result.faults.map(({ path, message }) => `${path}: ${message}`);
  };
  const own = { udp: { peers: {} } };
  const to = (lb2: string, port = 8112) => ({ udp: { port, peers: { lb1: '10.0.0.1', lb2 } } });
  t.strictSame(faultsOf(own, own), []);
  t.strictSame(faultsOf(own, to('10.0.0.2')), [], 'the same, said twice');
  t.strictSame(faultsOf(own, to('10.0.0.3', 8113)), [], 'another port');
  t.match(faultsOf(own, to('10.0.0.3')), [
    /^vrrp\.instances\[1\]\.transport: from 10\.0\.0\.1 port 8112 director 'lb1' speaks to other peers for instance 'a': give/,
  ]);
});
