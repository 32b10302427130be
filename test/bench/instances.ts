/**
 * `npm run bench:instances`: many instances on one interface, ours beside keepalived. Processor time and memory of
 * all processes of each director, and on the wire how late the advertisements of each virtual router are.
 */
import { parseArgs } from 'node:util';
import { sleep } from '../../src/drill/wait.js';
import type { Contender, Instance, Running } from './contenders.js';
import { BenchLab } from './lab.js';
import { contendersOf, numberWithin } from './options.js';
import { cpuSeconds, nameOf, residentKiB, tree } from './processes.js';
import { COMMON_OPTIONS, runBench } from './run-bench.js';
import { SummingWitness } from './summing-witness.js';
import { percentile, printTable } from './table.js';

const USAGE = `Usage: npm run bench:instances -- [OPTIONS]

  --count N       instances, 1 to 255, default 250
  --interval MS   advertisement interval in milliseconds, 10 to 1000, default 100
  --seconds N     length of the measurement, 5 to 3600, default 60
  --only WHO      ours or keepalived; default both
  --json          the results as JSON on standard output
`;

/** A deadline counts as missed when the advertisement comes later than this. */
const MISSED_MS = 20;
/** Start-up is no part of what is measured. */
const SETTLE_MS = 3000;

interface Cost {
  readonly host: string;
  /** Percent of one core. */
  readonly cpuPercent: number;
  readonly residentMiB: number;
  /** The same for each process by its name. */
  readonly processes: readonly {
    readonly name: string;
    readonly cpuPercent: number;
    readonly residentMiB: number;
  }[];
}

interface Result {
  readonly contender: Contender;
  readonly seconds: number;
  readonly costs: readonly Cost[];
  readonly virtualRouters: number;
  readonly advertisements: number;
  /** Milliseconds beyond the interval. */
  readonly latenessP99Ms: number;
  readonly latenessMaxMs: number;
  readonly missed: number;
  /** Virtual routers that were heard from another director than before. */
  readonly roleChanges: number;
}

type Chosen = NonNullable<ReturnType<typeof options>>;

function options() {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '250' },
      interval: { type: 'string', default: '100' },
      seconds: { type: 'string', default: '60' },
      only: { type: 'string' },
      ...COMMON_OPTIONS,
    },
  });
  if (values.help) return undefined;
  return {
    count: numberWithin(values.count, 1, 255, 'count'),
    intervalMs: numberWithin(values.interval, 10, 1000, 'interval'),
    seconds: numberWithin(values.seconds, 5, 3600, 'seconds'),
    contenders: contendersOf(values.only),
    json: values.json,
  };
}

function instances(count: number): Instance[] {
  return Array.from({ length: count }, (_, i) => ({
    name: `vr${i + 1}`,
    virtualRouterId: i + 1,
    address: `192.168.200.${i + 1}/32`,
  }));
}

type Sample = ReadonlyMap<number, { readonly name: string; readonly cpu: number; readonly kiB: number }>;

function sampleOf(running: Running): Sample {
  return new Map(
    tree(running.child.pid).map((pid) => [
      pid,
      { name: nameOf(pid), cpu: cpuSeconds(pid), kiB: residentKiB(pid) },
    ]),
  );
}

function costOf(running: Running, before: Sample, after: Sample, seconds: number): Cost {
  const processes = [...after].map(([pid, { name, cpu, kiB }]) => ({
    name,
    cpuPercent: (100 * (cpu - (before.get(pid)?.cpu ?? 0))) / seconds,
    residentMiB: kiB / 1024,
  }));
  const sum = (of: (one: (typeof processes)[number]) => number): number =>
    processes.reduce((total, one) => total + of(one), 0);
  return {
    host: running.host,
    cpuPercent: sum((one) => one.cpuPercent),
    residentMiB: sum((one) => one.residentMiB),
    processes,
  };
}

function once(
  contender: Contender,
  { count, intervalMs, seconds }: { count: number; intervalMs: number; seconds: number },
  signal: AbortSignal,
): Promise<Result> {
  return BenchLab.use(signal, async (bench) => {
    const pair = await bench.pair(contender, { intervalMs, instances: instances(count) });
    const witness = await SummingWitness.start(bench);
    await sleep(SETTLE_MS, signal);
    const before = pair.map(sampleOf);
    await witness.sums();
    const start = performance.now();
    await sleep(seconds * 1000, signal);
    const took = (performance.now() - start) / 1000;
    const gaps = await witness.sums();
    const costs = pair.map((one, i) => costOf(one, before[i] ?? new Map(), sampleOf(one), took));
    return {
      contender,
      seconds: took,
      costs,
      virtualRouters: gaps.virtualRouters,
      advertisements: gaps.packets,
      latenessP99Ms: Math.max(0, percentile(gaps.histogram, 0.99) - intervalMs),
      latenessMaxMs: gaps.maxMs - intervalMs,
      missed: gaps.histogram.reduce((n, gap, ms) => n + (ms >= intervalMs + MISSED_MS ? gap : 0), 0),
      roleChanges: gaps.sourceChanges.length,
    };
  });
}

function report(results: readonly Result[]): void {
  const costRow = (what: string, of: (result: Result) => string): string[] => [what, ...results.map(of)];
  const cost = (result: Result, host: number): Cost | undefined => result.costs[host];
  printTable(
    ['', ...results.map(({ contender }) => contender)],
    [
      costRow('master CPU, % of a core', (r) => (cost(r, 0)?.cpuPercent ?? 0).toFixed(1)),
      costRow('backup CPU, % of a core', (r) => (cost(r, 1)?.cpuPercent ?? 0).toFixed(1)),
      costRow('master RSS, MiB', (r) => (cost(r, 0)?.residentMiB ?? 0).toFixed(1)),
      costRow('backup RSS, MiB', (r) => (cost(r, 1)?.residentMiB ?? 0).toFixed(1)),
      costRow('virtual routers heard', (r) => String(r.virtualRouters)),
      costRow('advertisements', (r) => String(r.advertisements)),
      costRow('lateness p99, ms', (r) => r.latenessP99Ms.toFixed(0)),
      costRow('lateness max, ms', (r) => r.latenessMaxMs.toFixed(1)),
      costRow(`later than ${MISSED_MS} ms`, (r) => String(r.missed)),
      costRow('role changes', (r) => String(r.roleChanges)),
    ],
  );
  for (const { contender, costs } of results) {
    for (const { host, processes } of costs) {
      const parts = processes.map(
        ({ name, cpuPercent, residentMiB }) =>
          `${name} ${cpuPercent.toFixed(1)} % ${residentMiB.toFixed(1)} MiB`,
      );
      console.log(`${contender} on ${host}: ${parts.join(', ')}`);
    }
  }
}

async function run(chosen: Chosen, signal: AbortSignal): Promise<number> {
  const results: Result[] = [];
  for (const contender of chosen.contenders) {
    process.stderr.write(
      `${contender}: a pair with ${chosen.count} instances at ${chosen.intervalMs} ms, ${chosen.seconds} s\n`,
    );
    results.push(await once(contender, chosen, signal));
  }
  if (chosen.json) console.log(JSON.stringify(results, undefined, 2));
  else report(results);
  return 0;
}

await runBench({ name: 'bench:instances', usage: USAGE, options, run });
