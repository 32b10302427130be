/** What `ipvsadm` can say in the file: every rule with what it refuses and what it lets pass. */
import t, { type Test } from 'tap';
import type { VirtualServer } from '../../../src/config/model-servers.js';
import { parseConfig } from '../../../src/config/parse.js';
import { serviceKeyText } from '../../../src/ipvs/plan.js';
import { serviceKeyOf } from '../../../src/planning/desired.js';
import { type Case, checkEdits } from './cases.js';
import { httpCheck, realServer, tcpCheck, tlsCheck } from './servers.js';

const HEAD = `version: 1
directors: { lb1: { address: 10.0.0.1 } }
`;
const WHERE = 'address: 192.0.2.1, port: 80';
const REALS = 'real_servers: [{ address: 10.0.0.2 }, { address: 10.0.0.3 }]';
const GOOD = `${HEAD}virtual_servers:
  - { name: web, ${WHERE}, forwarding: tun, ${REALS} }
`;

const check = (t: Test, cases: readonly Case[]) => checkEdits(t, GOOD, cases);

function serversOf(...edits: readonly (readonly [from: string, to: string])[]): readonly VirtualServer[] {
  const text = edits.reduce((file, [from, to]) => file.replace(from, () => to), GOOD);
  const result = parseConfig(text, { name: 'lb1' });
  if (!result.ok) throw new Error(result.faults.map(({ message }) => message).join('\n'));
  return result.config.virtualServers;
}

function keysOf(servers: readonly VirtualServer[]): string[] {
  return servers.map((server) => serviceKeyText(serviceKeyOf(server)));
}

void t.test('several addresses and ports are so many services of one name', async (t) => {
  const servers = serversOf([
    WHERE,
    'addresses: [192.0.2.9, 192.0.2.254-192.0.3.1], ports: [80, 8000-8001], protocol: udp',
  ]);
  const addresses = ['192.0.2.9', '192.0.2.254', '192.0.2.255', '192.0.3.0', '192.0.3.1'];
  t.strictSame(
    keysOf(servers),
    addresses.flatMap((address) => [80, 8000, 8001].map((port) => `udp ${address}:${port}`)),
  );
  for (const { name, service, realServers } of servers) {
    t.equal(name, 'web');
    t.ok('port' in service && realServers.every(({ port }) => port === service.port), 'its port');
  }
});

void t.test('a real server serves the addresses of its family', async (t) => {
  const both = [WHERE, 'addresses: [192.0.2.1, 2001:db8::1], port: 80'] as const;
  const reals = [REALS, 'real_servers: [{ address: 10.0.0.2 }, { address: "fd00::2", port: 81 }]'] as const;
  const nat = ['tun', 'nat'] as const;
  const behind = (servers: readonly VirtualServer[]) =>
    servers.map(({ realServers }) => realServers.map(({ address, port }) => `${address} ${port}`));
  t.strictSame(behind(serversOf(both, reals, nat)), [['10.0.0.2 80'], ['fd00::2 81']]);
  t.strictSame(behind(serversOf(both)), [
    ['10.0.0.2 80', '10.0.0.3 80'],
    ['10.0.0.2 80', '10.0.0.3 80'],
  ]);
});

void t.test('a firewall mark', async (t) => {
  const servers = serversOf([WHERE, 'fwmark: 7']);
  t.strictSame(keysOf(servers), ['fwm 7']);
  t.strictSame(
    servers[0]?.realServers.map(({ port }) => port),
    [0, 0],
    'the port that the client asked for',
  );
  t.strictSame(keysOf(serversOf([WHERE, 'fwmark: 7, family: ipv6'])), ['fwm 7 ipv6']);
  const twice = `${GOOD}  - { name: a, fwmark: 7, forwarding: tun, ${REALS} }\n`;
  const faults = (more: string) => {
    const result = parseConfig(`${twice}  - { name: b, ${more}, forwarding: tun, ${REALS} }\n`, {
      name: 'lb1',
    });
    return result.ok ? [] : result.faults.map(({ line, message }) => `${line}: ${message}`);
  };
  const ports = (from: number) => `address: 192.0.2.9, ports: [${from}-${from + 9}]`;
  t.match(
    parseConfig(
      `${GOOD}  - { name: a, ${ports(1)}, forwarding: tun, ${REALS} }\n  - { name: b, ${ports(5)}, forwarding: tun, ${REALS} }\n`,
      {
        name: 'lb1',
      },
    ),
    { faults: [{ line: 6, message: "tcp 192.0.2.9:5 is already the virtual server 'a' (line 5)" }] },
    'of six in common one is told',
  );
  t.strictSame(faults('fwmark: 7, family: ipv6'), [], 'v4 and v6 of one number are two services');
  t.strictSame(faults('fwmark: 7'), ["6: fwmark 7 (IPv4) is already the virtual server 'a' (line 5)"]);
});

