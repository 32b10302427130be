/** No text makes the parser throw or run on, and every fault stands somewhere in the text. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import t from 'tap';
import { parseConfig } from '../../src/config/parse.js';
import { MAX_FAULTS } from '../../src/config/report.js';

const NAT = readFileSync(new URL('../../../config/nat.yaml', import.meta.url), 'utf8')
  .split('\n')
  .filter((line) => !line.startsWith('#'))
  .join('\n');

/** Far above what any of these texts takes; a parser that runs on exceeds every limit. */
const LIMIT_MS = 20_000;

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

void t.test('any value in any place', async () => {
  const document: unknown = wholeShape();
  const places = leaves(document);
  fc.assert(
    fc.property(fc.constantFrom(...places), fc.jsonValue({ maxDepth: 3 }), (place, value) =>
      holds(JSON.stringify(replaced(document, place, value))),
    ),
    { numRuns: 500 },
  );
});

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
      instances: [
        {
          name: 'a',
          interface: { lb1: 'x', lb2: 'y' },
          virtual_router_id: 1,
          preempt: { delay: '1s' },
          priority: { lb1: 3 },
          addresses: ['10.0.0.9/24', { address: '10.0.0.8/24', interface: 'z' }],
        },
      ],
      sync_groups: [{ name: 'g', instances: ['a', 'b'] }],
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

function replaced(value: unknown, path: readonly string[], put: unknown): unknown {
  const [key, ...rest] = path;
  if (key === undefined || typeof value !== 'object' || value === null) return put;
  const entries = Object.entries(value).map(([name, inner]) => [
    name,
    name === key ? replaced(inner, rest, put) : inner,
  ]);
  return Array.isArray(value) ? entries.map(([, inner]) => inner) : Object.fromEntries(entries);
}
