/** Where metrics may be served: every rule with what it refuses and what it lets pass. */
import t from 'tap';
import { parseConfig } from '../../../src/config/parse.js';
import { type Case, checkEdits } from './cases.js';

const GOOD = `version: 1
directors: { lb1: { address: 10.10.10.11 } }
metrics: { listen: 127.0.0.1:9110 }
`;
const WRITTEN = '127.0.0.1:9110';
const TOO_LONG = `/${'x'.repeat(107)}`;

const refused = (listen: string, reason: RegExp): Case => [
  WRITTEN,
  JSON.stringify(listen),
  new RegExp(`^metrics\\.listen: ${reason.source}`),
];

void t.test('what nobody reaches from elsewhere is taken', async (t) => {
  const listens = [
    ['127.0.0.1:9110', { address: '127.0.0.1', port: 9110 }],
    ['127.8.9.10:1', { address: '127.8.9.10', port: 1 }],
    ['"[::1]:65535"', { address: '::1', port: 65_535 }],
    ['"[0:0:0:0:0:0:0:1]:9110"', { address: '::1', port: 9110 }],
    ['unix:/run/lvs-director/metrics.sock', { path: '/run/lvs-director/metrics.sock' }],
    [`unix:${TOO_LONG.slice(1).replace('x', '/')}`, { path: TOO_LONG.slice(1).replace('x', '/') }],
  ] as const;
  for (const [written, listen] of listens) {
    const result = parseConfig(
      GOOD.replace(WRITTEN, () => written),
      { name: 'lb1' },
    );
    t.match(result, { ok: true, config: { metrics: { listen, realServers: false } } }, written);
  }
});

void t.test('series for each real server are asked for', async (t) => {
  const result = parseConfig(GOOD.replace('9110 }', '9110, real_servers: true }'), { name: 'lb1' });
  t.match(result, { ok: true, config: { metrics: { realServers: true } } });
});

void t.test('without the section there are none', async (t) => {
  const result = parseConfig(GOOD.replace(/metrics.*\n/, ''), { name: 'lb1' });
  t.ok(result.ok);
  t.equal(result.ok && result.config.metrics, undefined);
});

void t.test('all else is refused, and why', async (t) =>
  checkEdits(t, GOOD, [
    refused('0.0.0.0:9110', /'0\.0\.0\.0:9110' can be reached from elsewhere: expected a loopback address/),
    refused('10.10.10.11:9110', /'10\.10\.10\.11:9110' can be reached from elsewhere/),
    refused('128.0.0.1:9110', /.* can be reached from elsewhere/),
    refused('[::]:9110', /'\[::\]:9110' can be reached from elsewhere/),
    refused('[2001:db8::1]:9110', /.* can be reached from elsewhere/),
    refused('[::ffff:127.0.0.1]:9110', /.* can be reached from elsewhere/),
    refused('::1:9110', /'::1:9110' is no address with a port: expected 127\.0\.0\.1:9110, /),
    refused('[127.0.0.1]:9110', /.* is no address with a port/),
    refused('localhost:9110', /'localhost:9110' is no address with a port/),
    refused(':9110', /.* is no address with a port/),
    refused('127.0.0.1', /.* is no address with a port/),
    refused('127.0.0.1:', /.* is no address with a port/),
    refused('127.0.0.1:http', /.* is no address with a port/),
    refused('127.0.0.1:0', /.* has a bad port: expected 1 to 65535/),
    refused('127.0.0.1:65536', /.* has a bad port/),
    refused('unix:metrics.sock', /'unix:metrics\.sock' names no socket: expected a whole path/),
    refused('unix:', /.* names no socket/),
    refused('unix:/run/', /.* names no socket/),
    refused('/run/metrics.sock', /.* is no address with a port: .* or unix:\/run/),
    refused(`unix:${TOO_LONG}`, /.* is too long: the path of a unix socket has at most 107 bytes/),
    [WRITTEN, '9110', /^metrics\.listen: expected 127\.0\.0\.1:9110, or unix:\/PATH, not 9110/],
    ['listen: 127.0.0.1:9110', '', /^metrics\.listen: is missing: expected 127\.0\.0\.1:9110/],
    ['{ listen: 127.0.0.1:9110 }', 'true', /^metrics: expected a mapping \(listen, real_servers\), not true/],
    ['9110 }', '9110, real_server: true }', /^metrics\.real_server: unknown key .* 'real_servers'/],
    ['9110 }', '9110, real_servers: yes }', /^metrics\.real_servers: expected true or false, not 'yes'/],
  ]),
);

void t.test('a fault has its place', async (t) => {
  const result = parseConfig(GOOD.replace(WRITTEN, '0.0.0.0:9110'), { name: 'lb1' });
  t.match(result, { ok: false, faults: [{ line: 3, column: 20, path: 'metrics.listen' }] });
});
