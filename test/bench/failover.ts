/**
 * `npm run bench:failover`: how long a client gets no answer when the master goes, ours beside keepalived.
 *
 * The fault comes at the same moments between two advertisements for both, for the time until a backup takes over
 * counts from the last one it heard.
 */
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DrillError } from '../../src/drill/errors.js';
import { stopChild } from '../../src/drill/lab/process.js';
import { Probe } from '../../src/drill/lab/witnesses.js';
import { longestGap } from '../../src/drill/report/measure.js';
import { sleep } from '../../src/drill/wait.js';
import { monotonicMs } from './support/clock.js';
import { CONTENDERS, type Contender, PRIORITIES, type Running, type Setup } from './support/contenders.js';
import { BenchLab, OUTSIDE, VIP } from './support/lab.js';
import { contendersOf, numberWithin } from './support/options.js';
import { tree } from './support/processes.js';
import { COMMON_OPTIONS, runBench } from './support/run-bench.js';
import type { Standstill } from './support/standstills.js';
import { mean, printTable } from './support/table.js';
import type { Heard } from './support/witness.js';

const FAULTS = ['planned', 'crash', 'hang', 'power', 'power-bfd', 'reboot'] as const;
type Fault = (typeof FAULTS)[number];

const USAGE = `Usage: npm run bench:failover -- [OPTIONS]

  --intervals LIST   advertisement intervals, such as 1s,100ms,10ms (the default)
  --faults LIST      of planned (SIGTERM), crash (SIGKILL), hang (SIGSTOP to what speaks VRRP), power (link cut, processes
                     stopped), power-bfd (the same, ours with a BFD session between the directors), reboot (the host is
                     gone with all that is in its kernel, and boots; from then on is measured, until it has the role
                     back); default all
  --repeats N        runs of each, 1 to 50, default 3
  --only WHO         ours or keepalived; default both, in turn
  --backup WHO       ours or keepalived: what the backup runs; default what the master runs
  --slowed           half of every processor is taken away, a millisecond at a time (needs CAP_SYS_NICE)
  --json             the results as JSON on standard output, progress on standard error
`;

const PROBE_INTERVAL_MS = 2;
const SETTLE_MS = 700;
const BEFORE_MS = 500;
const AFTER_MS = 1500;
const ADDRESSES = { lb1: '192.168.7.11', lb2: '192.168.7.12' };
/** Of a boot: so long the host is off, in intervals. */
const OFF_INTERVALS = 5;
/** Of each processor, as a slower one would have less. */
const SLOWING = { lengthMs: 1, everyMs: 2 };
/** Of a processor's standstill: a shorter one is within what the runs differ by anyway. */
const DISTURBS_FROM_MS = 5;
/** Before the end of the gap: at long intervals a processor that stands still while a backup only waits changes nothing. */
const MATTERS_FOR_MS = 100;
/** A run in which the machine stood still is done again, so often at most. */
const MAX_AGAIN = 4;
/** Longer than any single run. */
const SLOWED_LIMIT_MS = 60_000;

/** Ours for `power-bfd`: the defaults, 15 ms and a multiplier of 3. */
const BFD_YAML = [`bfd: { peers: { lb1: ${ADDRESSES.lb1}, lb2: ${ADDRESSES.lb2} } }`];

const isPower = (fault: Fault): boolean => fault.startsWith('power');

interface Options {
  readonly intervals: readonly number[];
  readonly faults: readonly Fault[];
  readonly repeats: number;
  readonly contenders: readonly Contender[];
  readonly backup: Contender | undefined;
  /** A neighbour takes half of every processor, from both contenders alike. */
  readonly slowed: boolean;
  readonly json: boolean;
}

