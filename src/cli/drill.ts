/** `director drill`: proves a failover with two real directors, a client and real servers. */
import { randomBytes } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { DirectorConfig } from '../config/model.js';
import { runDrill } from '../drill/drill.js';
import { DrillError, DrillInterrupted } from '../drill/errors.js';
import { directorNames } from '../drill/lab/lab-config.js';
import { ownTopology } from '../drill/lab/own-topology.js';
import { TOPOLOGIES, TOPOLOGY_NAMES, type Topology, type TopologyName } from '../drill/lab/topology.js';
import { openProgress, SILENT } from '../drill/progress.js';
import { type DrillReport, tableText } from '../drill/report/report.js';
import { DEFAULT_SCENARIOS, SCENARIO_NAMES, type ScenarioName } from '../drill/report/verdict.js';
import { DRAWABLE, type Lot } from '../drill/scenarios/draw.js';
import { GUEST_OUT_DIR } from '../drill/vm/guest-scripts.js';
import { VmError } from '../drill/vm/vm-error.js';
import { hostHasIpvs, runInVm } from '../drill/vm.js';
import { CONFIG_FOLDER, MAIN } from '../program.js';
import { type Command, OperationalError, UsageError } from './command.js';
import { jsonText } from './json-text.js';
import { EXIT_CONFIG, loadConfig } from './load-config.js';

const INTERVALS = ['1s', '100ms', '10ms'];
const CONNECTIONS_DEFAULT = '100';
const MAX_CONNECTIONS = 5000;
const MAX_LOT = 1000;
/** New connections a second: what an emulated machine carries, and what a host's does. */
const REQUEST_RATES = { vm: 50, host: 1000 } as const;
const MAX_REQUEST_RATE = 1500;
const EXIT_INTERRUPTED = 130;
/** A terminal that is gone (SIGHUP) is no reason to leave a lab behind. */
const STOPS = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const;
/** Two processors and five Node programs under emulation. */
const VM_MEMORY_MIB = 2048;
/** All topologies and scenarios under emulation, with room to spare. */
const VM_TIMEOUT_MS = 60 * 60_000;
/** A scenario, and the return after it. */
const VM_TIMEOUT_OF_ONE_MS = 120_000;

/** Those that are named, or come with `--all`. */
const OTHERS = SCENARIO_NAMES.filter((name) => !DEFAULT_SCENARIOS.includes(name));

const usage = `Usage: director drill [OPTIONS]

Builds a lab of network namespaces with two real directors, a client and real servers, makes the master fail,
and shows what the client saw. Nothing outside of the lab is touched. Needs root, or the VM.

  --topology NAME        ${TOPOLOGY_NAMES.join(', ')} or all;
                         repeatable or a comma list (default nat)
  --config FILE          the lab is made from this configuration, instead of a topology
  --scenario NAME        ${DEFAULT_SCENARIOS.join(', ')};
                         and ${OTHERS.slice(0, 4).join(', ')},
                         ${OTHERS.slice(4).join(', ')};
                         likewise (default those of the first line)
  --all                  all of them
  --random N             N scenarios drawn by lot, of those named by --scenario or of all, each fault with a return
  --seed N               draws the same again (default: any, which is said)
  --kernel auto|host|vm  where: this kernel, or a VM with a kernel that has IPVS (default auto)
  --out DIR              takes report.json, report.html and the directors' logs (default ./drill-report)
  --json                 prints report.json instead of the table
  --advertisement-interval 1s|100ms|10ms   instead of the configuration's own
  --probe-interval TIME  between two probes of the client, 2ms to 5ms (default 4ms)
  --connections N        of each kind: busy, one-request, idle (default 100)
  --request-rate N       new connections a second, each with one request (default 1000, in the VM 50)

Exit status: 0 every scenario passed, 1 one did not, 2 wrong arguments, 130 interrupted.
`;

interface Choice {
  readonly topologies: readonly TopologyName[];
  /** Absolute path of somebody's own configuration. */
  readonly config: string | undefined;
  readonly scenarios: readonly ScenarioName[];
  readonly lot: Lot | undefined;
  readonly kernel: 'auto' | 'host' | 'vm';
  readonly outDir: string;
  readonly json: boolean;
  readonly advertisementInterval: string | undefined;
  readonly probeIntervalMs: number;
  readonly connections: number;
  readonly requestRate: number | undefined;
  readonly insideVm: boolean;
}

/** The chosen names in the order of `known`, without repetition. */
function chooseNames<T extends string>(option: string, given: readonly string[], known: readonly T[]): T[] {
  const names = given.flatMap((one) => one.split(',')).map((one) => one.trim());
  const wrong = names.find((name) => name !== 'all' && !known.some((one) => one === name));
  if (wrong !== undefined) {
    throw new UsageError(`${option}: there is no '${wrong}'; there are ${known.join(', ')} and all`);
  }
  return names.includes('all') ? [...known] : known.filter((one) => names.includes(one));
}

