/** No text makes the parser throw or run on, and every fault stands somewhere in the text. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { draftOf } from '../../../src/config/draft.js';
import type { VrrpInstance } from '../../../src/config/model.js';
import { parseConfig } from '../../../src/config/parse.js';
import { MAX_FAULTS } from '../../../src/config/place.js';
import { fileSchema } from '../../../src/config/schema/schema.js';

const NAT = readFileSync(new URL('../../../../config/nat.yaml', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => !line.startsWith('#'))
  .join('\n');

/** Far above what any of these texts takes; a parser that runs on exceeds every limit. */
const LIMIT_MS = 20_000;

// On a machine that does much else.
t.setTimeout(180_000);

function holds(text: string): boolean {
  const started = performance.now();
  const result = parseConfig(text, { name: 'lb1' });
  if (performance.now() - started > LIMIT_MS) return false;
  if (result.ok) return result.config.director === 'lb1';
  const lines = text.split(/\r\n|\n|\r/);
  return (
    result.faults.length > 0 &&
    result.faults.length <= MAX_FAULTS + 1 &&
    result.faults.every(({ line, column, message }, index) => {
      const before = result.faults[index - 1];
      const sorted =
        before === undefined || before.line < line || (before.line === line && before.column <= column);
      const inside = line >= 1 && column >= 1 && column <= (lines[line - 1]?.length ?? -1) + 1;
      return sorted && inside && message !== '' && !message.includes('\n');
    })
  );
}

const yamlPiece = fc.constantFrom(
  'a: ',
  '- ',
  '[',
  ']',
  '{',
  '}',
  ': ',
  '? ',
  '&x ',
  '*x',
  '!!str ',
  '"',
  "'",
  '|\n',
  '>-\n',
  '---\n',
  '...\n',
  '\n',
  '\n  ',
  '\n    ',
  '#',
  '%YAML 1.2\n',
  '<<: ',
  '__proto__: ',
  'constructor: ',
  '\t',
  '\r\n',
  '\0',
  '~',
  ',',
  'version: 1\n',
  'directors:\n',
  'vrrp:\n',
  'instances:\n',
  'lb1: ',
  '1s',
  '1e400',
  '0x',
  'null',
  '\ud800',
  '\ufeff',
);

void t.test('any text', async () => {
  fc.assert(fc.property(fc.string({ unit: 'binary', maxLength: 400 }), holds), { numRuns: 300 });
});

void t.test('pieces of YAML in any order', async () => {
  const text = fc.array(yamlPiece, { maxLength: 60 }).map((pieces) => pieces.join(''));
  fc.assert(fc.property(text, holds), { numRuns: 1500 });
});

void t.test('a good file with a piece cut out and another put in', async () => {
  const edit = fc.tuple(fc.nat(NAT.length), fc.nat(40), fc.oneof(yamlPiece, fc.string({ maxLength: 10 })));
  fc.assert(
    fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
      let text = NAT;
      for (const [at, cut, put] of edits) text = text.slice(0, at) + put + text.slice(at + cut);
      return holds(text);
    }),
    { numRuns: 1000 },
  );
});

void t.test('the whole shape is good', async (t) => {
  for (const name of ['lb1', 'lb2']) t.ok(parseConfig(JSON.stringify(wholeShape()), { name }).ok, name);
});

void t.test('a draft of a good file is what the schema makes of it', async (t) => {
  const written: unknown = JSON.parse(JSON.stringify(wholeShape()));
  t.equal(JSON.stringify(draftOf(fileSchema, written)), JSON.stringify(fileSchema.parse(written)));
  t.equal(draftOf(fileSchema, 'no mapping'), undefined);
});

