/**
 * `npm run bench:reload`: a pair at 10 ms advertisements reloads a file of 10,000 virtual servers again and again, good
 * and faulty, while its status is asked for all the time. The services processes have a fake of the kernel's IPVS.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { sleep, waitFor } from '../../src/drill/wait.js';
import { fetchStatus } from '../../src/io/operator/control-client.js';
import { controlSocketPath } from '../../src/io/operator/control-server.js';
import { servicesSocketPath } from '../../src/io/operator/services-socket.js';
import { MAIN } from '../program.js';
import { balancedYaml, type Change } from './balanced-yaml.js';
import { type Running, type Setup, yaml } from './support/contenders.js';
import { BenchLab, OUTSIDE, VIP } from './support/lab.js';
import { numberWithin } from './support/options.js';
import { residentKiB } from './support/processes.js';
import { COMMON_OPTIONS, runBench } from './support/run-bench.js';
import { type Gap, type Standstill, unaccountedMs } from './support/standstills.js';
import { SummingWitness } from './support/summing-witness.js';
import { printTable } from './support/table.js';

const USAGE = `Usage: npm run bench:reload -- [OPTIONS]

  --count N       virtual servers, 10 to 10000, default 10000
  --reals N       real servers of each, 1 to 16, default 4
  --reloads N     good reloads, and as many faulty ones, 1 to 100, default 10
  --statuses N    statuses asked for a second, 0 to 20, default 20: by 'director status --json' one after the other,
                  the rest on the sockets that it asks
  --interval MS   advertisement interval in milliseconds, 10 to 1000, default 10
  --json          the results as JSON on standard output, progress on standard error

Exit status 1 when a role changed or a services process was replaced, when two advertisements of the master were more than 20 ms further apart than the
interval leaves and a standstill of this machine accounts for, or when a VRRP process had more than 80 MB.
`;

/** The modules that the bundle is made of: a fake can stand in for one of them. */
const MODULES = fileURLToPath(new URL('../../src/main.js', import.meta.url));
const FAKE_TABLE = new URL('fake-table-import.js', import.meta.url).href;
/** Between two advertisements, beyond what the interval has over 10 ms. */
const LIMIT_MS = 20;
const SHORTEST_INTERVAL_MS = 10;
const LIMIT_MB = 80;
const SETTLE_MS = 3000;
const RELOAD_LIMIT_MS = 180_000;
const LOOK_EVERY_MS = 50;
/** Questions under way at a time: the machine may not do as many as are asked for. */
const MAX_ASKING = 20;

interface Result {
  readonly reload: string;
  readonly tookMs: number;
  readonly roleChanges: number;
  readonly widestMs: number;
  readonly unaccountedMs: number;
  readonly statuses: number;
  readonly statusesFailed: number;
  /** Ends of both services processes so far. */
  readonly restarts: number;
  /** Latest deadline of either election since the start, in milliseconds: what is later on the wire is the network's. */
  readonly latenessMs: number;
  /** Of the larger VRRP process. */
  readonly residentMB: number;
}

type Chosen = NonNullable<ReturnType<typeof options>>;

function options() {
  const { values } = parseArgs({
    options: {
      count: { type: 'string', default: '10000' },
      reals: { type: 'string', default: '4' },
      reloads: { type: 'string', default: '10' },
      statuses: { type: 'string', default: '20' },
      interval: { type: 'string', default: '10' },
      ...COMMON_OPTIONS,
    },
  });
  if (values.help) return undefined;
  return {
    count: numberWithin(values.count, 10, 10_000, 'count'),
    reals: numberWithin(values.reals, 1, 16, 'reals'),
    reloads: numberWithin(values.reloads, 1, 100, 'reloads'),
    statuses: numberWithin(values.statuses, 0, 20, 'statuses'),
    intervalMs: numberWithin(values.interval, SHORTEST_INTERVAL_MS, 1000, 'interval'),
    json: values.json,
  };
}

function setupOf({ count, reals, intervalMs }: Chosen, change: Change): Setup {
  return {
    intervalMs,
    instances: [OUTSIDE],
    moreYaml: balancedYaml(VIP, count, reals, change),
    nodeArguments: ['--import', FAKE_TABLE],
    main: MODULES,
  };
}

/** One answer from one socket, read to its end and thrown away. */
function askOnce(socketPath: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path: '/status', agent: false }, (response) => {
      response.on('error', reject);
      response.on('end', () => (response.statusCode === 200 ? resolve() : reject(new Error('refused'))));
      response.resume();
    });
    asked.on('error', reject);
    asked.end();
  });
}

