/**
 * `npm run bench:soak`: a pair at 10 ms advertisements while both services processes are as busy as a configuration
 * can make them: hundreds of tracked files, processes and scripts at the shortest interval. Counts what must not be:
 * changes of role, and probes of a client that stayed without an answer.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Probe } from '../../src/drill/lab/witnesses.js';
import { longestGap } from '../../src/drill/report/measure.js';
import { sleep } from '../../src/drill/wait.js';
import { fetchStatus } from '../../src/io/operator/control-client.js';
import { masterDownIntervalMs } from '../../src/vrrp/timers.js';
import { PRIORITIES, type Running, type Setup } from './support/contenders.js';
import { BenchLab, OUTSIDE, VIP } from './support/lab.js';
import { numberWithin } from './support/options.js';
import { cpuSeconds, stolenMs, tree } from './support/processes.js';
import { COMMON_OPTIONS, runBench } from './support/run-bench.js';
import { causeOf, type SourceChange, type Standstill } from './support/standstills.js';
import { SummingWitness } from './support/summing-witness.js';

const USAGE = `Usage: npm run bench:soak -- [OPTIONS]

  --minutes N      length, 1 to 1440, default 30
  --interval MS    advertisement interval in milliseconds, 10 to 1000, default 10
  --scripts N      tracked scripts looked at every 50 ms, 0 to 500, default 10
  --processes N    tracked processes, the same, default 10
  --files N        tracked files, the same, default 480
  --json           the results as JSON on standard output

Exit status 1 when a role changed and no processor of this machine stood still for so long.
`;

const PROBE_INTERVAL_MS = 10;
const SETTLE_MS = 5000;
const MINUTE_MS = 60_000;
const LOOK_EVERY = '50ms';

interface Load {
  readonly scripts: number;
  readonly processes: number;
  readonly files: number;
}

interface Minute {
  readonly minute: number;
  /** Virtual routers heard from another director than before, each with what accounts for it. */
  readonly roleChanges: readonly RoleChange[];
  /** Lines of the directors' logs. */
  readonly rolesLogged: readonly string[];
  readonly probesSent: number;
  readonly probesLost: number;
  readonly longestGapMs: number;
  /** Between two advertisements. */
  readonly advertisementGapMs: number;
  /** Percent of a core on the master: the VRRP process, and all others. */
  readonly vrrpCpuPercent: number;
  readonly servicesCpuPercent: number;
  /** What nobody in this machine can help: its processors were not there for so long. */
  readonly stolenMs: number;
  /** Processors of this machine ran nobody: the longest time, and how often for longer than an interval. */
  readonly longestStandstillMs: number;
  readonly standstills: number;
}

interface RoleChange extends SourceChange {
  readonly cause: Standstill | undefined;
}

function loadYaml(
  { scripts, processes, files }: Load,
  file: string,
): Pick<Setup, 'moreYaml' | 'instanceYaml'> {
  const objects = [
    ...Array.from({ length: scripts }, (_, i) => [`script${i}`, 'script: [/bin/true], fall: 255']),
    ...Array.from({ length: processes }, (_, i) => [`process${i}`, 'process: node, fall: 255']),
    ...Array.from({ length: files }, (_, i) => [`file${i}`, `file: ${file}, fall: 255`]),
  ];
  if (objects.length === 0) return {};
  return {
    // Weights that count only while an object is down, which none is.
    instanceYaml: [`track: [${objects.map(([name]) => `{ name: ${name}, weight: -1 }`).join(', ')}]`],
    moreYaml: [
      '  track:',
      ...objects.map(([name, kind]) => `    - { name: ${name}, ${kind}, interval: ${LOOK_EVERY} }`),
    ],
  };
}

type Chosen = NonNullable<ReturnType<typeof options>>;

function options() {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '30' },
      interval: { type: 'string', default: '10' },
      scripts: { type: 'string', default: '10' },
      processes: { type: 'string', default: '10' },
      files: { type: 'string', default: '480' },
      ...COMMON_OPTIONS,
    },
  });
  if (values.help) return undefined;
  return {
    minutes: numberWithin(values.minutes, 1, 1440, 'minutes'),
    intervalMs: numberWithin(values.interval, 10, 1000, 'interval'),
    load: {
      scripts: numberWithin(values.scripts, 0, 500, 'scripts'),
      processes: numberWithin(values.processes, 0, 500, 'processes'),
      files: numberWithin(values.files, 0, 500, 'files'),
    },
    json: values.json,
  };
}

/** Seconds used so far by the VRRP process itself and by all others of the director. */
function used(running: Running): { vrrp: number; others: number } {
  const [own = 0, ...others] = tree(running.child.pid);
  // cpuSeconds counts children that ended as well: those of the services process are its scripts.
  return { vrrp: cpuSeconds(own), others: others.reduce((sum, pid) => sum + cpuSeconds(pid), 0) };
}

class Soak {
  readonly #bench: BenchLab;
  readonly #pair: readonly [Running, Running];
  readonly #intervalMs: number;
  readonly #witness: SummingWitness;
  #standstills: Standstill[] = [];

  private constructor(
    bench: BenchLab,
    pair: readonly [Running, Running],
    intervalMs: number,
    witness: SummingWitness,
  ) {
    this.#bench = bench;
    this.#pair = pair;
    this.#intervalMs = intervalMs;
    this.#witness = witness;
  }

