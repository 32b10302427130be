/**
 * `npm run bench:ipvs`: a table of thousands of services in the VM, programmed by a director, by keepalived and by
 * `ipvsadm -R` in one run: start, reload of one weight, `director weight`, memory.
 */
import { parseArgs } from 'node:util';
import type { ScaleResult } from './guest/ipvs-scale.js';
import { inGuest, say } from './support/guest.js';
import { numberWithin } from './support/options.js';
import { COMMON_OPTIONS, runBench } from './support/run-bench.js';
import { printTable } from './support/table.js';

const USAGE = `Usage: npm run bench:ipvs -- [OPTIONS]

  --counts LIST   services, 10 to 20000 each, default 1000,5000,10000
  --reals N       real servers of each, 1 to 16, default 4
  --only LIST     of ours, keepalived, ipvsadm; default all
  --json          the results as JSON on standard output, progress on standard error

In the VM of the drill. keepalived runs with its checkers alone, and nobody checks a real server.
`;

const WHO = ['ipvsadm', 'keepalived', 'ours'] as const;
const RUN_LIMIT_MS = 45 * 60_000;

type Chosen = NonNullable<ReturnType<typeof options>>;

function options() {
  const { values } = parseArgs({
    options: {
      counts: { type: 'string', default: '1000,5000,10000' },
      reals: { type: 'string', default: '4' },
      only: { type: 'string', default: WHO.join(',') },
      ...COMMON_OPTIONS,
    },
  });
  if (values.help) return undefined;
  const only = values.only.split(',');
  const stranger = only.find((one) => !WHO.some((who) => who === one));
  if (stranger !== undefined) throw new RangeError(`'${stranger}' is none of ${WHO.join(', ')}`);
  return {
    counts: values.counts.split(',').map((text) => numberWithin(text, 10, 20_000, 'counts')),
    reals: numberWithin(values.reals, 1, 16, 'reals'),
    who: WHO.filter((one) => only.includes(one)),
    json: values.json,
  };
}

function measured({ counts, reals, who }: Chosen, signal: AbortSignal): Promise<ScaleResult[]> {
  return inGuest({ signal, memoryMiB: 4096 }, async (guest) => {
    const results: ScaleResult[] = [];
    for (const [index, count] of counts.entries()) {
      say(`${count} services with ${reals} real servers each, by ${who.join(', ')}`);
      // Once: a log of every change makes a start slower.
      const more = index === 0 && who.includes('ours') ? ['ours, telling its messages'] : [];
      const args = [String(count), String(reals), ...who, ...more];
      results.push(...(await guest.results<ScaleResult>('ipvs-scale.js', args, RUN_LIMIT_MS)));
    }
    return results;
  });
}

function print(results: readonly ScaleResult[]): void {
  const seconds = (ms: number | undefined): string => (ms === undefined ? '-' : (ms / 1000).toFixed(1));
  printTable(
    [
      'services',
      'who',
      'start, s',
      'reload of one weight, s',
      'messages',
      'director weight, s',
      'messages',
      'resident MiB',
    ],
    results.map((one) => [
      String(one.services),
      one.who,
      seconds(one.startMs),
      seconds(one.reloadMs),
      String(one.reloadChanges ?? '-'),
      seconds(one.orderMs),
      String(one.orderChanges ?? '-'),
      one.residentMiB?.toFixed(0) ?? '-',
    ]),
  );
  for (const ours of results.filter(({ who }) => who === 'ours')) {
    const theirs = results.find(({ who, services }) => who === 'keepalived' && services === ours.services);
    if (theirs?.reloadMs === undefined || ours.reloadMs === undefined) continue;
    console.log(
      `${ours.services} services, ours / keepalived: start ${(ours.startMs / theirs.startMs).toFixed(2)}, ` +
        `reload ${(ours.reloadMs / theirs.reloadMs).toFixed(2)}`,
    );
  }
}

await runBench({
  name: 'bench:ipvs',
  usage: USAGE,
  options,
  run: async (chosen, signal) => {
    const results = await measured(chosen, signal);
    if (chosen.json) process.stdout.write(`${JSON.stringify(results, undefined, 2)}\n`);
    else print(results);
    return 0;
  },
});