/**
 * Asks for the status again and again, as an operator or a monitor does: one `director status --json` after the other, and
 * so often what that command asks for, on both sockets of a director. A start of Node.js and four megabytes to print are
 * half a second of a processor each, which is the asker's affair.
 */
class Askers {
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #children = new Set<ChildProcess>();
  #asking = 0;
  #answered = 0;
  #failed = 0;

  constructor(directors: readonly Running[], perSecond: number) {
    let turn = 0;
    if (perSecond === 0) return;
    this.#timer = setInterval(() => {
      const director = directors[turn % directors.length];
      turn += 1;
      if (director === undefined) return;
      if (this.#children.size === 0) this.#command(director.runtimeDirectory);
      else if (this.#asking < MAX_ASKING) void this.#ask(director.runtimeDirectory);
    }, 1000 / perSecond);
  }

  async #ask(runtimeDirectory: string): Promise<void> {
    this.#asking += 1;
    try {
      await askOnce(controlSocketPath(runtimeDirectory));
      await askOnce(servicesSocketPath(runtimeDirectory));
      this.#answered += 1;
    } catch {
      this.#failed += 1;
    } finally {
      this.#asking -= 1;
    }
  }

  #command(runtimeDirectory: string): void {
    const child = spawn(process.execPath, [MAIN, 'status', '--json', '--runtime-dir', runtimeDirectory], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
    this.#children.add(child);
    child.once('close', (code) => {
      this.#children.delete(child);
      if (code === 0) this.#answered += 1;
      else this.#failed += 1;
    });
  }

  /** Since the last call. */
  take(): { statuses: number; statusesFailed: number } {
    const counts = { statuses: this.#answered, statusesFailed: this.#failed };
    this.#answered = this.#failed = 0;
    return counts;
  }

  end(): void {
    clearInterval(this.#timer);
    for (const child of this.#children) child.kill('SIGKILL');
  }
}

class Reloading {
  readonly #chosen: Chosen;
  readonly #bench: BenchLab;
  readonly #pair: readonly [Running, Running];
  readonly #witness: SummingWitness;
  readonly #askers: Askers;
  readonly #standstills: Standstill[];

  constructor(
    chosen: Chosen,
    bench: BenchLab,
    pair: readonly [Running, Running],
    parts: { witness: SummingWitness; askers: Askers; standstills: Standstill[] },
  ) {
    this.#chosen = chosen;
    this.#bench = bench;
    this.#pair = pair;
    this.#witness = parts.witness;
    this.#askers = parts.askers;
    this.#standstills = parts.standstills;
  }

  /** Both directors take the file; `words` must be what each logs in the end. */
  async reload(reload: string, change: Change, words: string): Promise<Result> {
    const text = yaml(setupOf(this.#chosen, change));
    const told = (one: Running) => one.output.filter((line) => line.includes('"event":"reload"'));
    const fromMs = performance.now();
    for (const { host } of this.#pair) await writeFile(join(this.#bench.folder, `${host}.yaml`), text);
    for (const { output } of this.#pair) output.length = 0;
    for (const { child } of this.#pair) process.kill(child.pid, 'SIGHUP');
    await waitFor(
      `the reload '${reload}' is done`,
      () => (this.#pair.every((one) => told(one).length > 0) ? undefined : 'not yet'),
      { timeoutMs: RELOAD_LIMIT_MS, everyMs: LOOK_EVERY_MS, signal: this.#bench.signal },
    );
    const tookMs = performance.now() - fromMs;
    for (const one of this.#pair) {
      const line = told(one).at(-1) ?? '';
      if (!line.includes(words)) throw new Error(`${reload} on ${one.host}: ${line.slice(0, 500)}`);
    }
    return { reload, tookMs, ...(await this.#measured()) };
  }

  /** What a director says of the end of its services process. */
  #tellEnds(): void {
    for (const { host, output } of this.#pair) {
      const ends = output.filter(
        (line) => line.includes('"event":"services"') && line.includes('"level":50'),
      );
      for (const line of ends) process.stderr.write(`  ${host}: ${line}\n`);
    }
  }

  async #measured(): Promise<Omit<Result, 'reload' | 'tookMs'>> {
    this.#tellEnds();
    const { maxMs, longGaps, sourceChanges } = await this.#witness.sums();
    const beyond = longGaps.map((gap: Gap) => unaccountedMs(gap, this.#standstills));
    const logged = this.#pair.flatMap(({ roles }) => roles.splice(0));
    const told = await Promise.all(this.#pair.map((one) => fetchStatus(one.runtimeDirectory)));
    return {
      restarts: told.reduce((sum, { services }) => sum + services.restarts, 0),
      latenessMs: Math.max(...told.map(({ deadline_lateness }) => deadline_lateness.max_ms)),
      roleChanges: Math.max(sourceChanges.length, logged.length),
      widestMs: maxMs,
      unaccountedMs: Math.max(0, ...beyond),
      ...this.#askers.take(),
      residentMB: Math.max(...this.#pair.map(({ child }) => (residentKiB(child.pid) * 1024) / 1e6)),
    };
  }
}

function limitMs({ intervalMs }: Pick<Chosen, 'intervalMs'>): number {
  return LIMIT_MS + intervalMs - SHORTEST_INTERVAL_MS;
}

async function measure(
  chosen: Chosen,
  bench: BenchLab,
  askers: (pair: readonly Running[]) => Askers,
): Promise<Result[]> {
  const { count, reals, reloads } = chosen;
  process.stderr.write(
    `a pair with ${count} virtual servers of ${reals} real servers starts, on a fake of the kernel's table\n`,
  );
  const pair = await bench.pair('ours', setupOf(chosen, { weight: 1 }));
  const witness = await SummingWitness.start(bench, ['--long', String(limitMs(chosen) / 2)]);
  const standstills: Standstill[] = [];
  await bench.processorWitnesses((one) => standstills.push(one));
  const parts = { witness, standstills, askers: askers(pair) };
  await sleep(SETTLE_MS, bench.signal);
  await witness.sums();
  for (const { roles } of pair) roles.length = 0;
  const reloading = new Reloading(chosen, bench, pair, parts);
  const results: Result[] = [];
  const tell = (one: Result) => {
    results.push(one);
    process.stderr.write(
      `[${results.length}/${2 * reloads}] ${one.reload}: ${(one.tookMs / 1000).toFixed(1)} s, role changes ` +
        `${one.roleChanges}, advertisements at most ${one.widestMs.toFixed(1)} ms apart, ` +
        `${one.unaccountedMs.toFixed(1)} ms without standstills, latest deadline so far ` +
        `${one.latenessMs.toFixed(1)} ms, ${one.statuses} statuses, VRRP ` +
        `${one.residentMB.toFixed(1)} MB\n`,
    );
  };
  for (let i = 1; i <= reloads; i++) {
    tell(await reloading.reload(`good ${i}`, { weight: 1 + i }, 'configuration reloaded'));
    tell(await reloading.reload(`faulty ${i}`, { weight: 1, faulty: true }, 'goes on with what it had'));
  }
  return results;
}

type Figure = Exclude<keyof Result, 'reload'>;

function most(some: readonly Result[], field: Figure): number {
  return Math.max(...some.map((one) => one[field]));
}

function sum(some: readonly Result[], field: Figure): number {
  return some.reduce((total, one) => total + one[field], 0);
}

function report(results: readonly Result[]): void {
  const of = (kind: string) => results.filter(({ reload }) => reload.startsWith(kind));
  const rows: readonly (readonly [string, (some: readonly Result[]) => string])[] = [
    ['reloads of both directors', (some) => String(some.length)],
    ['longest, s', (some) => (most(some, 'tookMs') / 1000).toFixed(1)],
    ['role changes', (some) => String(sum(some, 'roleChanges'))],
    ['advertisements apart, ms', (some) => most(some, 'widestMs').toFixed(1)],
    ['  without standstills, ms', (some) => most(some, 'unaccountedMs').toFixed(1)],
    ['latest deadline, ms', (some) => most(some, 'latenessMs').toFixed(1)],
    ['statuses a second', (some) => ((1000 * sum(some, 'statuses')) / sum(some, 'tookMs')).toFixed(1)],
    ['statuses failed', (some) => String(sum(some, 'statusesFailed'))],
    ['services processes replaced', (some) => String(most(some, 'restarts'))],
    ['VRRP process, MB', (some) => most(some, 'residentMB').toFixed(1)],
  ];
  printTable(
    ['', 'good', 'faulty'],
    rows.map(([what, value]) => [what, value(of('good')), value(of('faulty'))]),
  );
  console.log("\nThe services processes' kernel table is a fake of the bench.");
}

async function run(chosen: Chosen, signal: AbortSignal): Promise<number> {
  let askers: Askers | undefined;
  const results = await BenchLab.use(signal, (bench) =>
    measure(chosen, bench, (pair) => {
      askers = new Askers(pair, chosen.statuses);
      return askers;
    }).finally(() => askers?.end()),
  );
  if (chosen.json) console.log(JSON.stringify(results, undefined, 2));
  else report(results);
  const holds = results.every(
    (one) =>
      one.roleChanges === 0 &&
      one.restarts === 0 &&
      one.unaccountedMs <= limitMs(chosen) &&
      one.residentMB <= LIMIT_MB,
  );
  return holds ? 0 : 1;
}

await runBench({ name: 'bench:reload', usage: USAGE, options, run });