void t.test('a wrong value is missing from a draft, and nothing else is', async (t) => {
  const good = draftOf(fileSchema, wholeShape());
  const [priority, repeat] = [
    ['vrrp', 'instances', '0', 'priority', 'lb1'],
    ['vrrp', 'instances', '0', 'announce', 'repeat', '0'],
  ];
  for (const path of [priority, repeat]) {
    const draft = draftOf(fileSchema, replaced(wholeShape(), path, 'x'));
    t.equal(at(draft, path), undefined);
    t.strictSame(replaced(draft, path, 0), replaced(good, path, 0), path.join('.'));
  }
});

void t.test('any value in any place', async () => {
  const document: unknown = wholeShape();
  const places = leaves(document);
  fc.assert(
    fc.property(fc.constantFrom(...places), fc.jsonValue({ maxDepth: 3 }), (place, value) =>
      holds(JSON.stringify(replaced(document, place, value))),
    ),
    { numRuns: 400 },
  );
});

void t.test('a value that stands elsewhere in the file, in any place', async () => {
  const document: unknown = wholeShape();
  const places = leaves(document);
  const values = places.map((path) => at(document, path));
  fc.assert(
    fc.property(fc.constantFrom(...places), fc.constantFrom(...values), (place, value) =>
      holds(JSON.stringify(replaced(document, place, value))),
    ),
    { numRuns: 400 },
  );
});

/** Settings of one instance, good ones and bad ones, that say things about each other. */
const anyInstance = fc.record(
  {
    version: fc.constantFrom(2, 3),
    advertisement_interval: fc.constantFrom('10ms', '1s', '40.95s', '41s', '255s'),
    checksum: fc.constantFrom('rfc5798', 'rfc9568'),
    priority: fc.constantFrom({ lb1: 255 }, { lb2: 254 }),
    virtual_mac: fc.boolean(),
    preempt: fc.constantFrom(false, true, { delay: '1s' }),
    transport: fc.constantFrom(
      'multicast',
      'unicast',
      'udp',
      { unicast: { lb1: '10.0.0.1', lb2: '10.0.0.2' } },
      { unicast: { lb1: 'fe80::a', lb2: 'fe80::b' } },
      { udp: { peers: {} } },
    ),
    addresses: fc.oneof(
      fc.constantFrom<unknown[]>(['10.0.0.9/24'], ['2001:DB8::1/64', 'fe80::1/64']),
      fc.array(
        fc.constantFrom<unknown>(
          '10.0.0.9/24',
          'fe80::1/64',
          { address: '2001:DB8::1/64' },
          { address: 'fe80::2/64', interface: 'eth1' },
          { address: '10.0.0.8/24', advertise: false },
        ),
        { minLength: 1, maxLength: 4 },
      ),
    ),
    routes: fc.array(
      fc.constantFrom({ to: 'default' }, { to: 'default', via: '10.0.0.8' }, { to: '2001:DB8::/32' }),
      { maxLength: 2 },
    ),
    track: fc.array(fc.constantFrom<unknown>('f', { name: 'f', weight: -1 }), { maxLength: 1 }),
  },
  { requiredKeys: ['addresses'] },
);

void t.test('what is accepted keeps what the model promises', async (t) => {
  let accepted = 0;
  fc.assert(
    fc.property(anyInstance, fc.constantFrom('lb1', 'lb2'), (settings, name) => {
      const text = JSON.stringify({
        version: 1,
        directors: { lb1: { address: '10.0.0.1' }, lb2: { address: '10.0.0.2' } },
        vrrp: {
          track: [{ name: 'f', file: '/f' }],
          instances: [{ name: 'a', interface: 'eth0', virtual_router_id: 7, ...settings }],
        },
      });
      const result = parseConfig(text, { name });
      if (!result.ok) return holds(text);
      accepted += 1;
      return result.config.instances.every(keepsPromises);
    }),
    { numRuns: 800 },
  );
  t.ok(accepted > 10, `${accepted} were accepted`);
});