function chooseNumber(
  option: string,
  text: string,
  pattern: RegExp,
  range: readonly [number, number],
): number {
  const value = Number(pattern.exec(text)?.[1]);
  const [least, most] = range;
  if (!(value >= least && value <= most)) {
    throw new UsageError(`${option}: '${text}' is not between ${least} and ${most}`);
  }
  return value;
}

function chooseLot({ random, seed }: { random?: string; seed?: string }): Lot | undefined {
  if (random === undefined) {
    if (seed !== undefined) throw new UsageError('--seed: it is for --random');
    return undefined;
  }
  return {
    count: chooseNumber('--random', random, /^(\d+)$/, [1, MAX_LOT]),
    seed:
      seed === undefined
        ? randomBytes(4).readUInt32BE()
        : chooseNumber('--seed', seed, /^(\d+)$/, [0, 2 ** 32 - 1]),
  };
}

function chooseScenarios(values: { all: boolean; scenario?: string[] }, byLot: boolean): ScenarioName[] {
  const known = byLot ? DRAWABLE : SCENARIO_NAMES;
  const usual = byLot ? DRAWABLE : DEFAULT_SCENARIOS;
  return chooseNames('--scenario', values.all ? ['all'] : (values.scenario ?? usual), known);
}

function choose(argv: readonly string[]): Choice {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      topology: { type: 'string', multiple: true },
      config: { type: 'string' },
      scenario: { type: 'string', multiple: true },
      all: { type: 'boolean', default: false },
      random: { type: 'string' },
      seed: { type: 'string' },
      kernel: { type: 'string', default: 'auto' },
      out: { type: 'string', default: 'drill-report' },
      json: { type: 'boolean', default: false },
      'advertisement-interval': { type: 'string' },
      'probe-interval': { type: 'string', default: '4ms' },
      connections: { type: 'string', default: CONNECTIONS_DEFAULT },
      'request-rate': { type: 'string' },
      // Set by the drill for itself: the report has to say where it ran.
      'inside-vm': { type: 'boolean', default: false },
    },
  });
  const { kernel } = values;
  if (kernel !== 'auto' && kernel !== 'host' && kernel !== 'vm') {
    throw new UsageError(`--kernel: there is no '${kernel}'; there are auto, host and vm`);
  }
  const interval = values['advertisement-interval'];
  if (interval !== undefined && !INTERVALS.includes(interval)) {
    throw new UsageError(`--advertisement-interval: '${interval}' is none of ${INTERVALS.join(', ')}`);
  }
  const { config } = values;
  if (config !== undefined && values.topology !== undefined) {
    throw new UsageError('--config and --topology exclude each other');
  }
  const lot = chooseLot(values);
  return {
    topologies: chooseNames('--topology', values.topology ?? ['nat'], TOPOLOGY_NAMES),
    config: config === undefined ? undefined : resolve(config),
    scenarios: chooseScenarios(values, lot !== undefined),
    lot,
    kernel,
    outDir: resolve(values.out),
    json: values.json,
    advertisementInterval: interval,
    probeIntervalMs: chooseNumber('--probe-interval', values['probe-interval'], /^(\d+)(?:ms)?$/, [2, 5]),
    connections: chooseNumber('--connections', values.connections, /^(\d+)$/, [1, MAX_CONNECTIONS]),
    requestRate:
      values['request-rate'] === undefined
        ? undefined
        : chooseNumber('--request-rate', values['request-rate'], /^(\d+)$/, [1, MAX_REQUEST_RATE]),
    insideVm: values['inside-vm'],
  };
}

/** The arguments that ask for the same drill inside the VM. */
function sameDrill(choice: Choice): string[] {
  const { advertisementInterval: interval, requestRate } = choice;
  const options = {
    '--kernel': 'host',
    '--out': GUEST_OUT_DIR,
    // The guest has the host's files where the host has them.
    ...(choice.config === undefined
      ? { '--topology': choice.topologies.join(',') }
      : { '--config': choice.config }),
    '--scenario': choice.scenarios.join(','),
    ...(choice.lot === undefined
      ? {}
      : { '--random': String(choice.lot.count), '--seed': String(choice.lot.seed) }),
    '--probe-interval': String(choice.probeIntervalMs),
    '--connections': String(choice.connections),
    ...(interval === undefined ? {} : { '--advertisement-interval': interval }),
    ...(requestRate === undefined ? {} : { '--request-rate': String(requestRate) }),
  };
  return ['drill', '--inside-vm', ...Object.entries(options).flat()];
}

function againText({ count, seed }: Lot): string {
  return `the same again: --random ${count} --seed ${seed}\n`;
}