void t.test('which traffic', async (t) =>
  check(t, [
    [WHERE, 'port: 80', /address: is missing: expected 'address', 'addresses' or 'fwmark'/],
    [WHERE, 'address: 192.0.2.1', /port: is missing: expected 'port' or 'ports'/],
    [WHERE, `${WHERE}, addresses: [192.0.2.2]`, /addresses: 'address' is there already/],
    [WHERE, `${WHERE}, ports: [81]`, /ports: 'port' is there already/],
    [WHERE, `fwmark: 1, port: 80`, /port: goes not with 'fwmark'/],
    [WHERE, `fwmark: 0`, /fwmark: expected a whole number from 1 to 4294967295/],
    [WHERE, `fwmark: 4294967295`],
    [WHERE, `fwmark: 1, protocol: udp`, /protocol: goes not with 'fwmark'/],
    [WHERE, `${WHERE}, family: ipv6`, /family: goes with 'fwmark'/],
    [WHERE, 'address: 192.0.2.1, ports: []', /ports: expected at least one port/],
    [WHERE, 'address: 192.0.2.1, ports: [0]', /ports\[0\]: expected a whole number from 1 to 65535/],
    [WHERE, 'address: 192.0.2.1, ports: [9-8]', /ports\[0\]: '9-8' ends before it begins/],
    [
      WHERE,
      'address: 192.0.2.1, ports: [80, 79-81]',
      /virtual_servers\[0\]: tcp 192\.0\.2\.1:80 is in it twice/,
    ],
    [WHERE, 'address: 192.0.2.1, ports: [1-4096]'],
    [WHERE, 'address: 192.0.2.1, ports: [1-4097]', /'1-4097' is more than 4096 ports/],
    [WHERE, 'addresses: [192.0.2.2-192.0.2.1], port: 80', /ends before it begins/],
    [
      WHERE,
      'addresses: [192.0.2.2-2001:db8::1], port: 80',
      /begins in one address family and ends in the other/,
    ],
    [WHERE, 'addresses: [192.0.2.2-x], port: 80', /ends with an address that is not an IPv4 address/],
    [WHERE, 'addresses: [10.0.0.0-10.255.255.255], port: 80', /is more than 4096 addresses/],
    [
      WHERE,
      'addresses: [10.0.0.0-10.0.3.255], ports: [1-5]',
      /1024 addresses with 5 ports are 5120 services: at most 4096/,
    ],
    [WHERE, 'address: 192.0.2.1, port: 0', /port 0, all ports, needs 'persistence'/],
    [WHERE, 'address: 192.0.2.1, port: 0, persistence: {}'],
    [WHERE, 'address: "fe80::1", port: 80', /'fe80::1' is link-local, and IPVS tells no interfaces apart/],
  ]),
);

