/**
 * `npm run bench:checks`: thousands of real servers that are checked each second by TCP and HTTP: how late the probes are, what
 * they cost, and how soon a dead server is out.
 */
import { parseArgs } from 'node:util';
import { Lab } from '../../src/drill/lab/lab.js';
import { type Child, stopChild } from '../../src/drill/lab/process.js';
import type { Topology } from '../../src/drill/lab/topology.js';
import { sleep, waitFor } from '../../src/drill/wait.js';
import { SMALL } from '../../src/io/processes/services-process.js';
import type { ProbeSums } from './support/checked-host.js';
import {
  type Counts,
  type Death,
  deathsOf,
  FALL,
  INTERVAL_MS,
  KINDS,
  type Kind,
  LATE_MS,
  SERVERS_NETWORK,
  TIMEOUT_MS,
  VICTIMS,
  type Victim,
  victims,
} from './support/checked-servers.js';
import type { VerdictLine } from './support/checker.js';
import { monotonicMs } from './support/clock.js';
import { startHelper } from './support/helper.js';
import { numberWithin } from './support/options.js';
import { cpuSeconds, residentKiB, stolenMs, waitedMs } from './support/processes.js';
import { COMMON_OPTIONS, runBench } from './support/run-bench.js';
import { printTable } from './support/table.js';

const USAGE = `Usage: npm run bench:checks -- [OPTIONS]

  --tcp N        real servers checked by TCP, 50 to 10000, default 2000
  --http N       real servers checked by HTTP, 50 to 10000, default 500
  --seconds N    how long their probes are measured, 1 to 3600, default 30
  --json         the results as JSON on standard output
`;

const START_LIMIT_MS = 60_000;
const SETTLE_MS = 3000;
const LEAD_MS = 500;
const LOOK_EVERY_MS = 20;
const ANSWER_LIMIT_MS = 10_000;
/** Within which a dead server has to be out. */
const OUT_LIMIT_MS = FALL * INTERVAL_MS + TIMEOUT_MS + 100;
/** A verdict that takes longer than it may is waited for. */
const OUT_GRACE_MS = 5000;

const TOPOLOGY: Topology = {
  name: 'nat',
  configFile: 'nat.yaml',
  networks: ['inside'],
  hosts: [
    {
      name: 'lb1',
      role: 'director',
      cables: [{ interface: 'eth0', network: 'inside', address: '10.10.10.11/24' }],
      // One neighbour and not thousands, of which a kernel keeps 1,024 unless it is told otherwise.
      gateway: '10.10.10.2',
    },
    {
      name: 'rs',
      role: 'real-server',
      cables: [{ interface: 'eth0', network: 'inside', address: '10.10.10.2/24' }],
    },
  ],
  vip: '10.10.10.253',
  port: 80,
};

interface Chosen extends Counts {
  readonly seconds: number;
  readonly json: boolean;
}

interface Out {
  readonly kind: Kind;
  readonly death: Death;
  readonly servers: number;
  /** How long the first and the last of them took until they were found down; null: never. */
  readonly soonestMs: number | null;
  readonly latestMs: number | null;
  readonly limitMs: number;
}

interface Result extends Counts {
  readonly seconds: number;
  readonly probes: ProbeSums;
  /** Of a core, and of the checker alone. */
  readonly cpuPercent: number;
  readonly residentMiB: number;
  /** The checker was ready to run, and others had the processors. */
  readonly waitedMs: number;
  /** What the hypervisor took from this machine's processors meanwhile. */
  readonly stolenMs: number;
  /** Verdicts that no death accounts for. */
  readonly falseVerdicts: number;
  readonly out: readonly Out[];
}

function options(): Chosen | undefined {
  const { values } = parseArgs({
    options: {
      tcp: { type: 'string', default: '2000' },
      http: { type: 'string', default: '500' },
      seconds: { type: 'string', default: '30' },
      ...COMMON_OPTIONS,
    },
  });
  if (values.help) return undefined;
  return {
    tcp: numberWithin(values.tcp, 50, 10_000, 'tcp'),
    http: numberWithin(values.http, 50, 10_000, 'http'),
    seconds: numberWithin(values.seconds, 1, 3600, 'seconds'),
    json: values.json,
  };
}