function printResult(choice: Choice, report: DrillReport): void {
  if (choice.json) {
    process.stdout.write(jsonText(report));
    return;
  }
  process.stdout.write(`\n${tableText(report.scenarios)}`);
  const { lot } = report;
  if (lot !== undefined) process.stdout.write(`\n${againText(lot)}`);
  for (const failure of report.failures) {
    process.stdout.write(`not finished: ${failure}\n`);
  }
}

async function drillOnHost(
  choice: Choice,
  topologies: readonly Topology[],
  signal: AbortSignal,
): Promise<number> {
  if (process.geteuid?.() !== 0) {
    throw new OperationalError(
      'ERR_DRILL_UNSUPPORTED',
      'the drill makes network namespaces: run it as root, or with --kernel vm',
    );
  }
  if (!hostHasIpvs()) {
    throw new OperationalError('ERR_DRILL_UNSUPPORTED', 'this kernel has no ip_vs: use --kernel vm');
  }
  const where = choice.insideVm ? 'vm' : 'host';
  const report = await runDrill({
    ...choice,
    topologies,
    directorCommand: [process.execPath, MAIN],
    configDir: CONFIG_FOLDER,
    where,
    requestRate: choice.requestRate ?? REQUEST_RATES[where],
    progress: choice.json ? SILENT : openProgress(process.stdout),
    signal,
  });
  printResult(choice, report);
  if (!choice.json && !choice.insideVm) {
    process.stdout.write(`\nreport: ${join(choice.outDir, 'report.html')}\n`);
  }
  return report.passed ? 0 : 1;
}

async function drillInVm(choice: Choice, signal: AbortSignal): Promise<number> {
  await mkdir(choice.outDir, { recursive: true });
  const say = (line: string): void => {
    if (!choice.json) {
      process.stdout.write(`${line}\n`);
    }
  };
  const { exitStatus, bootMs } = await runInVm({
    command: [process.execPath, MAIN, ...sameDrill(choice)],
    outDir: choice.outDir,
    memoryMiB: VM_MEMORY_MIB,
    timeoutMs: VM_TIMEOUT_MS + (choice.lot?.count ?? 0) * VM_TIMEOUT_OF_ONE_MS,
    onOutput: say,
    onProgress: say,
    signal,
  });
  if (choice.json) {
    process.stdout.write(await readFile(join(choice.outDir, 'report.json'), 'utf8'));
  } else {
    process.stdout.write(
      `\nthe VM was up in ${(bootMs / 1000).toFixed(1)} s\nreport: ${join(choice.outDir, 'report.html')}\n`,
    );
  }
  return exitStatus;
}

/** Undefined when the faults of the configuration have been told. */
async function topologiesOf({ config, topologies }: Choice): Promise<readonly Topology[] | undefined> {
  if (config === undefined) return topologies.map((name) => TOPOLOGIES[name]);
  const text = await readFile(config, 'utf8').catch(() => '');
  const views: DirectorConfig[] = [];
  const names = directorNames(text);
  // Without names there are faults to tell.
  for (const director of names.length === 0 ? [undefined] : names) {
    const view = await loadConfig({ config, director });
    if (view === undefined) return undefined;
    views.push(view.config);
  }
  try {
    return [ownTopology(views, config)];
  } catch (error) {
    if (error instanceof DrillError) throw new OperationalError(error.code, error.message, { cause: error });
    throw error;
  }
}

async function run(argv: readonly string[]): Promise<number> {
  const choice = choose(argv);
  const topologies = await topologiesOf(choice);
  if (topologies === undefined) return EXIT_CONFIG;
  // At once, too: a long one may be interrupted.
  if (choice.lot !== undefined && !choice.json && !choice.insideVm)
    process.stdout.write(againText(choice.lot));
  const interrupt = new AbortController();
  const stop = (): void => interrupt.abort();
  for (const name of STOPS) process.once(name, stop);
  // Whoever reads has gone, and nobody misses what is not told any more; the lab must still end in order.
  process.stdout.on('error', stop);
  process.stderr.on('error', () => {});
  try {
    const inVm = choice.kernel === 'vm' || (choice.kernel === 'auto' && !hostHasIpvs());
    return await (inVm
      ? drillInVm(choice, interrupt.signal)
      : drillOnHost(choice, topologies, interrupt.signal));
  } catch (error) {
    if (error instanceof DrillInterrupted || interrupt.signal.aborted) {
      process.stderr.write('director: the drill was interrupted; everything it started has ended\n');
      return EXIT_INTERRUPTED;
    }
    if (error instanceof DrillError || error instanceof VmError) {
      throw new OperationalError(error.code, error.message, { cause: error });
    }
    throw error;
  } finally {
    for (const name of STOPS) process.off(name, stop);
  }
}

export const command: Command = {
  name: 'drill',
  summary: 'prove a failover in a lab of network namespaces and report what a client saw',
  usage,
  run,
};
