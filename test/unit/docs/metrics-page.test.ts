/** Holds docs/METRICS.md to its word: it has every metric with its type and labels, and no other. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { parseConfig } from '../../../src/config/parse.js';
import { projectFolder } from '../../../src/drill/vm/session.js';
import { METRICS } from '../../../src/observe/metrics/exposition.js';

const TEXT = readFileSync(join(projectFolder(), 'docs', 'METRICS.md'), 'utf8');
const PREFIX = 'lvs_director_';

/** Rows of the tables as `name type labels`; `{a,b}` in a name stands for several. */
function rows(): string[] {
  return TEXT.split('\n').flatMap((line) => {
    const [, first = '', type = '', labels = ''] = line.split('|').map((cell) => cell.trim());
    const names = [...first.matchAll(/`([a-z0-9_]+)`/g)].map((match) => match[1] ?? '');
    if (!['counter', 'gauge', 'histogram'].includes(type)) return [];
    return names.map((name) => `${name} ${type} ${labels.replaceAll('`', '')}`);
  });
}

void t.test('every metric has a row, and every row is a metric', async (t) => {
  const known = METRICS.map(
    ({ name, type, labels }) => `${name.slice(PREFIX.length)} ${type} ${labels.join(', ')}`,
  );
  t.same(rows().toSorted(), known.toSorted());
});

void t.test('alerts name metrics that there are', async (t) => {
  const named = [...TEXT.matchAll(/lvs_director_[a-z0-9_]+[a-z0-9]/g)].map(([name]) => name);
  const known = new Set(METRICS.flatMap(({ name }) => [name, `${name}_bucket`, `${name}_count`]));
  t.ok(named.length >= 3);
  t.same(
    named.filter((name) => !known.has(name)),
    [],
  );
});

void t.test('the example is a good part of a file', async (t) => {
  const [, example = ''] = /```yaml\n(metrics:[^]*?)```/.exec(TEXT) ?? [];
  const result = parseConfig(`version: 1\ndirectors: { lb1: { address: 10.0.0.1 } }\n${example}`, {
    name: 'lb1',
  });
  t.match(result, { ok: true, config: { metrics: { listen: { address: '127.0.0.1', port: 9110 } } } });
});