/** One run. All in milliseconds. */
interface Result {
  readonly fault: Fault;
  readonly intervalMs: number;
  readonly contender: Contender;
  /** Longest stretch without an answer from the fault on, and in the half second before it. */
  readonly gapMs: number;
  readonly calmGapMs: number;
  /** From the fault's (or boot's) beginning to the next master's first advertisement; null when there was none. */
  readonly takeoverMs: number | null;
  /** From the old master's last advertisement to the next one's first. */
  readonly silenceMs: number | null;
  /** Hosts that still answered for the address at the end. */
  readonly holders: readonly string[];
  /** For so long a processor of this machine ran nobody, in the time that counts; 0: it always ran. */
  readonly stoodMs: number;
  /** Runs of this that were disturbed before. */
  readonly again: number;
}

function duration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s)$/.exec(text);
  const ms = Number(match?.[1]) * (match?.[2] === 's' ? 1000 : 1);
  if (match === null || ms < 10 || ms > 5000) throw new RangeError(`'${text}' is no interval of 10ms to 5s`);
  return ms;
}

function options(): Options | undefined {
  const { values } = parseArgs({
    options: {
      intervals: { type: 'string', default: '1s,100ms,10ms' },
      faults: { type: 'string', default: FAULTS.join(',') },
      repeats: { type: 'string', default: '3' },
      only: { type: 'string' },
      backup: { type: 'string' },
      slowed: { type: 'boolean', default: false },
      ...COMMON_OPTIONS,
    },
  });
  if (values.help) return undefined;
  const faults = values.faults.split(',').map((text) => {
    const fault = FAULTS.find((name) => name === text);
    if (fault === undefined) throw new RangeError(`'${text}' is none of ${FAULTS.join(', ')}`);
    return fault;
  });
  return {
    intervals: values.intervals.split(',').map(duration),
    faults,
    repeats: numberWithin(values.repeats, 1, 50, 'repeats'),
    contenders: contendersOf(values.only),
    backup: values.backup === undefined ? undefined : contendersOf(values.backup)[0],
    slowed: values.slowed,
    json: values.json,
  };
}

/** Resolves `phase` of an interval after the master's next advertisement. */
async function atPhase(
  heard: readonly Heard[],
  setup: Setup,
  phase: number,
  signal: AbortSignal,
): Promise<void> {
  const before = heard.length;
  const limit = monotonicMs() + 3 * setup.intervalMs + 1000;
  while (heard.length === before) {
    if (monotonicMs() > limit) throw new DrillError('ERR_DRILL_TIMEOUT', 'the master does not advertise');
    await sleep(1, signal);
  }
  const due = (heard.at(-1)?.atMs ?? 0) + phase * setup.intervalMs;
  if (due > monotonicMs() + 1) await sleep(due - monotonicMs() - 0.5, signal);
}

/** Returns processes that are to be killed when everything is measured. */
async function strike(bench: BenchLab, fault: Fault, master: Running): Promise<readonly number[]> {
  const pids = tree(master.child.pid);
  if (fault === 'planned') {
    process.kill(master.child.pid, 'SIGTERM');
  } else if (fault === 'crash') {
    // Of keepalived the parent first: it would clean up for its child. The guardian is meant to outlive ours.
    const [parent = 0, ...rest] = pids;
    if (master.contender === 'keepalived') {
      process.kill(parent, 'SIGSTOP');
      for (const pid of rest) process.kill(pid, 'SIGKILL');
    }
    process.kill(parent, 'SIGKILL');
  } else if (fault === 'hang') {
    // What speaks is ours itself, and keepalived's children.
    const hung = master.contender === 'keepalived' ? pids.slice(1) : pids.slice(0, 1);
    for (const pid of hung) process.kill(pid, 'SIGSTOP');
    return hung;
  } else {
    await bench.lab.cables(master.host, 'down');
    // A host without power does nothing any more, while processes that end would use the processors of the other one.
    for (const pid of pids) process.kill(pid, 'SIGSTOP');
    return pids;
  }
  return [];
}

