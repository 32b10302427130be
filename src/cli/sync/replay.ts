import { parseArgs } from 'node:util';
import { replayConnections } from '../../io/sync/replay.js';
import { BUCKETS } from '../../sync/digest.js';
import { UsageError } from '../command.js';
import { jsonText } from '../json-text.js';
import { withKernelTable } from '../kernel-table.js';

export async function replay(argv: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      buckets: { type: 'string' },
      json: { type: 'boolean', default: false },
    },
  });
  const buckets = values.buckets === undefined ? undefined : parseBuckets(values.buckets);
  const report = await withKernelTable((ipvs) => replayConnections(ipvs, { buckets }));
  const { connections, messages, untellable } = report;
  const rest = untellable === 0 ? '' : `; ${untellable} cannot be told of`;
  process.stdout.write(
    values.json ? jsonText(report) : `${connections} connections in ${messages} messages${rest}\n`,
  );
  return 0;
}

function parseBuckets(text: string): ReadonlySet<number> {
  const buckets = text.split(',').map((part) => (/^\d{1,3}$/.test(part) ? Number(part) : BUCKETS));
  if (buckets.some((bucket) => bucket >= BUCKETS))
    throw new UsageError(`--buckets ${text}: numbers of 0 to ${BUCKETS - 1} with commas between them`);
  return new Set(buckets);
}
