/**
 * `npm run bench:flood`: a pair while a stranger sends forged VRRP of every sort, with and without real-time priority.
 * What must not be: a change of role, a log that grows with what strangers send, memory that does.
 */
import { parseArgs } from 'node:util';
import { sleep } from '../../src/drill/wait.js';
import { fetchStatus } from '../../src/io/operator/control-client.js';
import type { Running } from './support/contenders.js';
import { FLOOD_KINDS, isFloodKind, USUAL_KINDS } from './support/flood-kinds.js';
import { BenchLab, OUTSIDE } from './support/lab.js';
import { numberWithin } from './support/options.js';
import { cpuSeconds, residentKiB } from './support/processes.js';
import { COMMON_OPTIONS, runBench } from './support/run-bench.js';
import { printTable } from './support/table.js';

const USAGE = `Usage: npm run bench:flood -- [OPTIONS]

  --seconds N     length of each flood, 1 to 600, default 60
  --rate N        packets a second, 1 to 200000, default 100000
  --interval MS   advertisement interval in milliseconds, 10 to 1000, default 100
  --kinds LIST    of ${Object.keys(FLOOD_KINDS).join(', ')}; default all but weaker-routers
  --json          the results as JSON on standard output

Exit status 1 when a role changed, a log grew by 1 MB or more, or memory grew by more than 16 MiB.
`;

const MAX_LOG_BYTES = 1_000_000;
/** Of the VRRP process: a collection of garbage more or less is no growth. */
const MAX_GROWTH_KIB = 16_384;
/** What the first packets of a kind cost once (buffers, compiled code) is no growth either. */
const WARM_UP_S = 5;
const SETTLE_MS = 2000;

interface Chosen {
  readonly seconds: number;
  readonly rate: number;
  readonly intervalMs: number;
  readonly kinds: readonly string[];
  readonly json: boolean;
}

interface Result {
  readonly realTime: boolean;
  /** Packets a second that the kernel took from the source. */
  readonly perSecond: number;
  readonly roleChanges: number;
  readonly logBytes: number;
  readonly growthKiB: number;
  /** Of one processor, of the master's and the backup's VRRP process. */
  readonly loads: readonly number[];
  readonly counters: readonly Readonly<Record<string, number>>[];
}

function options(): Chosen | undefined {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '60' },
      rate: { type: 'string', default: '100000' },
      interval: { type: 'string', default: '100' },
      kinds: { type: 'string', default: USUAL_KINDS.join() },
      ...COMMON_OPTIONS,
    },
  });
  if (values.help) return undefined;
  const kinds = values.kinds.split(',');
  const unknown = kinds.find((kind) => !isFloodKind(kind));
  if (unknown !== undefined) throw new RangeError(`--kinds: no such kind: ${unknown}`);
  return {
    seconds: numberWithin(values.seconds, 1, 600, 'seconds'),
    rate: numberWithin(values.rate, 1, 200_000, 'rate'),
    intervalMs: numberWithin(values.interval, 10, 1000, 'interval'),
    kinds,
    json: values.json,
  };
}

function measure(realTime: boolean, chosen: Chosen, signal: AbortSignal): Promise<Result> {
  const { seconds, rate, intervalMs, kinds } = chosen;
  return BenchLab.use(signal, async (bench) => {
    const moreArguments = realTime ? [] : ['--no-real-time'];
    const pair = await bench.pair('ours', { intervalMs, instances: [OUTSIDE], moreArguments });
    await sleep(SETTLE_MS, signal);
    const rolesBefore = rolesOf(pair);
    const wroteBefore = pair.map(({ wrote }) => wrote());
    let sent: { sent: number; ms: number } | undefined;
    const pids = pair.map(({ child }) => child.pid);
    const source = await bench.flood(['eth0', String(rate), String(seconds), kinds.join()], (line) => {
      sent = JSON.parse(line);
    });
    await sleep(Math.min(WARM_UP_S, seconds / 2) * 1000, signal);
    const memory = pids.map(residentKiB);
    const busy = pids.map(cpuSeconds);
    const fromMs = performance.now();
    await source.exited;
    const loads = pids.map(
      (pid, i) => (cpuSeconds(pid) - (busy[i] ?? 0)) / ((performance.now() - fromMs) / 1000),
    );
    const growths = pids.map((pid, i) => residentKiB(pid) - (memory[i] ?? 0));
    await sleep(SETTLE_MS, signal);
    const counters = await Promise.all(pair.map(countersOf));
    return {
      realTime,
      perSecond: sent === undefined ? 0 : Math.round((1000 * sent.sent) / sent.ms),
      roleChanges: rolesOf(pair) - rolesBefore,
      logBytes: Math.max(...pair.map(({ wrote }, i) => wrote() - (wroteBefore[i] ?? 0))),
      growthKiB: Math.max(...growths),
      loads,
      counters,
    };
  });
}

function rolesOf(pair: readonly Running[]): number {
  return pair.reduce((sum, { roles }) => sum + roles.length, 0);
}

async function countersOf({ runtimeDirectory }: Running): Promise<Readonly<Record<string, number>>> {
  const { instances } = await fetchStatus(runtimeDirectory);
  return instances[0]?.counters ?? {};
}

function isGood({ roleChanges, logBytes, growthKiB, perSecond }: Result): boolean {
  return roleChanges === 0 && logBytes < MAX_LOG_BYTES && growthKiB <= MAX_GROWTH_KIB && perSecond > 0;
}

async function run(chosen: Chosen, signal: AbortSignal): Promise<number> {
  const results: Result[] = [];
  for (const realTime of [true, false]) results.push(await measure(realTime, chosen, signal));
  if (chosen.json) console.log(JSON.stringify(results, undefined, 2));
  else {
    const percent = (load: number | undefined): string => `${(100 * (load ?? 0)).toFixed(1)} %`;
    printTable(
      ['real time', 'packets/s', 'role changes', 'log bytes', 'memory grew KiB', 'master', 'backup'],
      results.map((one) => [
        one.realTime ? 'yes' : 'no',
        String(one.perSecond),
        String(one.roleChanges),
        String(one.logBytes),
        String(one.growthKiB),
        ...one.loads.map(percent),
      ]),
    );
  }
  return results.every(isGood) ? 0 : 1;
}

await runBench({ name: 'bench:flood', usage: USAGE, options, run });
