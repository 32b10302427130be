/**
 * `npm run bench:instances`: many instances on one interface, ours beside keepalived. Processor time and memory of
 * all processes of each director, and on the wire how late the advertisements of each virtual router are. The two take
 * turns: how fast a virtual machine's processors are changes within minutes.
 */
import { parseArgs } from 'node:util';
import { sleep } from '../../src/drill/wait.js';
import type { Contender, Instance, Running } from './support/contenders.js';
import { BenchLab } from './support/lab.js';
import { contendersOf, numberWithin } from './support/options.js';
import { cpuSeconds, nameOf, residentKiB, tree } from './support/processes.js';
import { COMMON_OPTIONS, runBench } from './support/run-bench.js';
import { type Standstill, unaccountedMs } from './support/standstills.js';
import { SummingWitness } from './support/summing-witness.js';
import { mean, percentile, printTable } from './support/table.js';

const USAGE = `Usage: npm run bench:instances -- [OPTIONS]

  --count N       instances, 1 to 255, default 250
  --interval MS   advertisement interval in milliseconds, 10 to 1000, default 100
  --seconds N     length of a measurement, 5 to 3600, default 30
  --rounds N      measurements of each, in turn, 1 to 20, default 4
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
  /** Advertisements by the whole milliseconds between them and the one before. */
  readonly histogram: readonly number[];
  /** Milliseconds beyond the interval. */
  readonly latenessMaxMs: number;
  readonly missed: number;
  /** The same without the time in which a processor of this machine ran nobody. */
  readonly missedOwn: number;
  /** Virtual routers that were heard from another director than before. */
  readonly roleChanges: number;
}

type Chosen = NonNullable<ReturnType<typeof options>>;

function options() {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '250' },
      interval: { type: 'string', default: '100' },
      seconds: { type: 'string', default: '30' },
      rounds: { type: 'string', default: '4' },
      only: { type: 'string' },
      ...COMMON_OPTIONS,
    },
  });
  if (values.help) return undefined;
  return {
    count: numberWithin(values.count, 1, 255, 'count'),
    intervalMs: numberWithin(values.interval, 10, 1000, 'interval'),
    seconds: numberWithin(values.seconds, 5, 3600, 'seconds'),
    rounds: numberWithin(values.rounds, 1, 20, 'rounds'),
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
    const lateMs = intervalMs + MISSED_MS;
    const witness = await SummingWitness.start(bench, ['--long', String(lateMs)]);
    const standstills: Standstill[] = [];
    await bench.processorWitnesses((one) => standstills.push(one));
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
      histogram: gaps.histogram,
      latenessMaxMs: gaps.maxMs - intervalMs,
      missed: gaps.histogram.reduce((n, gap, ms) => n + (ms >= lateMs ? gap : 0), 0),
      missedOwn: gaps.longGaps.filter((gap) => unaccountedMs(gap, standstills) > lateMs).length,
      roleChanges: gaps.sourceChanges.length,
    };
  });
}

/** Of all rounds of one contender. */
function report(rounds: readonly Result[], intervalMs: number): void {
  const contenders = [...new Set(rounds.map(({ contender }) => contender))];
  const columns = contenders.map((who) => rounds.filter(({ contender }) => contender === who));
  const row = (what: string, of: (own: readonly Result[]) => string): string[] => [what, ...columns.map(of)];
  const cpu = (host: number) => (own: readonly Result[]) =>
    mean(own.map(({ costs }) => costs[host]?.cpuPercent ?? 0));
  const memory = (host: number) => (own: readonly Result[]) =>
    Math.max(...own.map(({ costs }) => costs[host]?.residentMiB ?? 0));
  const sum = (of: (result: Result) => number) => (own: readonly Result[]) =>
    own.reduce((total, result) => total + of(result), 0);
  const all = (own: readonly Result[]): number[] =>
    own.reduce<number[]>((total, { histogram }) => histogram.map((n, ms) => n + (total[ms] ?? 0)), []);
  printTable(
    ['', ...contenders],
    [
      row('master CPU, % of a core', (own) => cpu(0)(own).toFixed(1)),
      row('backup CPU, % of a core', (own) => cpu(1)(own).toFixed(1)),
      row('master RSS at most, MiB', (own) => memory(0)(own).toFixed(1)),
      row('backup RSS at most, MiB', (own) => memory(1)(own).toFixed(1)),
      row('virtual routers heard', (own) => String(Math.min(...own.map((r) => r.virtualRouters)))),
      row('advertisements', (own) => String(sum((r) => r.advertisements)(own))),
      row('lateness p99, ms', (own) => Math.max(0, percentile(all(own), 0.99) - intervalMs).toFixed(0)),
      row('lateness max, ms', (own) => Math.max(...own.map((r) => r.latenessMaxMs)).toFixed(1)),
      row(`later than ${MISSED_MS} ms`, (own) => String(sum((r) => r.missed)(own))),
      row('  without standstills', (own) => String(sum((r) => r.missedOwn)(own))),
      row('role changes', (own) => String(sum((r) => r.roleChanges)(own))),
    ],
  );
  const [ours, theirs] = ['ours', 'keepalived'].map((who) => rounds.filter((r) => r.contender === who));
  if (ours?.length && theirs?.length)
    console.log(
      `processor time, ours / keepalived: master ${(cpu(0)(ours) / cpu(0)(theirs)).toFixed(2)}, ` +
        `backup ${(cpu(1)(ours) / cpu(1)(theirs)).toFixed(2)}`,
    );
}

function tell({ contender, costs, missed, roleChanges }: Result): void {
  process.stderr.write(`  later than ${MISSED_MS} ms: ${missed}, role changes: ${roleChanges}\n`);
  for (const { host, processes } of costs) {
    const parts = processes.map(
      ({ name, cpuPercent, residentMiB }) =>
        `${name} ${cpuPercent.toFixed(1)} % ${residentMiB.toFixed(1)} MiB`,
    );
    process.stderr.write(`  ${contender} on ${host}: ${parts.join(', ')}\n`);
  }
}

async function run(chosen: Chosen, signal: AbortSignal): Promise<number> {
  const results: Result[] = [];
  for (let round = 1; round <= chosen.rounds; round++) {
    for (const contender of chosen.contenders) {
      process.stderr.write(
        `[${round}/${chosen.rounds}] ${contender}: a pair with ${chosen.count} instances at ${chosen.intervalMs} ms, ` +
          `${chosen.seconds} s\n`,
      );
      const result = await once(contender, chosen, signal);
      results.push(result);
      tell(result);
    }
  }
  if (chosen.json) console.log(JSON.stringify(results, undefined, 2));
  else report(results, chosen.intervalMs);
  return 0;
}

await runBench({ name: 'bench:instances', usage: USAGE, options, run });