function measure(
  run: { fault: Fault; setup: Setup; contender: Contender },
  struck: { wallMs: number; monotonicMs: number },
  answersMs: readonly number[],
  heard: readonly Heard[],
  rest: { holders: readonly string[]; standstills: readonly Standstill[] },
): Omit<Result, 'again'> {
  const length = (span: { fromMs: number; toMs: number }): number => span.toMs - span.fromMs;
  const endMs = Date.now();
  const [old, next] = run.fault === 'reboot' ? (['lb2', 'lb1'] as const) : (['lb1', 'lb2'] as const);
  const first = heard.find(
    ({ source, priority, atMs }) => source === ADDRESSES[next] && priority > 0 && atMs > struck.monotonicMs,
  );
  const last = heard.findLast(
    ({ source, priority }) => source === ADDRESSES[old] && priority === PRIORITIES[old],
  );
  // The last answer before the fault counts: an edge at the fault would hide the time since.
  const gap = longestGap(answersMs, { fromMs: struck.wallMs - 4 * PROBE_INTERVAL_MS, toMs: endMs - 200 });
  const overMs = Math.max(struck.monotonicMs + gap.toMs - struck.wallMs, first?.atMs ?? 0);
  const fromMs = Math.max(struck.monotonicMs - run.setup.intervalMs, overMs - MATTERS_FOR_MS);
  const within = rest.standstills
    .filter((one) => one.fromMs < overMs && one.toMs > fromMs)
    .map((one) => one.toMs - one.fromMs);
  return {
    fault: run.fault,
    intervalMs: run.setup.intervalMs,
    contender: run.contender,
    gapMs: length(gap),
    calmGapMs: length(longestGap(answersMs, { fromMs: struck.wallMs - BEFORE_MS, toMs: struck.wallMs })),
    takeoverMs: first === undefined ? null : first.atMs - struck.monotonicMs,
    silenceMs: first === undefined || last === undefined ? null : first.atMs - last.atMs,
    holders: rest.holders,
    stoodMs: Math.max(0, ...within.filter((ms) => ms >= DISTURBS_FROM_MS)),
  };
}

/** From here on until the lab ends. */
async function slowDown(bench: BenchLab): Promise<void> {
  const { lengthMs, everyMs } = SLOWING;
  const times = SLOWED_LIMIT_MS / everyMs;
  const order = JSON.stringify({ fromMs: monotonicMs(), lengthMs, everyMs, times });
  for (const hog of await bench.processorHogs()) hog.write(`${order}\n`);
}

function once(
  run: { fault: Fault; setup: Setup; contender: Contender; phase: number; slowed: boolean },
  signal: AbortSignal,
): Promise<Omit<Result, 'again'>> {
  return BenchLab.use(signal, async (bench) => {
    const { fault, setup, contender, phase, slowed } = run;
    const [master] = await bench.pair(contender, setup);
    if (slowed) await slowDown(bench);
    const standstills: Standstill[] = [];
    await bench.processorWitnesses((one) => standstills.push(one));
    const heard: Heard[] = [];
    const witness = await bench.witness([], (line) => heard.push(JSON.parse(line)));
    const probe = await Probe.start(
      bench.lab,
      'client',
      VIP,
      PROBE_INTERVAL_MS,
      join(bench.folder, 'probe.txt'),
    );
    await sleep(SETTLE_MS + BEFORE_MS, signal);
    await atPhase(heard, setup, phase, signal);
    let struck = { wallMs: Date.now(), monotonicMs: monotonicMs() };
    const stopped = fault === 'reboot' ? [] : await strike(bench, fault, master);
    if (fault === 'reboot') {
      await bench.lab.switchOff('lb1');
      await sleep(OFF_INTERVALS * setup.intervalMs + AFTER_MS, signal);
      await bench.boot(contender, 'lb1', setup, () => {
        struck = { wallMs: Date.now(), monotonicMs: monotonicMs() };
      });
    }
    try {
      await sleep((stopped.length > 0 ? 4 : 2) * setup.intervalMs + AFTER_MS, signal);
      const { answersMs } = await probe.stop();
      const holders = isPower(fault) ? ['lb2'] : await bench.holders();
      await stopChild(witness);
      return measure(run, struck, answersMs, heard, { holders, standstills });
    } finally {
      for (const pid of stopped) process.kill(pid, 'SIGKILL');
    }
  });
}