void t.test('scheduling and persistence', async (t) =>
  check(t, [
    [WHERE, `${WHERE}, scheduler: mh, scheduler_flags: [mh-port, mh-fallback]`],
    [WHERE, `${WHERE}, scheduler: sh, scheduler_flags: [mh-port]`, /is for the scheduler 'mh', not for 'sh'/],
    [WHERE, `${WHERE}, scheduler_flags: [port]`, /expected a scheduler flag \(sh-fallback, sh-port/],
    [WHERE, `${WHERE}, one_packet: true`, /one_packet: schedules each UDP packet alone/],
    [WHERE, `${WHERE}, one_packet: true, protocol: udp`],
    [WHERE, 'fwmark: 1, one_packet: true'],
    [WHERE, `${WHERE}, persistence: { engine: sip }`, /engine: the engine 'sip' reads UDP/],
    [WHERE, `${WHERE}, persistence: { engine: sip }, protocol: udp`],
    [WHERE, `${WHERE}, persistence: { engine: sips }`, /expected 'sip', the one persistence engine/],
    [WHERE, `${WHERE}, persistence: { prefix_length: 64 }`, /is for IPv6, .* has none: expected 'netmask'/],
    [WHERE, 'address: "2001:db8::1", port: 80, persistence: { prefix_length: 64 }'],
    [
      WHERE,
      'address: "2001:db8::1", port: 80, persistence: { netmask: 255.255.255.0 }',
      /is for IPv4, .* has none: expected 'prefix_length'/,
    ],
  ]),
);

const [FIRST, SECOND] = ['{ address: 10.0.0.2 }', '{ address: 10.0.0.3 }'] as const;

void t.test('real servers', async (t) =>
  check(t, [
    [FIRST, '{ address: 10.0.0.2, forwarding: nat, port: 8080 }'],
    [FIRST, '{ address: 10.0.0.2, forwarding: dr, port: 8080 }', /forwarding 'dr' maps no ports: .*port 80/],
    [FIRST, '{ address: 10.0.0.2, thresholds: { upper: 100, lower: 80 } }'],
    [
      FIRST,
      '{ address: 10.0.0.2, thresholds: { upper: 80, lower: 100 } }',
      /lower: is above the upper threshold 80/,
    ],
    [FIRST, '{ address: 10.0.0.2, thresholds: { lower: 1 } }', /is above the upper threshold 0/],
    [FIRST, '{ address: "fd00::2" }'],
    [FIRST, '{ address: "fd00::2", forwarding: nat }', /forwarding 'tun' alone goes from one to the other/],
    [FIRST, '{ address: "fe80::2" }', /is link-local/],
    [`directors:`, `connection_sync: { interface: eth0, id: 1 }\ndirectors:`],
    [SECOND, FIRST, /real_servers\[1\]: 10\.0\.0\.2:80 is already a real server/],
    [WHERE, 'address: 192.0.2.1, ports: [80, 81]'],
    [
      FIRST,
      '{ address: 10.0.0.2, forwarding: nat, tunnel: { type: gre } }',
      /tunnel: goes with forwarding 'tun'/,
    ],
  ]),
);

void t.test('failed and leaving real servers, and the sorry server', async (t) => {
  const sorry = (text: string) => `${WHERE}, sorry_server: ${text}`;
  check(t, [
    [WHERE, `${WHERE}, on_failure: weight_zero, drain: 0s`],
    [WHERE, `${WHERE}, on_failure: keep`, /on_failure: expected 'remove' or 'weight_zero'/],
    [WHERE, `${WHERE}, drain: 25h`, /drain: expected a duration from 0ms? to/],
    [WHERE, sorry('{ address: 10.0.0.9, forwarding: nat, port: 8080 }')],
    [WHERE, sorry('{ address: 10.0.0.9, port: 8080 }'), /sorry_server\.port: forwarding 'tun' maps no ports/],
    [WHERE, sorry('{ address: 10.0.0.2 }'), /sorry_server: 10\.0\.0\.2:80 is already a real server/],
    [WHERE, sorry('{ address: "fd00::9" }'), /sorry_server\.address: 'fd00::9' is IPv6, and no address/],
    [WHERE, sorry('{ address: 10.0.0.9, weight: 1 }'), /unknown key 'weight'/],
  ]);
  const [server] = serversOf([WHERE, sorry('{ address: 10.0.0.9 }')]);
  t.strictSame(server?.sorryServer, realServer('10.0.0.9', { forwarding: 'tun' }));
});

void t.test('quorum, panic threshold and slow start', async (t) => {
  const sorry = `${WHERE}, sorry_server: { address: 10.0.0.9 }`;
  const checked = `${WHERE}, health_check: { tcp: {} }`;
  check(t, [
    [WHERE, `${sorry}, quorum: { up: 1 }`],
    [WHERE, `${sorry}, quorum: { up: 0 }`, /quorum\.up: expected a whole number from 1/],
    [WHERE, `${sorry}, quorum: { up: 1, hysteresis: 1 }`, /quorum\.hysteresis: is to be less than 'up'/],
    [
      WHERE,
      `${sorry}, quorum: { up: 70000 }`,
      /quorum\.up: 70000 is more than the weights of the real servers, \d+: the sorry server/,
    ],
    [WHERE, `${WHERE}, quorum: { up: 1 }`, /quorum: says when the sorry server has the traffic/],
    [WHERE, `${checked}, panic_threshold: 50%, slow_start: 30s`],
    [WHERE, `${checked}, panic_threshold: 0%`, /panic_threshold: expected a percentage such as 50%/],
    [WHERE, `${checked}, panic_threshold: 0.5`, /panic_threshold: expected a percentage such as 50%/],
    [WHERE, `${checked}, slow_start: 2h`, /slow_start: expected a duration/],
    [WHERE, `${WHERE}, panic_threshold: 50%`, /panic_threshold: needs 'health_check'/],
    [WHERE, `${WHERE}, slow_start: 30s`, /slow_start: needs 'health_check'/],
    [
      WHERE,
      `${sorry}, health_check: { tcp: {} }, panic_threshold: 50%`,
      /panic_threshold: goes not with 'sorry_server'/,
    ],
  ]);
  const [server] = serversOf([WHERE, `${checked}, panic_threshold: 5%, slow_start: 30s`]);
  t.match(server, { quorum: { up: 1, hysteresis: 0 }, panicThreshold: 0.05, slowStartMs: 30_000 });
});

void t.test('a quorum that one address family cannot reach is refused', async (t) => {
  const nat = GOOD.replace('tun', 'nat').replace(REALS, `${REALS.slice(0, -1)}, { address: "fd00::2" }]`);
  const both = 'addresses: [192.0.2.1, "2001:db8::1"], port: 80, sorry_server: { address: 10.0.0.9 }';
  checkEdits(t, nat, [
    [WHERE, `${both}, quorum: { up: 2 }`, /quorum\.up: 2 is more than the weights of the real servers, 1/],
    [WHERE, `${both}, quorum: { up: 1 }`],
  ]);
});

void t.test('real servers of the other family and the sync daemons exclude each other', async (t) => {
  const good = GOOD.replace(FIRST, () => '{ address: "fd00::2" }');
  checkEdits(t, good, [
    [
      'directors:',
      'connection_sync: { interface: eth0, id: 1 }\ndirectors:',
      /the kernel refuses that beside its connection sync/,
    ],
    [WHERE, 'addresses: [192.0.2.1, "2001:db8::1"], port: 80'],
  ]);
});

void t.test('each address family of a virtual server has real servers', async (t) => {
  const nat = GOOD.replace('tun', 'nat');
  checkEdits(t, nat, [
    [
      WHERE,
      'addresses: [192.0.2.1, "2001:db8::1"], port: 80',
      /real_servers: has none for the IPv6 addresses/,
    ],
  ]);
});

void t.test('ports of real servers where the virtual server has several', async (t) => {
  const several = GOOD.replace(WHERE, 'address: 192.0.2.1, ports: [80, 81]').replace('tun', 'nat');
  checkEdits(t, several, [
    [FIRST, '{ address: 10.0.0.2, port: 8080 }'],
    [SECOND, '{ address: 10.0.0.2, port: 81 }', /real_servers\[1\]: 10\.0\.0\.2:81 is already a real server/],
    [SECOND, '{ address: 10.0.0.2, port: 82 }'],
    [FIRST, '{ address: 10.0.0.2, port: 80, forwarding: dr }', /maps no ports: leave it out/],
  ]);
});

void t.test('tunnels', async (t) => {
  const tunnel = (text: string) => `${WHERE}, tunnel: ${text}`;
  check(t, [
    [WHERE, tunnel('{ type: ipip }')],
    [WHERE, tunnel('{ type: ipip, checksum: csum }'), /checksum: 'ipip' has no 'csum': expected none/],
    [WHERE, tunnel('{ type: gre, checksum: csum }')],
    [WHERE, tunnel('{ type: gre, checksum: remcsum }'), /'gre' has no 'remcsum': expected none or csum/],
    [WHERE, tunnel('{ type: gre, port: 6080 }'), /port: 'gre' has no port: gue alone has one/],
    [WHERE, tunnel('{ type: gue, port: 6080, checksum: remcsum }')],
    [WHERE, tunnel('{ type: gue }'), /port: is missing: expected the UDP port of the gue tunnel/],
    [WHERE, tunnel('{ type: vxlan }'), /type: expected 'ipip', 'gue' or 'gre'/],
  ]);
  const gue = { type: 'gue', port: 6080, checksum: 'none' };
  const [server] = serversOf(
    [WHERE, tunnel('{ type: gue, port: 6080 }')],
    [SECOND, '{ address: 10.0.0.3, forwarding: dr }'],
  );
  t.match(server?.realServers, [
    { forwarding: 'tun', tunnel: gue },
    { forwarding: 'dr', tunnel: undefined },
  ]);
});

void t.test('a check needs a port where the real server has none', async (t) => {
  check(t, [
    [WHERE, 'fwmark: 7, health_check: { tcp: {} }', /health_check\.port: is missing/],
    [WHERE, 'fwmark: 7, health_check: { tcp: {}, port: 80 }'],
    [WHERE, 'fwmark: 7, health_check: { command: [/bin/true] }'],
    [
      WHERE,
      'address: 192.0.2.1, port: 0, persistence: {}, health_check: { http: {} }',
      /health_check\.port: is missing/,
    ],
    [WHERE, `${WHERE}, health_check: { tcp: {}, port: 0 }`, /port: expected a whole number from 1 to 65535/],
  ]);
  const [server] = serversOf([WHERE, `${WHERE}, health_check: { tcp: {}, port: 8080 }`]);
  t.equal(server?.healthChecks?.checks[0]?.port, 8080);
});

void t.test('several checks', async (t) => {
  const by = (text: string) => `${WHERE}, health_checks: ${text}`;
  check(t, [
    [WHERE, by('{ any_of: [{ tcp: {} }, { https: { path: /up }, port: 443, interval: 5s, rise: 1 }] }')],
    [WHERE, by('{ all_of: [{ tcp: {} }] }, panic_threshold: 50%, slow_start: 30s')],
    [WHERE, by('{}'), /health_checks: expected either any_of or all_of, with a list of checks/],
    [
      WHERE,
      by('{ any_of: [{ tcp: {} }], all_of: [{ tcp: {} }] }'),
      /health_checks: expected either any_of or all_of/,
    ],
    [WHERE, by('[{ tcp: {} }]'), /health_checks: expected a mapping \(any_of or all_of\), not a list/],
    [WHERE, by('{ any_of: { tcp: {} } }'), /any_of: expected a list of health checks, not a mapping/],
    [WHERE, by('{ any_of: [] }'), /any_of: expected 1 to 8 checks/],
    [WHERE, by(`{ any_of: [${'{ tcp: {} },'.repeat(9)}] }`), /any_of: expected 1 to 8 checks/],
    [WHERE, by('{ one_of: [{ tcp: {} }] }'), /unknown key 'one_of'/],
    [
      WHERE,
      `${by('{ any_of: [{ tcp: {} }] }')}, health_check: { tcp: {} }`,
      /health_checks: goes not with 'health_check'/,
    ],
    [WHERE, by('{ all_of: [{ tcp: {} }, { fall: 2 }] }'), /all_of\[1\]: names no check/],
    [
      WHERE,
      by('{ any_of: [{ tcp: {} }, { tcp: {}, timeout: 3s }] }'),
      /any_of\[1\]\.timeout: the timeout 3s is longer/,
    ],
    [
      WHERE,
      'fwmark: 7, health_checks: { all_of: [{ tcp: {}, port: 80 }, { http: {} }] }',
      /all_of\[1\]\.port: is missing/,
    ],
  ]);
  const checksOf = (text: string) => serversOf([WHERE, by(text)])[0]?.healthChecks;
  const list = '[{ tcp: {} }, { tcp: {}, port: 81, fall: 1, retry: 2, delay_before_retry: 500ms }]';
  const checks = [tcpCheck(), tcpCheck({ port: 81, fall: 1, retry: 2, delayBeforeRetryMs: 500 })];
  t.strictSame(checksOf(`{ any_of: ${list} }`), { needs: 'any', checks });
  t.strictSame(checksOf(`{ all_of: ${list} }`), { needs: 'all', checks });
});

void t.test('http and https', async (t) => {
  const http = (text: string) => `${WHERE}, health_check: { http: { ${text} } }`;
  const https = (text: string) => `${WHERE}, health_check: { https: { ${text} } }`;
  check(t, [
    [WHERE, http('status: [200, 300-399]')],
    [WHERE, http('status: 300-399')],
    [WHERE, http('status: []'), /status/],
    [WHERE, http('status: 100'), /status/],
    [WHERE, http('status: 399-300'), /'399-300' ends before it begins/],
    [WHERE, http('status: 100-399'), /goes beyond the status codes 200 to 599/],
    [WHERE, http('method: POST'), /method: expected 'GET' or 'HEAD'/],
    [WHERE, http('method: HEAD, body: ok'), /body: an answer to 'HEAD' has no body/],
    [WHERE, http('headers: { X-Probe: yes it is }')],
    [WHERE, http('headers: { "X Probe": "1" }'), /the name of an HTTP header/],
    [WHERE, http('headers: { X-Probe: "1\\n2" }'), /visible text on one line/],
    [WHERE, http('sni: web.example'), /unknown key 'sni'/],
    [WHERE, https('sni: web.example, ca_file: /etc/ssl/ca.pem')],
    [WHERE, https('verify: false')],
    [WHERE, https('sni: web1')],
    [WHERE, https('sni: 10.0.0.2'), /sni: expected a host name, as in a certificate/],
    [WHERE, http('path: [/a, /b]')],
    [WHERE, http('path: []'), /path: expected a path, or a list of them/],
    [WHERE, http('path: [/a, b]'), /path\[1\]: expected a path that begins with '\/'/],
    [WHERE, http('body_matches: "^ok|(fine)"')],
    [
      WHERE,
      http('body_matches: "(a"'),
      /body_matches: '\(a' is no regular expression .*: Unterminated group/,
    ],
    [WHERE, http('method: HEAD, body_matches: a'), /body_matches: an answer to 'HEAD' has no body/],
    [WHERE, http(`digest: { md5: ${'0f'.repeat(16)} }`)],
    [WHERE, http(`digest: { md5: ${'0f'.repeat(32)} }`), /md5: expected 32 hexadecimal digits/],
    [WHERE, http('digest: {}'), /digest: expected either 'sha256' or 'md5'/],
    [
      WHERE,
      http(`digest: { md5: ${'0f'.repeat(16)}, sha256: ${'0f'.repeat(32)} }`),
      /digest: expected either 'sha256' or 'md5'/,
    ],
    [WHERE, http('digest: { sha1: aa }'), /digest\.sha1: unknown key 'sha1'/],
    [WHERE, https('min_version: TLSv1.2, max_version: TLSv1.3')],
    [
      WHERE,
      https('min_version: 1.2'),
      /min_version: expected a version of TLS \(TLSv1, TLSv1.1, .*, not 1.2/,
    ],
    [WHERE, https('min_version: TLSv1.3, max_version: TLSv1.2'), /max_version: is below min_version TLSv1.3/],
    [WHERE, https('ca_file: ca.pem'), /ca_file: expected a path that begins with '\/'/],
    [
      WHERE,
      `${WHERE}, health_check: { tcp: {}, https: {} }`,
      /https: a health check is either tcp or https, not both/,
    ],
  ]);
  const [server] = serversOf([WHERE, https('sni: web.example, headers: { X-A: b }, status: [204, 301-302]')]);
  const tls = tlsCheck({ serverName: 'web.example' });
  const status = [
    [204, 204],
    [301, 302],
  ] as const;
  t.strictSame(server?.healthChecks?.checks[0]?.kind, httpCheck({ tls, status, headers: { 'x-a': 'b' } }));
  const kindOf = (text: string) => serversOf([WHERE, text])[0]?.healthChecks?.checks[0]?.kind;
  const hex = 'AB'.repeat(32);
  t.strictSame(
    kindOf(http(`path: [/a, /b], body: x, body_matches: y, digest: { sha256: ${hex} }`)),
    httpCheck({
      paths: ['/a', '/b'],
      body: { text: 'x', pattern: 'y', digest: { algorithm: 'sha256', hex: hex.toLowerCase() } },
    }),
  );
  t.strictSame(
    kindOf(https('min_version: TLSv1, max_version: TLSv1.1')),
    httpCheck({ tls: tlsCheck({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1' }) }),
  );
});

void t.test('udp, dns and commands', async (t) => {
  const by = (text: string) => `${WHERE}, health_check: { ${text} }`;
  check(t, [
    [WHERE, by('udp: {}')],
    [
      WHERE,
      by('udp: { send: { hex: 00fg } }'),
      /send.*: expected a text of at most 1232 bytes, or \{ hex: 00ff \}/,
    ],
    [WHERE, by(`udp: { send: ${'x'.repeat(1233)} }`), /send: expected a text of at most 1232 bytes/],
    [WHERE, by('dns: {}')],
    [WHERE, by('dns: { name: example.org, type: AAAA }')],
    [WHERE, by('dns: { name: "a b" }'), /name: expected a domain name/],
    [WHERE, by('dns: { type: AXFR }'), /type: expected a record type \(A, AAAA/],
    [WHERE, by('command: [/bin/true], user: checker')],
    [WHERE, by('command: [true.sh]'), /command\[0\]: expected the whole path/],
    [WHERE, by('command: []'), /command: expected a list of a path and its arguments/],
    [WHERE, by('tcp: {}, user: checker'), /user: goes with 'command'/],
    [WHERE, by('tcp: {}, exit_status_weight: true'), /exit_status_weight: goes with 'command'/],
    [WHERE, by('command: [/bin/true], exit_status_weight: 1'), /exit_status_weight: expected true or false/],
    [WHERE, by('dns: {}, udp: {}'), /a health check is either dns or udp, not both/],
  ]);
  const kindOf = (text: string) => serversOf([WHERE, by(text)])[0]?.healthChecks?.checks[0]?.kind;
  t.strictSame(kindOf('udp: { send: hä, expect: { hex: 00FF } }'), {
    type: 'udp',
    send: '68c3a4',
    expect: '00ff',
  });
  t.strictSame(kindOf('dns: {}'), { type: 'dns', name: '.', recordType: 'SOA' });
  t.strictSame(kindOf('command: [/bin/true], exit_status_weight: true'), {
    type: 'command',
    command: ['/bin/true'],
    user: undefined,
    exitStatusWeight: true,
  });
  t.match(kindOf('command: [/bin/true]'), { exitStatusWeight: false });
});

void t.test('tcp with a script and with TLS', async (t) => {
  const tcp = (text: string) => `${WHERE}, health_check: { tcp: { ${text} } }`;
  const choice = /script\[0\]: expected either 'expect' or 'send'/;
  check(t, [
    [WHERE, tcp('')],
    [WHERE, tcp('script: []')],
    [WHERE, tcp('script: [{ expect: "220" }, { send: "QUIT\\r\\n" }, { expect: { hex: 00FF } }]')],
    [WHERE, tcp('script: [{ expect: 220 }]'), /script\[0\]\.expect: expected a text of 1 to 4096 bytes/],
    [WHERE, tcp('script: [{ expect: "" }]'), /expected a text of 1 to 4096 bytes, or \{ hex: 00ff \}/],
    [WHERE, tcp(`script: [{ send: { hex: "" } }]`), /expected a text of 1 to 4096 bytes/],
    [WHERE, tcp('script: [{ expect: a, send: b }]'), choice],
    [WHERE, tcp('script: [{}]'), choice],
    [WHERE, tcp('script: [{ expct: a }]'), /script\[0\]\.expct: unknown key 'expct'; did you mean 'expect'/],
    [WHERE, tcp(`script: [${'{ send: a }, '.repeat(33)}]`), /script: expected at most 32 steps/],
    [WHERE, tcp('tls: {}')],
    [WHERE, tcp('tls: { sni: web.example, ca_file: /etc/ssl/ca.pem }')],
    [WHERE, tcp('tls: { min_version: TLSv1.3, max_version: TLSv1.2 }'), /tls\.max_version: is below/],
    [WHERE, tcp('tls: { sni: 10.0.0.2 }'), /tls\.sni: expected a host name, as in a certificate/],
  ]);
  const kindOf = (text: string) => serversOf([WHERE, tcp(text)])[0]?.healthChecks?.checks[0]?.kind;
  t.strictSame(kindOf('script: []'), { type: 'tcp' });
  t.strictSame(kindOf('script: [{ expect: ab }, { send: { hex: 00FF } }], tls: { verify: false }'), {
    type: 'stream',
    tls: tlsCheck({ verify: false }),
    conversation: {
      protocol: 'script',
      steps: [
        { type: 'expect', bytes: '6162' },
        { type: 'send', bytes: '00ff' },
      ],
    },
  });
});

void t.test('ready checks of protocols', async (t) => {
  const by = (text: string) => `${WHERE}, health_check: { ${text} }`;
  const kindOf = (text: string) => serversOf([WHERE, by(text)])[0]?.healthChecks?.checks[0]?.kind;
  const stream = (conversation: object, tls?: object) => ({ type: 'stream', tls, conversation });
  t.strictSame(kindOf('smtp: {}'), stream({ protocol: 'smtp', helo: 'localhost' }));
  for (const protocol of ['imap', 'pop3', 'ftp', 'redis']) {
    const tls = tlsCheck({ serverName: 'a.example' });
    t.strictSame(kindOf(`${protocol}: { tls: { sni: a.example } }`), stream({ protocol }, tls));
  }
  t.strictSame(kindOf('mysql: {}'), stream({ protocol: 'mysql', user: 'lvs-director' }));
  t.strictSame(
    kindOf('postgresql: { database: app }'),
    stream({ protocol: 'postgresql', user: 'lvs-director', database: 'app' }),
  );
  check(t, [
    [WHERE, by('smtp: { helo: "[192.0.2.1]" }')],
    [WHERE, by('smtp: { helo: "a\\r\\nDATA" }'), /helo: expected a host name, or an address in brackets/],
    [WHERE, by('mysql: { user: a b }'), /user: expected the name of a user of at most 32 characters/],
    [WHERE, by('mysql: { tls: {} }'), /unknown key 'tls'; known here: user/],
    [WHERE, by('postgresql: { user: "a\\0database" }'), /user: expected the name of a user of at most 63/],
    [WHERE, by('imap: {}, pop3: {}'), /a health check is either imap or pop3, not both/],
    [WHERE, by('interval: 1s'), /names no check: expected one of tcp, smtp, .*command, such as tcp: \{\}/],
  ]);
});

void t.test('which way a check goes', async (t) => {
  const by = (text: string) => `${WHERE}, health_check: { tcp: {}, ${text} }`;
  check(t, [
    [WHERE, by('address: 10.9.9.9, source_address: 10.0.0.9')],
    [WHERE, by('source_address: { lb1: 10.0.0.8 }')],
    [
      WHERE,
      by('source_address: { lb9: 10.0.0.8 }'),
      /source_address: names no source address for lb1/,
      /no director is named 'lb9'/,
    ],
    [WHERE, by('source_address: eth0'), /source_address: 'eth0' is not an IPv4 address/],
    [WHERE, by('source_address: "fd00::1"'), /source_address: 'fd00::1' is IPv6, and what is asked is IPv4/],
    [WHERE, by('address: "fd00::2", source_address: "fd00::1"')],
    [WHERE, by('source_address: { lb1: "fd00::1" }'), /source_address\.lb1: 'fd00::1' is IPv6/],
    [WHERE, `${WHERE}, health_check: { command: [/bin/true], address: 10.0.0.1 }`, /address: goes not with/],
  ]);
  const kindOf = (text: string) => serversOf([WHERE, by(text)])[0]?.healthChecks?.checks[0]?.kind;
  t.strictSame(kindOf('source_address: { lb1: 10.0.0.8 }'), { type: 'tcp', from: '10.0.0.8' });
  t.strictSame(kindOf('address: 10.9.9.9'), { type: 'tcp', to: '10.9.9.9' });
});

void t.test('grpc', async (t) => {
  const by = (text: string) => `${WHERE}, health_check: { grpc: { ${text} } }`;
  check(t, [
    [WHERE, by('service: a.b.C, tls: { sni: a.example }')],
    [WHERE, by('service: a b'), /service: expected the name of a service of at most 127 characters/],
    [WHERE, by('tls: { min_version: TLSv1.3, max_version: TLSv1 }'), /max_version: is below min_version/],
  ]);
  const kindOf = (text: string) => serversOf([WHERE, by(text)])[0]?.healthChecks?.checks[0]?.kind;
  t.strictSame(kindOf(''), { type: 'grpc', tls: undefined, service: '' });
  t.strictSame(kindOf('service: a.B, tls: {}'), { type: 'grpc', tls: tlsCheck(), service: 'a.B' });
});

void t.test('icmp has no port', async (t) => {
  check(t, [
    [WHERE, `${WHERE}, health_check: { icmp: {} }`],
    [WHERE, 'fwmark: 7, health_check: { icmp: {} }'],
    [
      WHERE,
      `${WHERE}, health_check: { icmp: {}, port: 7 }`,
      /port: goes not with 'icmp', which has no ports/,
    ],
    [WHERE, `${WHERE}, health_check: { icmp: { count: 3 } }`, /unknown key 'count'/],
  ]);
  const [server] = serversOf([WHERE, `${WHERE}, health_check: { icmp: {} }`]);
  t.strictSame(server?.healthChecks?.checks[0]?.kind, { type: 'icmp' });
});

void t.test('settings of IPVS as a whole', async (t) => {
  const ipvs = (text: string) => `ipvs: { ${text} }\ndirectors:`;
  check(t, [
    ['directors:', ipvs('timeouts: { tcp: 15m, tcpfin: 2m, udp: 30s }')],
    [
      'directors:',
      ipvs('timeouts: { tcp: 1500ms }'),
      /ipvs\.timeouts\.tcp: expected a duration .*in whole seconds/,
    ],
    ['directors:', ipvs('timeouts: { sctp: 1s }'), /unknown key 'sctp'/],
    ['directors:', ipvs('sysctls: { conntrack: 1, sync_threshold: 3 50, est_cpulist: 0-3, est_nice: -5 }')],
    ['directors:', ipvs('sysctls: { conntrak: 1 }'), /unknown key 'conntrak'; did you mean 'conntrack'/],
    ['directors:', ipvs('sysctls: { conntrack: 2 }'), /expected a whole number from 0 to 1, not 2/],
    ['directors:', ipvs('sysctls: { sync_threshold: 3 }'), /expected two numbers such as '3 50'/],
    ['directors:', ipvs('exclusive: true')],
    ['directors:', ipvs('exclusive: all'), /ipvs\.exclusive: expected true or false/],
  ]);
  const text = GOOD.replace('directors:', () => ipvs('timeouts: { udp: 30s }, sysctls: { conntrack: 1 }'));
  const result = parseConfig(text, { name: 'lb1' });
  t.match(result, {
    config: {
      ipvs: { timeouts: { tcpSeconds: 0, tcpFinSeconds: 0, udpSeconds: 30 }, sysctls: { conntrack: '1' } },
    },
  });
});