function keepsPromises(instance: VrrpInstance): boolean {
  const { version, family, advertised, transport, advertisementIntervalMs: interval } = instance;
  const familyOf = (address: string) => (address.includes(':') ? 'ipv6' : 'ipv4');
  const ends = transport.kind === 'multicast' ? [] : [transport.local ?? [], transport.peers].flat();
  const own = instance.virtualMacInterface ?? instance.interface;
  const first = instance.addresses.find((one) => one.address === advertised[0]);
  return (
    advertised.length > 0 &&
    advertised.every((address) => familyOf(address) === family) &&
    (family === 'ipv4' || (advertised[0]?.startsWith('fe80:') === true && first?.interface === own)) &&
    ends.every((address) => familyOf(address) === family) &&
    (version === 2
      ? family === 'ipv4' && interval % 1000 === 0 && interval >= 1000 && interval <= 255_000
      : interval % 10 === 0 && interval >= 10 && interval <= 40_950) &&
    (instance.virtualMacInterface === undefined || transport.kind === 'multicast') &&
    (instance.priority < 255 || instance.track.every(({ weight }) => weight === undefined)) &&
    instance.routes.every(
      ({ destination, via }) => via === undefined || familyOf(via) === familyOf(destination),
    ) &&
    !JSON.stringify(instance).includes('DB8')
  );
}

void t.test('large and hostile files end soon', async (t) => {
  const many = 20_000;
  const line = (make: (n: number) => string, count = many) =>
    Array.from({ length: count }, (_, n) => make(n)).join('\n');
  const head = 'version: 1\ndirectors: { lb1: { address: 10.0.0.1 } }\n';
  const instance =
    'vrrp:\n  instances:\n    - { name: a, interface: eth0, virtual_router_id: 1, addresses: [10.9.9.9/24] }\n';
  const texts = {
    'unknown keys': line((n) => `key${n}: 1`),
    'duplicate keys': line(() => 'version: 1'),
    directors: `version: 1\ndirectors:\n${line((n) => `  lb${n}: { address: 10.0.0.1 }`)}`,
    'bad priorities': `${head}${instance.replace('name: a,', `name: a, priority: { ${line((n) => `d${n}: x,`).replaceAll('\n', ' ')} },`)}`,
    'unknown instances': `${head}${instance}  sync_groups:\n    - name: g\n      instances:\n${line((n) => `        - ${'n'.repeat(50)}${n}`)}`,
    addresses: `${head}${instance.replace('10.9.9.9/24', line((n) => `"fe80::${n.toString(16)}/64",`, 8000).replaceAll('\n', ' '))}`,
    routes: `${head}${instance.replace('name: a,', `name: a, routes: [${line((n) => `{ to: 10.${n >> 8}.${n & 255}.0/24 },`, 8000).replaceAll('\n', ' ')}],`)}`,
    'default routes': `${head}${instance.replace('10.9.9.9/24', line((n) => `"fe80::${n.toString(16)}/64",`, 8000).replaceAll('\n', ' ')).replace('name: a,', `name: a, routes: [${line(() => '{ to: default },', 8000).replaceAll('\n', ' ')}],`)}`,
    instances: `${head}vrrp:\n  instances:\n${line((n) => `    - { name: a${n}, interface: eth0, virtual_router_id: 1, virtual_mac: true, addresses: ["fe80::1/64"] }`, 8000)}`,
    'tracked objects': `${head}${instance}  track:\n${line((n) => `    - { name: t${n}, virtual_server: v${n}, quorum: 9 }`, 8000)}`,
    'unknown objects': `${head}${instance}  sync_groups:\n    - name: g\n      instances: [a, a]\n      track:\n${line((n) => `        - ${'n'.repeat(50)}${n}`, 8000)}`,
    arguments: `${head}${instance}  hooks:\n    - { command: [${line(() => '/x,', 8000).replaceAll('\n', ' ')}] }`,
    brackets: '['.repeat(500_000),
    'open quotes': '"'.repeat(200_000),
    colons: 'a: b: '.repeat(50_000),
    questions: '? '.repeat(100_000),
    dashes: '- '.repeat(100_000),
    anchors: line((n) => `k${n}: &a${n} x`),
    'long line': `version: ${'1'.repeat(1_000_000)}`,
  };
  for (const [name, text] of Object.entries(texts)) t.ok(holds(text), name);
});

