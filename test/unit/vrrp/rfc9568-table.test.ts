/** Holds docs/RFC9568.md to its word: every requirement that applies has a positive and a negative test. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';

/** `dist/test/unit` or `test/unit`: the first folder above that has the table. */
function findRoot(): string {
  for (let folder = import.meta.dirname, hops = 0; hops < 6; folder = join(folder, '..'), hops++) {
    if (readdirSync(folder).includes('package.json')) return folder;
  }
  throw new Error('no package.json above this file');
}

const ROOT = findRoot();
const LEVELS = ['MUST', 'MUST NOT', 'SHOULD', 'SHOULD NOT', 'RECOMMENDED', 'NOT RECOMMENDED'];

interface Row {
  readonly id: string;
  readonly level: string;
  readonly proof: string;
}

function rowsOf(table: string): Row[] {
  return table
    .split('\n')
    .filter((line) => line.startsWith('| RFC9568-'))
    .map((line) => {
      const [, id = '', level = '', , , proof = ''] = line.split('|').map((cell) => cell.trim());
      return { id, level, proof };
    });
}

/** A test's name is there as it stands, or made of the id by a loop. */
function hasTest(source: string, id: string, polarity: string): boolean {
  if (source.includes(`'${id} ${polarity}: `)) return true;
  return source.includes(`'${id}'`) && source.includes(`\${id} ${polarity}: `);
}

/** What is wrong with a table, given what reads a test file. */
function complaints(table: string, read: (path: string) => string | undefined): string[] {
  const wrong: string[] = [];
  const seen = new Set<string>();
  for (const { id, level, proof } of rowsOf(table)) {
    if (seen.has(id)) wrong.push(`${id} twice`);
    seen.add(id);
    if (!LEVELS.includes(level)) wrong.push(`${id}: no level ${level}`);
    if (/^(n\/a|deviation): ./.test(proof)) continue;
    const source = read(proof);
    if (source === undefined) {
      wrong.push(`${id}: no file ${proof}`);
      continue;
    }
    for (const polarity of ['positive', 'negative']) {
      if (!hasTest(source, id, polarity)) wrong.push(`${id}: no ${polarity} test in ${proof}`);
    }
  }
  return wrong;
}

const TABLE = readFileSync(join(ROOT, 'docs', 'RFC9568.md'), 'utf8');

function read(path: string): string | undefined {
  try {
    return readFileSync(join(ROOT, path), 'utf8');
  } catch {
    return undefined;
  }
}

await t.test('every requirement has its tests, or a reason why not', async (t) => {
  t.ok(rowsOf(TABLE).length > 70, 'the table is read');
  t.same(complaints(TABLE, read), []);
});

await t.test('every id in a test is in the table', async (t) => {
  const ids = new Set(rowsOf(TABLE).map(({ id }) => id));
  for (const folder of ['unit', 'net']) {
    for (const file of readdirSync(join(ROOT, 'test', folder)).filter((name) =>
      name.startsWith('rfc9568-'),
    )) {
      if (file === 'rfc9568-table.test.ts') continue;
      const source = read(join('test', folder, file)) ?? '';
      const used = source.match(/RFC9568-[\d.]+-\d+/g) ?? [];
      t.ok(used.length > 0, file);
      t.same(
        [...new Set(used)].filter((id) => !ids.has(id)),
        [],
        file,
      );
    }
  }
});

await t.test('a table that does not hold is found', async (t) => {
  const row = (id: string, proof: string) => `| ${id} | MUST | x | y | ${proof} |\n`;
  const files: Readonly<Record<string, string>> = {
    'a.ts': "'RFC9568-1-1 positive: yes' 'RFC9568-1-1 negative: no'",
    'b.ts': "'RFC9568-1-1 positive: yes'",
    'loop.ts': "['RFC9568-1-1'] `${id} positive: yes` `${id} negative: no`",
  };
  const of = (table: string) => complaints(table, (path) => files[path]);
  t.same(of(row('RFC9568-1-1', 'a.ts')), []);
  t.same(of(row('RFC9568-1-1', 'loop.ts')), []);
  t.same(of(row('RFC9568-1-1', 'n/a: hosts')), []);
  t.same(of(row('RFC9568-1-1', 'b.ts')), ['RFC9568-1-1: no negative test in b.ts']);
  t.same(of(row('RFC9568-1-1', 'gone.ts')), ['RFC9568-1-1: no file gone.ts']);
  t.same(of(row('RFC9568-1-1', 'n/a:')), ['RFC9568-1-1: no file n/a:']);
  t.same(of(row('RFC9568-1-2', 'a.ts')).length, 2);
  t.same(of(row('RFC9568-1-1', 'a.ts').repeat(2)), ['RFC9568-1-1 twice']);
});