function report({ intervals, faults, contenders }: Options, results: readonly Result[]): void {
  const rows = faults.flatMap((fault) =>
    intervals.map((intervalMs) => {
      const of = (contender: Contender): readonly Result[] =>
        results.filter((r) => r.fault === fault && r.intervalMs === intervalMs && r.contender === contender);
      const cells = contenders.flatMap((contender) => {
        const gaps = of(contender).map(({ gapMs }) => gapMs);
        const both = of(contender).some(({ holders }) => holders.length !== 1);
        return [mean(gaps).toFixed(1), Math.max(...gaps).toFixed(1), both ? 'not one' : 'one'];
      });
      const [ours, theirs] = CONTENDERS.map((contender) => mean(of(contender).map(({ gapMs }) => gapMs)));
      const ratio = ours === undefined || theirs === undefined ? Number.NaN : ours / theirs;
      return [fault, `${intervalMs} ms`, ...cells, Number.isNaN(ratio) ? '' : ratio.toFixed(2)];
    }),
  );
  const heads = contenders.flatMap((name) => [`${name} ms`, 'worst', 'holders']);
  printTable(['fault', 'interval', ...heads, 'ours/theirs'], rows);
  console.log(
    '\nLongest time without an answer to a probe each 2 ms: mean and worst of all runs; ratio of the means.',
  );
  const again = contenders.map((contender) => {
    const own = results.filter((r) => r.contender === contender);
    return `${contender} ${own.reduce((sum, r) => sum + r.again, 0)} times`;
  });
  console.log(`Done again, as a processor of this machine ran nobody meanwhile: ${again.join(', ')}.`);
  console.log("'holders': whether one host alone held the address afterwards.");
}

/**
 * A hypervisor that takes a processor away in the time that counts makes another fault of this one: the run is done again,
 * for whoever it hits, and told.
 */
async function onceUndisturbed(what: Parameters<typeof once>[0], signal: AbortSignal): Promise<Result> {
  for (let again = 0; ; again++) {
    const result = await once(what, signal);
    if (result.stoodMs === 0 || again === MAX_AGAIN) return { ...result, again };
    const { gapMs, stoodMs } = result;
    process.stderr.write(
      `${what.contender}: once more, a processor ran nobody for ${stoodMs.toFixed(0)} ms (gap ${gapMs.toFixed(1)} ms)\n`,
    );
  }
}

async function run(chosen: Options, signal: AbortSignal): Promise<number> {
  const results: Result[] = [];
  const { intervals, faults, repeats, contenders, backup, slowed } = chosen;
  const total = intervals.length * faults.length * repeats * contenders.length;
  for (const intervalMs of intervals) {
    for (const fault of faults) {
      const instanceYaml = fault === 'power-bfd' ? BFD_YAML : [];
      const preempt = fault === 'reboot';
      const setup = { intervalMs, instances: [OUTSIDE], instanceYaml, preempt, backup };
      for (let repeat = 0; repeat < repeats; repeat++) {
        for (const contender of contenders) {
          const result = await onceUndisturbed(
            { fault, setup, contender, phase: (repeat + 0.5) / repeats, slowed },
            signal,
          );
          results.push(result);
          const { gapMs, takeoverMs, silenceMs } = result;
          process.stderr.write(
            `[${results.length}/${total}] ${fault} at ${intervalMs} ms, ${contender}: gap ${gapMs.toFixed(1)} ms, ` +
              `takeover ${takeoverMs?.toFixed(1)} ms, silence on the wire ${silenceMs?.toFixed(1)} ms\n`,
          );
        }
      }
    }
  }
  if (chosen.json) console.log(JSON.stringify(results, undefined, 2));
  else report(chosen, results);
  return 0;
}

await runBench({ name: 'bench:failover', usage: USAGE, options, run });