/** A director's host whose checker knows all real servers, and the host that they are on. */
class CheckLab {
  readonly #lab: Lab;
  readonly #counts: Counts;
  readonly #signal: AbortSignal;
  readonly #verdicts: VerdictLine[] = [];
  readonly #answers: ProbeSums[] = [];
  #host: Child | undefined;
  #checker: Child | undefined;

  constructor(lab: Lab, counts: Counts, signal: AbortSignal) {
    this.#lab = lab;
    this.#counts = counts;
    this.#signal = signal;
  }

  /** Resolves when every real server was found up. */
  async start(): Promise<void> {
    const args = KINDS.map((kind) => String(this.#counts[kind]));
    await this.#lab.run('rs', ['ip', 'route', 'add', 'local', SERVERS_NETWORK, 'dev', 'lo']);
    this.#host = await startHelper(
      this.#lab,
      {
        host: 'rs',
        script: 'checked-host.js',
        args,
        onLine: (line) => this.#answers.push(JSON.parse(line)),
      },
      this.#signal,
    );
    this.#checker = await startHelper(
      this.#lab,
      {
        host: 'lb1',
        nodeArguments: SMALL,
        script: 'checker.js',
        args,
        onLine: (line) => this.#verdicts.push(JSON.parse(line)),
      },
      this.#signal,
    );
    const all = this.#counts.tcp + this.#counts.http;
    await this.#until('all real servers are up', START_LIMIT_MS, () => {
      return this.#verdicts.length >= all ? undefined : `${this.#verdicts.length} of ${all}`;
    });
    await sleep(SETTLE_MS, this.#signal);
  }

  async measure(seconds: number): Promise<Omit<Result, keyof Counts | 'seconds' | 'out' | 'falseVerdicts'>> {
    const { pid = 0 } = this.#checker ?? {};
    const fromMs = Math.ceil(monotonicMs()) + LEAD_MS;
    this.#host?.write(`measure ${fromMs} ${fromMs + seconds * 1000}\n`);
    await sleep(LEAD_MS, this.#signal);
    const before = {
      atMs: monotonicMs(),
      cpu: cpuSeconds(pid),
      waitedMs: waitedMs(pid),
      stolenMs: stolenMs(),
    };
    await sleep(seconds * 1000, this.#signal);
    const measured = {
      cpuPercent: (100_000 * (cpuSeconds(pid) - before.cpu)) / (monotonicMs() - before.atMs),
      residentMiB: residentKiB(pid) / 1024,
      waitedMs: waitedMs(pid) - before.waitedMs,
      stolenMs: stolenMs() - before.stolenMs,
    };
    // A slot's probe may come until the next is due.
    await sleep(INTERVAL_MS + LEAD_MS, this.#signal);
    this.#host?.write('sums\n');
    await this.#until('the real servers tell', ANSWER_LIMIT_MS, () =>
      this.#answers.length > 0 ? undefined : 'not yet',
    );
    return { probes: this.#answers[0] as ProbeSums, ...measured };
  }

  /** Lets the victims die, all at one moment: where it lies in the interval of each differs. */
  async die(): Promise<Pick<Result, 'out' | 'falseVerdicts'>> {
    const all = victims(this.#counts);
    const route = this.#lab.start('rs', ['ip', '-batch', '-'], {
      onErrorLine: (line) => process.stderr.write(`${line}\n`),
    });
    // Their programs are there, and wait for what they are told.
    await sleep(LEAD_MS, this.#signal);
    const diedMs = monotonicMs();
    this.#host?.write('die\n');
    for (const { address, death } of all) {
      if (death === 'silent') route.write(`route add blackhole ${address} table local\n`);
    }
    const down = (): VerdictLine[] => this.#verdicts.filter(({ state }) => state === 'down');
    const foundMs = (): Map<string, number> =>
      new Map(down().map(({ realServer, atMs }) => [realServer, atMs - diedMs]));
    await sleep(OUT_LIMIT_MS, this.#signal);
    const endMs = monotonicMs() + OUT_GRACE_MS;
    await this.#until('the dead are out', 2 * OUT_GRACE_MS, () => {
      const found = foundMs();
      const left = all.filter((one) => !found.has(nameOf(one))).length;
      return left === 0 || monotonicMs() > endMs ? undefined : `${left} of ${all.length} are in`;
    });
    const dead = new Set(all.map(nameOf));
    const falseVerdicts = down().filter((one) => one.atMs < diedMs || !dead.has(one.realServer)).length;
    return { out: outOf(all, foundMs()), falseVerdicts };
  }

  /** In good order: a profile of it is written then. */
  async stop(): Promise<void> {
    if (this.#checker !== undefined) await stopChild(this.#checker);
  }

  #until(what: string, timeoutMs: number, missing: () => string | undefined): Promise<void> {
    return waitFor(
      what,
      () => {
        for (const child of [this.#host, this.#checker]) {
          if (child?.running === false) throw new Error(`${what}: a process of the bench has ended`);
        }
        return missing();
      },
      { timeoutMs, everyMs: LOOK_EVERY_MS, signal: this.#signal },
    );
  }
}

function nameOf({ address, port }: Victim): string {
  return `${address}:${port}`;
}

/** `foundMs`: from the deaths until a real server was found down. */
function outOf(all: readonly Victim[], foundMs: ReadonlyMap<string, number>): Out[] {
  return KINDS.flatMap((kind) =>
    deathsOf(kind).map((death): Out => {
      const times = all
        .filter((one) => one.kind === kind && one.death === death)
        .map((one) => foundMs.get(nameOf(one)) ?? Number.POSITIVE_INFINITY);
      const ms = (value: number): number | null => (Number.isFinite(value) ? value : null);
      return {
        kind,
        death,
        servers: times.length,
        soonestMs: ms(Math.min(...times)),
        latestMs: ms(Math.max(...times)),
        limitMs: OUT_LIMIT_MS,
      };
    }),
  );
}

async function measure({ tcp, http, seconds }: Chosen, signal: AbortSignal): Promise<Result> {
  const lab = new Lab(TOPOLOGY);
  try {
    await lab.build();
    const bench = new CheckLab(lab, { tcp, http }, signal);
    process.stderr.write(`${tcp} real servers by TCP and ${http} by HTTP, ${seconds} s\n`);
    await bench.start();
    const measured = await bench.measure(seconds);
    process.stderr.write(`${VICTIMS} of each kind die in each way\n`);
    const died = await bench.die();
    await bench.stop();
    return { tcp, http, seconds, ...measured, ...died };
  } finally {
    await lab.destroy();
  }
}

function report({ probes, falseVerdicts, out, ...costs }: Result): void {
  printTable(
    ['', 'checker'],
    [
      ['probes due', String(probes.due)],
      ['late, median ms', probes.medianMs.toFixed(1)],
      ['late, 99th percentile ms', probes.p99Ms.toFixed(1)],
      ['late, max ms', probes.maxMs.toFixed(1)],
      [`later than ${LATE_MS} ms`, String(probes.late)],
      ['false verdicts', String(falseVerdicts)],
      ['processor time, % of a core', costs.cpuPercent.toFixed(1)],
      ['resident MiB', costs.residentMiB.toFixed(1)],
      ['waited for a processor, ms', costs.waitedMs.toFixed(0)],
      ['taken by the hypervisor, ms', costs.stolenMs.toFixed(0)],
    ],
  );
  console.log('');
  const ms = (value: number | null): string => value?.toFixed(0) ?? 'never';
  printTable(
    ['check', 'death', 'servers', 'out after ms', 'limit ms'],
    out.map(({ kind, death, servers, soonestMs, latestMs, limitMs }) => [
      kind,
      death,
      String(servers),
      `${ms(soonestMs)} to ${ms(latestMs)}`,
      String(limitMs),
    ]),
  );
}

async function run(chosen: Chosen, signal: AbortSignal): Promise<number> {
  const result = await measure(chosen, signal);
  if (chosen.json) console.log(JSON.stringify(result, undefined, 2));
  else report(result);
  const { probes, falseVerdicts, out } = result;
  const inTime = out.every(({ latestMs, limitMs }) => latestMs !== null && latestMs <= limitMs);
  return probes.late === 0 && falseVerdicts === 0 && inTime ? 0 : 1;
}

await runBench({ name: 'bench:checks', usage: USAGE, options, run });
