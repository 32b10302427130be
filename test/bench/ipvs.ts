/**
 * `npm run bench:ipvs`: a table of thousands of services in the VM, programmed by a director, by keepalived and by
 * `ipvsadm -R` in one run: start, reload of one weight, `director weight`, memory.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startVm } from '../../src/drill/vm/session.js';
import type { ScaleResult } from './guest/ipvs-scale.js';
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

async function measured({ counts, reals, who }: Chosen, signal: AbortSignal): Promise<ScaleResult[]> {
  const outDir = mkdtempSync(join(tmpdir(), 'bench-ipvs-'));
  const progress = (line: string): void => void process.stderr.write(`${line}\n`);
  const results: ScaleResult[] = [];
  try {
    const vm = await startVm({ outDir, signal, memoryMiB: 4096, onProgress: progress });
    try {
      for (const [index, count] of counts.entries()) {
        progress(`${count} services with ${reals} real servers each, by ${who.join(', ')}`);
        // Once: a log of every change makes a start slower.
        const more = index === 0 && who.includes('ours') ? ['ours, telling its messages'] : [];
        const { status, stderr } = await vm.run(
          ['node', 'dist/test/bench/guest/ipvs-scale.js', String(count), String(reals), ...who, ...more],
          {
            timeoutMs: RUN_LIMIT_MS,
            onOutput: (line) => {
              if (!line.startsWith('{"who"')) return;
              progress(`  ${line}`);
              results.push(JSON.parse(line));
            },
          },
        );
        if (status !== 0) throw new Error(`the guest's program failed: ${stderr.trim()}`);
      }
    } finally {
      await vm.stop();
    }
  } finally {
    rmSync(outDir, { recursive: true, force: true });
  }
  return results;
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