  static async begin(bench: BenchLab, pair: readonly [Running, Running], intervalMs: number): Promise<Soak> {
    const soak = new Soak(bench, pair, intervalMs, await SummingWitness.start(bench));
    await bench.processorWitnesses((one) => soak.#standstills.push(one));
    await sleep(SETTLE_MS, bench.signal);
    await soak.#witness.sums();
    soak.#standstills = [];
    for (const { roles } of pair) roles.length = 0;
    return soak;
  }

  async minute(minute: number, lengthMs: number): Promise<Minute> {
    const { lab, folder, signal } = this.#bench;
    const before = used(this.#pair[0]);
    const stolenBefore = stolenMs();
    const fromMs = Date.now();
    const probe = await Probe.start(lab, 'client', VIP, PROBE_INTERVAL_MS, join(folder, 'probe.txt'));
    await sleep(lengthMs, signal);
    const toMs = Date.now();
    const { sent, received, answersMs } = await probe.stop();
    const sums = await this.#witness.sums();
    const after = used(this.#pair[0]);
    const rolesLogged = this.#pair.flatMap(({ host, roles }) =>
      roles.splice(0).map((line) => `${host}: ${line}`),
    );
    const standstills = this.#standstills.splice(0);
    const gap = longestGap(answersMs, { fromMs: answersMs[0] ?? fromMs, toMs: answersMs.at(-1) ?? toMs });
    const percent = (seconds: number): number => (100_000 * seconds) / (toMs - fromMs);
    return {
      minute,
      roleChanges: sums.sourceChanges.map((change) => ({
        ...change,
        cause: causeOf(change, standstills, {
          intervalMs: this.#intervalMs,
          masterDownMs: masterDownIntervalMs(PRIORITIES.lb2, this.#intervalMs),
        }),
      })),
      rolesLogged,
      probesSent: sent,
      probesLost: sent - received,
      longestGapMs: gap.toMs - gap.fromMs,
      advertisementGapMs: sums.maxMs,
      vrrpCpuPercent: percent(after.vrrp - before.vrrp),
      servicesCpuPercent: percent(after.others - before.others),
      stolenMs: stolenMs() - stolenBefore,
      longestStandstillMs: Math.max(0, ...standstills.map(({ fromMs, toMs }) => toMs - fromMs)),
      standstills: standstills.filter(({ fromMs, toMs }) => toMs - fromMs > this.#intervalMs).length,
    };
  }
}

function tell(one: Minute, minutes: number): void {
  process.stderr.write(
    `[${one.minute}/${minutes}] role changes ${one.roleChanges.length} on the wire, ${one.rolesLogged.length} in the logs; ` +
      `probes lost ${one.probesLost} of ${one.probesSent}, longest gap ${one.longestGapMs.toFixed(0)} ms; ` +
      `advertisements at most ${one.advertisementGapMs.toFixed(1)} ms apart; ` +
      `CPU ${one.vrrpCpuPercent.toFixed(0)} % VRRP, ${one.servicesCpuPercent.toFixed(0)} % services; ` +
      `stolen ${one.stolenMs} ms, processors stood still for at most ${one.longestStandstillMs.toFixed(0)} ms\n`,
  );
}

/** All that is known of a minute in which a role changed. */
async function tellChanges(one: Minute, pair: readonly [Running, Running]): Promise<void> {
  const words = one.roleChanges.map(({ fromMs, toMs, source, cause }) => {
    const why =
      cause === undefined
        ? 'no processor stood still for so long'
        : `processor ${cause.processor} stood still for ${(cause.toMs - cause.fromMs).toFixed(1)} ms ` +
          `from ${(cause.fromMs - fromMs).toFixed(1)} ms after the old one's last`;
    return `${source} speaks ${(toMs - fromMs).toFixed(1)} ms after the other: ${why}`;
  });
  for (const { host, runtimeDirectory } of pair) {
    const { instances, deadline_lateness } = await fetchStatus(runtimeDirectory);
    words.push(`${host}: ${JSON.stringify({ deadline_lateness, counters: instances[0]?.counters })}`);
  }
  for (const line of [...words, ...one.rolesLogged]) process.stderr.write(`  ${line}\n`);
}

/** Changes that nothing on this machine accounts for; of roles in the logs, those of a minute without any on the wire. */
function falseFailovers({ roleChanges, rolesLogged }: Minute): number {
  if (roleChanges.length === 0) return rolesLogged.length;
  return roleChanges.filter(({ cause }) => cause === undefined).length;
}

async function run({ minutes, intervalMs, load, json }: Chosen, signal: AbortSignal): Promise<number> {
  const results = await BenchLab.use(signal, async (bench) => {
    const file = join(bench.folder, 'tracked');
    await writeFile(file, '0\n');
    const pair = await bench.pair('ours', { intervalMs, instances: [OUTSIDE], ...loadYaml(load, file) });
    const soak = await Soak.begin(bench, pair, intervalMs);
    const done: Minute[] = [];
    for (let minute = 1; minute <= minutes; minute++) {
      const one = await soak.minute(minute, MINUTE_MS);
      done.push(one);
      tell(one, minutes);
      if (one.roleChanges.length + one.rolesLogged.length > 0) await tellChanges(one, pair);
    }
    return done;
  });
  const sum = (of: (one: Minute) => number): number => results.reduce((total, one) => total + of(one), 0);
  const wrong = sum(falseFailovers);
  if (json) console.log(JSON.stringify(results, undefined, 2));
  else {
    console.log(
      `${minutes} minutes at ${intervalMs} ms: ${sum((one) => one.roleChanges.length)} role changes, ${wrong} without ` +
        `a processor that stood still; ` +
        `${sum((one) => one.probesLost)} of ${sum((one) => one.probesSent)} probes lost, longest gap ` +
        `${Math.max(...results.map((one) => one.longestGapMs)).toFixed(0)} ms, advertisements at most ` +
        `${Math.max(...results.map((one) => one.advertisementGapMs)).toFixed(1)} ms apart`,
    );
  }
  return wrong === 0 ? 0 : 1;
}

await runBench({ name: 'bench:soak', usage: USAGE, options, run });
