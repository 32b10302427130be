import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { parseDuration } from '../config/duration.js';
import { openIpvs } from '../io/netlink/ipvs.js';
import { fetchStatus, NoDirectorError } from '../io/operator/control-client.js';
import { Screen } from '../io/operator/screen.js';
import type { CountedService } from '../ipvs/model.js';
import { type TopSample, type TopView, topView } from '../observe/top/sample.js';
import { nextSort, SORTS, type TopSort, topText } from '../observe/top/table.js';
import type { DirectorStatus } from '../runtime/status.js';
import { type Command, UsageError } from './command.js';
import { jsonText } from './json-text.js';
import { RUNTIME_OPTIONS, RUNTIME_OPTIONS_USAGE } from './runtime-dir.js';

const DEFAULT_INTERVAL = '1s';
/** What a look at a large table may take, and a day. */
const LEAST_INTERVAL_MS = 100;
const MOST_INTERVAL_MS = 86_400_000;
const DEFAULT_SORT: TopSort = 'CPS';
const KEYS = 'q quits, s sorts by another column';
const CTRL_C = '\x03';

const USAGE = `Usage: director top [OPTIONS]

A live table of the kernel's virtual servers and real servers: their state, connections, and what comes and goes in a
second. Names and states are those of the running director; without one the kernel's numbers are shown alone. A narrow
terminal leaves columns out. Keys: q or Ctrl-C quits, s sorts by another column.

  --interval DURATION   between two looks, such as 5s (default ${DEFAULT_INTERVAL})
  --sort COLUMN         ${SORTS.slice(0, 5).join(', ')},
                        ${SORTS.slice(5).join(', ')} (default ${DEFAULT_SORT})
  --once                one look, without a terminal; its rates are the kernel's estimates, as those of 'list --rate'
  --json                a line of JSON for each look, without a terminal; with --once one object
${RUNTIME_OPTIONS_USAGE}`;

/** Where a look gets its numbers. */
export interface TopSource {
  /** By a clock that only goes forward. */
  nowMs(): number;
  /** The time of day. */
  date(): Date;
  /** The kernel's counters. Rejects with its words. */
  read(): Promise<readonly CountedService[]>;
  /** What the running director says; undefined where none answers. */
  status(): Promise<DirectorStatus | undefined>;
}

export const command: Command = {
  name: 'top',
  summary: 'a live table of connections and rates by virtual server and real server',
  usage: USAGE,
  async run(argv) {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        ...RUNTIME_OPTIONS,
        interval: { type: 'string', default: DEFAULT_INTERVAL },
        sort: { type: 'string', default: DEFAULT_SORT },
        once: { type: 'boolean', default: false },
        json: { type: 'boolean', default: false },
      },
    });
    const intervalMs = parseInterval(values.interval);
    const sort = parseSort(values.sort);
    const { stdin, stdout } = process;
    if (!values.once && !values.json && !(stdin.isTTY && stdout.isTTY))
      throw new UsageError("'director top' needs a terminal; without one use --once or --json");
    // The kernel's own socket: the package's may abort the process, and leave the terminal as it is.
    const ipvs = await openIpvs();
    try {
      const source: TopSource = {
        nowMs: () => performance.now(),
        date: () => new Date(),
        read: () => ipvs.read(),
        status: () => statusOf(values['runtime-dir']),
      };
      if (values.once) stdout.write(await once(source, sort, values.json));
      else if (values.json) await lines(source, intervalMs);
      else await watch(source, new Screen(stdin, stdout), { intervalMs, sort });
    } finally {
      ipvs.close();
    }
    return 0;
  },
};

function parseInterval(text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms < LEAST_INTERVAL_MS || ms > MOST_INTERVAL_MS)
    throw new UsageError(`--interval '${text}' is no duration from 100ms to 24h, such as 5s`);
  return ms;
}

