/** `npm run sim`: runs the simulator for as many virtual hours as wanted, or replays one episode. */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { freshSeed } from './fresh-seed.js';
import { type Batch, INVARIANT_WORDS, type Kind, type Order, runOrder } from './orders.js';
import { EXTRAS, type Extra } from './simulator/extras.js';
import { Tally } from './simulator/run.js';

const USAGE = `Usage: npm run sim -- [OPTIONS]

Runs the election of simulated clusters in virtual time, with faults, and checks invariants at every step. Or the services
process of one director, which is killed between any two steps, and what it leaves in the kernel.

  --seed S               whole number; the same seed gives the same episodes (default: a fresh one, told first)
  --hours H              virtual hours of the election (default 1000)
  --services N           so many histories of the services process instead
  --extras LIST          what episodes may have beside what all have, or none (default: ${EXTRAS.join()})
  --jobs N               threads (default: one for each processor)
  --replay SEED:EPISODE  prints what happens in one episode, step by step; with --services in one history
  --help

Exit status: 0 no invariant was violated, 1 one was, 2 wrong arguments, 130 interrupted.
`;

const HOUR_MS = 3_600_000;
const PROGRESS_MS = 2000;
/** An episode makes many short-lived objects: in less room a tenth of the time goes into clearing them away. */
const YOUNG_GENERATION_MB = 96;
const MAX_JOBS = 64;
const EXIT_INTERRUPTED = 130;

interface Choice {
  readonly seed: number;
  readonly kind: Kind;
  /** Virtual hours of the election, or histories of the services process. */
  readonly wanted: number;
  readonly extras: readonly Extra[];
  readonly jobs: number;
  readonly replay: { readonly seed: number; readonly episode: number } | undefined;
  readonly help: boolean;
}

class UsageError extends Error {}

function numberOf(option: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (text.trim() === '' || !(value >= least && value <= most))
    throw new UsageError(`--${option}: '${text}' is not a number from ${least} to ${most}`);
  return value;
}

function wholeOf(option: string, text: string, least: number, most: number): number {
  const value = numberOf(option, text, least, most);
  if (!Number.isInteger(value)) throw new UsageError(`--${option}: '${text}' is not a whole number`);
  return value;
}

function choose(argv: readonly string[]): Choice {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      seed: { type: 'string', default: String(freshSeed()) },
      hours: { type: 'string', default: '1000' },
      services: { type: 'string' },
      extras: { type: 'string', default: EXTRAS.join() },
      jobs: { type: 'string', default: String(Math.min(cpus().length, MAX_JOBS)) },
      replay: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const most = Number.MAX_SAFE_INTEGER;
  return {
    seed: wholeOf('seed', values.seed, 0, most),
    kind: values.services === undefined ? 'election' : 'services',
    wanted:
      values.services === undefined
        ? numberOf('hours', values.hours, Number.MIN_VALUE, 1e9)
        : wholeOf('services', values.services, 1, 1e9),
    extras: values.extras === 'none' ? [] : values.extras.split(',').map(extraOf),
    jobs: wholeOf('jobs', values.jobs, 1, MAX_JOBS),
    replay: values.replay === undefined ? undefined : replayOf(values.replay),
    help: values.help,
  };
}

function extraOf(text: string): Extra {
  const extra = EXTRAS.find((one) => one === text);
  if (extra === undefined) throw new UsageError(`--extras: '${text}' is none of ${EXTRAS.join(', ')}`);
  return extra;
}

function replayOf(text: string): { seed: number; episode: number } {
  const [seed = '', episode = '', ...rest] = text.split(':');
  if (rest.length > 0) throw new UsageError(`--replay: '${text}' is not SEED:EPISODE`);
  const most = Number.MAX_SAFE_INTEGER;
  return { seed: wholeOf('replay', seed, 0, most), episode: wholeOf('replay', episode, 0, 0x7fffffff) };
}

/** What makes the same run again. */
function optionsOf({ kind, wanted, extras }: Choice): string {
  return kind === 'election' ? `--hours ${wanted}${extrasOf(extras)}` : `--services ${wanted}`;
}

/** As an option; nothing for all. */
function extrasOf(extras: readonly Extra[]): string {
  return extras.length === EXTRAS.length ? '' : ` --extras ${extras.join() || 'none'}`;
}

function violationText(choice: Choice, { episode, violation }: Batch): string {
  if (violation === undefined) return '';
  const { seed, kind, extras } = choice;
  const { invariant, atMs, words } = violation;
  const services = kind === 'services' ? '--services 1 ' : '';
  const withExtras = kind === 'services' ? '' : extrasOf(extras);
  return [
    `violated: ${invariant} ${INVARIANT_WORDS[invariant]}`,
    `  seed ${seed}, episode ${episode}, at ${(atMs / 1000).toFixed(3)} s of virtual time`,
    `  ${words}`,
    `  again, with every step: npm run sim -- ${services}--replay ${seed}:${episode}${withExtras}`,
    '',
  ].join('\n');
}

