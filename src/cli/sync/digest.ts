import { parseArgs } from 'node:util';
import { digestConnections } from '../../io/sync/replay.js';
import { jsonText } from '../json-text.js';
import { withKernelTable } from '../kernel-table.js';

export async function digest(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      json: { type: 'boolean', default: false },
    },
  });
  const { counts, sums } = await withKernelTable(digestConnections);
  if (values.json) {
    process.stdout.write(jsonText({ counts: [...counts], sums: [...sums] }));
    return 0;
  }
  const rows = Array.from(counts, (count, bucket) => ({ bucket, count, sum: sums[bucket] ?? 0 }));
  const lines = rows
    .filter(({ count }) => count > 0)
    .map(({ bucket, count, sum }) => {
      return `${String(bucket).padStart(6)} ${String(count).padStart(11)} ${sum.toString(16).padStart(8, '0')}\n`;
    });
  process.stdout.write(`bucket connections      sum\n${lines.join('')}`);
  return 0;
}