function parseSort(text: string): TopSort {
  const sort = SORTS.find((name) => name.toLowerCase() === text.toLowerCase());
  if (sort === undefined) throw new UsageError(`--sort '${text}' is none of ${SORTS.join(', ')}`);
  return sort;
}

async function statusOf(runtimeDirectory: string): Promise<DirectorStatus | undefined> {
  try {
    return await fetchStatus(runtimeDirectory);
  } catch (error) {
    if (error instanceof NoDirectorError) return undefined;
    throw error;
  }
}

async function lookOf(source: TopSource, status: DirectorStatus | undefined): Promise<TopSample> {
  const services = await source.read();
  return { atMs: source.nowMs(), services, status };
}

/** As `--json` shows it. */
function jsonOf(view: TopView, date: Date): object {
  return { time: date.toISOString(), ...view };
}

async function once(source: TopSource, sort: TopSort, json: boolean): Promise<string> {
  const view = topView(undefined, await lookOf(source, await source.status()));
  if (json) return jsonText(jsonOf(view, source.date()));
  const whole = { width: Number.POSITIVE_INFINITY, height: Number.POSITIVE_INFINITY };
  const text = topText(view, { sort, ...whole, time: timeOf(source.date()), keys: undefined });
  return `${text.lines.join('\n')}\n`;
}

/** Until whoever reads leaves. */
async function lines(source: TopSource, intervalMs: number): Promise<void> {
  const left = new AbortController();
  process.stdout.once('error', () => left.abort());
  for await (const view of views(source, intervalMs, left.signal)) {
    process.stdout.write(`${JSON.stringify(jsonOf(view, source.date()))}\n`);
  }
}

/** Fills the screen until somebody quits. Rejects, with the terminal as it was, with what a look was rejected with. */
export async function watch(
  source: TopSource,
  screen: Screen,
  { intervalMs, sort: first }: { readonly intervalMs: number; readonly sort: TopSort },
): Promise<void> {
  const quit = new AbortController();
  let sort = first;
  let view: TopView | undefined;
  const draw = (): void => {
    if (view === undefined) return;
    const { lines, title } = topText(view, { sort, ...screen.size, time: timeOf(source.date()), keys: KEYS });
    screen.draw(lines, title);
  };
  screen.open({
    onKey: (key) => {
      if (key === 'q' || key === CTRL_C) quit.abort();
      if (key !== 's') return;
      sort = nextSort(sort);
      draw();
    },
    onResize: draw,
    onGone: () => quit.abort(),
  });
  try {
    for await (const next of views(source, intervalMs, quit.signal)) {
      view = next;
      draw();
    }
  } finally {
    screen.close();
  }
}

/** A view for each look, an interval apart from beginning to beginning or as long as a look takes, until `signal` says so. */
async function* views(source: TopSource, intervalMs: number, signal: AbortSignal): AsyncGenerator<TopView> {
  const statusNow = latest(() => source.status());
  let before: TopSample | undefined;
  while (!signal.aborted) {
    const startedMs = source.nowMs();
    const sample = await unlessAborted(
      statusNow().then((status) => lookOf(source, status)),
      signal,
    );
    if (sample === undefined) return;
    yield topView(before, sample);
    before = sample;
    const restMs = Math.max(0, startedMs + intervalMs - source.nowMs());
    await delay(restMs, undefined, { signal }).catch(() => {});
  }
}

/** Undefined as soon as `signal` is aborted; what is under way then runs on unheeded. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    const stop = (): void => resolve(undefined);
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop));
  });
}

/** A director may take seconds to answer: only the first answer is waited for, then the last one that came counts. */
function latest<T>(ask: () => Promise<T>): () => Promise<T> {
  let known: { readonly value: T } | undefined;
  let asking: Promise<T> | undefined;
  return async () => {
    asking ??= ask().then((value) => {
      known = { value };
      asking = undefined;
      return value;
    });
    return known === undefined ? asking : known.value;
  };
}

function timeOf(date: Date): string {
  return date.toTimeString().slice(0, 8);
}