function wholeShape(): unknown {
  return {
    version: 1,
    directors: { lb1: { priority: 1, address: '10.0.0.1' }, lb2: { address: '10.0.0.2' } },
    vrrp: {
      startup_delay: '5s',
      track: [
        { name: 'i', interface: { lb1: 'x', lb2: 'y' }, address: '10.0.0.7', debounce: '1s' },
        { name: 'f', file: '/run/f', interval: '1s' },
        { name: 's', script: ['/bin/s', '-x'], user: 'nobody', timeout: '1s', rise: 2, fall: 2 },
        { name: 'p', process: 'haproxy' },
        { name: 'v', virtual_server: 'w', quorum: 1 },
      ],
      hooks: [{ command: ['/bin/h', 'x'], on: ['master'], instances: ['a'], user: 'root', timeout: '1s' }],
      instances: [
        {
          name: 'a',
          interface: { lb1: 'x', lb2: 'y' },
          virtual_router_id: 1,
          version: 3,
          advertisement_interval: '1s',
          preempt: { delay: '1s' },
          priority: { lb1: 3 },
          startup_delay: '1s',
          accept_mode: false,
          virtual_mac: false,
          transport: { unicast: { lb1: '10.0.0.1', lb2: '10.0.0.2' }, min_ttl: 255 },
          checksum: 'rfc9568',
          addresses: ['10.0.0.9/24', { address: '10.0.0.8/24', interface: 'z', advertise: true }],
          routes: [{ to: 'default', via: '10.0.0.254', source: '10.0.0.9', metric: 1, interface: 'x' }],
          announce: { repeat: ['1s', '2s'], refresh: '60s' },
          track: ['i', { name: 'v', weight: -30 }],
        },
        {
          name: 'b',
          interface: 'x',
          virtual_router_id: 1,
          virtual_mac: true,
          addresses: ['fe80::1/64', '2001:db8::1/64'],
        },
        {
          name: 'c',
          interface: 'x',
          virtual_router_id: 2,
          transport: { udp: { port: 9, peers: { lb1: '10.0.0.1', lb2: '10.0.0.2' } } },
          addresses: ['10.0.0.7/24'],
        },
      ],
      sync_groups: [{ name: 'g', instances: ['a', 'b'], track: [{ name: 'p' }] }],
    },
    connection_sync: { interface: 'x', id: 1 },
    virtual_servers: [
      {
        name: 'w',
        address: '10.0.0.9',
        port: 80,
        forwarding: 'nat',
        persistence: { timeout: '5m' },
        health_check: { http: { path: '/' }, interval: '2s' },
        real_servers: [{ address: '10.0.0.3', port: 80 }],
      },
    ],
  };
}

/** Every path into a value, inner nodes included. */
function leaves(value: unknown, path: readonly string[] = []): (readonly string[])[] {
  if (typeof value !== 'object' || value === null) return [path];
  return [path, ...Object.entries(value).flatMap(([key, inner]) => leaves(inner, [...path, key]))];
}

function at(value: unknown, path: readonly string[]): unknown {
  const [key, ...rest] = path;
  if (key === undefined || typeof value !== 'object' || value === null) return value;
  return at(Object.entries(value).find(([name]) => name === key)?.[1], rest);
}

function replaced(value: unknown, path: readonly string[], put: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined || typeof value !== 'object' || value === null) return put;
  const entries = Object.entries(value).map(([name, inner]) => [
    name,
    name === key ? replaced(inner, rest, put) : inner,
  ]);
  return Array.isArray(value) ? entries.map(([, inner]) => inner) : Object.fromEntries(entries);
}