async function replay(choice: Choice, { seed, episode }: { seed: number; episode: number }): Promise<number> {
  const batch = await runOrder({ kind: choice.kind, seed, episode, extras: choice.extras }, (line) => {
    process.stdout.write(`${line}\n`);
  });
  const { violation, virtualMs, steps } = batch;
  process.stdout.write(`\n${(virtualMs / 1000).toFixed(3)} s of virtual time, ${steps} steps\n`);
  process.stdout.write(violationText({ ...choice, seed }, batch));
  return violation === undefined ? 0 : 1;
}

/** Hands out batches of episodes until the hours are full, a violation is found, or it is interrupted. */
class Simulation {
  readonly #choice: Choice;
  readonly #tally = new Tally();
  readonly #startedMs = performance.now();
  #nextEpisode = 0;
  #finding: Batch | undefined;
  #interrupted = false;

  constructor(choice: Choice) {
    this.#choice = choice;
  }

  async run(): Promise<number> {
    const { seed } = this.#choice;
    process.stdout.write(
      `seed ${seed}; the same again: npm run sim -- --seed ${seed} ${optionsOf(this.#choice)}\n`,
    );
    const interrupt = (): void => {
      this.#interrupted = true;
    };
    process.on('SIGINT', interrupt);
    process.on('SIGTERM', interrupt);
    const ticker = setInterval(() => process.stderr.write(`${this.#progress()}\n`), PROGRESS_MS);
    try {
      await Promise.all(Array.from({ length: this.#choice.jobs }, () => this.#work()));
    } finally {
      clearInterval(ticker);
      process.off('SIGINT', interrupt);
      process.off('SIGTERM', interrupt);
    }
    process.stdout.write(this.#summary());
    if (this.#finding?.violation !== undefined) {
      process.stdout.write(violationText(this.#choice, this.#finding));
      return 1;
    }
    return this.#interrupted ? EXIT_INTERRUPTED : 0;
  }

  get #hours(): number {
    return this.#tally.virtualMs / HOUR_MS;
  }

  /** In the unit of what is wanted. */
  get #done(): number {
    return this.#choice.kind === 'election' ? this.#hours : this.#tally.episodes;
  }

  get #over(): boolean {
    return this.#interrupted || this.#finding !== undefined || this.#done >= this.#choice.wanted;
  }

  async #work(): Promise<void> {
    const worker = new Worker(new URL('./worker.js', import.meta.url), {
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_GENERATION_MB },
    });
    try {
      while (!this.#over) {
        const { kind, seed, extras } = this.#choice;
        const order: Order = { kind, seed, episode: this.#nextEpisode, extras };
        this.#nextEpisode += 1;
        this.#take(await ask(worker, order));
      }
    } finally {
      await worker.terminate();
    }
  }

  #take(batch: Batch): void {
    this.#tally.add(batch);
    // Of several threads' findings the first episode counts, so that a run tells the same each time.
    if (batch.violation !== undefined && batch.episode < (this.#finding?.episode ?? Number.POSITIVE_INFINITY))
      this.#finding = batch;
  }

  #progress(): string {
    const { episodes } = this.#tally;
    const seconds = (performance.now() - this.#startedMs) / 1000;
    const { kind, wanted } = this.#choice;
    const done = this.#done;
    const unit = kind === 'election' ? 'h' : 'histories';
    const left = (Math.max(0, wanted - done) * seconds) / done;
    const rate = (done / seconds).toFixed(1);
    return `${done.toFixed(1)} of ${wanted} ${unit}, ${episodes} episodes, ${rate} ${unit}/s, ${left.toFixed(0)} s left`;
  }

  #summary(): string {
    const { episodes, steps, counts } = this.#tally;
    const seconds = (performance.now() - this.#startedMs) / 1000;
    const lines = [...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([what, n]) => `  ${what}: ${n}`);
    const end = this.#interrupted ? 'interrupted after' : 'simulated';
    return [
      `${end} ${this.#hours.toFixed(1)} hours in ${seconds.toFixed(1)} s: ${episodes} episodes, ${steps} steps (seed ${this.#choice.seed})`,
      ...lines,
      '',
    ].join('\n');
  }
}

function ask(worker: Worker, order: Order): Promise<Batch> {
  return new Promise((resolve, reject) => {
    worker.once('error', reject);
    worker.once('message', (batch: Batch) => {
      worker.off('error', reject);
      resolve(batch);
    });
    worker.postMessage(order, []);
  });
}

try {
  const choice = choose(process.argv.slice(2));
  if (choice.help) process.stdout.write(USAGE);
  else if (choice.replay !== undefined) process.exitCode = await replay(choice, choice.replay);
  else process.exitCode = await new Simulation(choice).run();
} catch (error) {
  const wrong = error instanceof UsageError || (error instanceof TypeError && 'code' in error);
  if (!wrong) throw error;
  process.stderr.write(`npm run sim: ${error.message}\n\n${USAGE}`);
  process.exitCode = 2;
}
