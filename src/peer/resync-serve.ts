/**
 * The director that replays its table: which request has its turn, what each asker is told, and when it tells of everything again
 * with nobody asking, for what was lost of the group's datagrams nobody notices. Pure.
 */
import type { ReplayAnswer } from './hello.js';

/** From the start of one replay to the next, whoever asks: it costs the network and this processor something. */
export const REPLAY_PAUSE_MS = 5000;

/** From the end of one replay that nobody asked for to the next, at least. */
export const REFRESH_MS = 10_000;
/** And so many times as long as it took: the larger the table, the more seldom. */
export const REFRESH_REST_FACTOR = 20;

export interface ServeState {
  /** By the asker's name: its last request. */
  readonly answers: Readonly<Record<string, ReplayAnswer>>;
  /** Of the last one that was asked for. */
  readonly startedAtMs: number;
  /** Those that nobody asked for: since when one runs, and when the next one is due. */
  readonly refresh: { readonly sinceMs: number | undefined; readonly nextMs: number };
}

export type ServeInput =
  /** `request`: 0 when it asks for nothing. */
  | { readonly type: 'asked'; readonly peer: string; readonly request: number }
  | { readonly type: 'done'; readonly peer: string; readonly sent: number }
  | { readonly type: 'failed'; readonly peer: string }
  /** One that nobody asked for has ended, as it may. */
  | { readonly type: 'refreshed' }
  | { readonly type: 'deadline' };

export interface ServeStep {
  readonly state: ServeState;
  readonly action: /** Nothing is to be begun or ended. */
    | undefined
    /** This one is to be served now. */
    | { readonly type: 'serve'; readonly peer: string }
    | { readonly type: 'refresh' }
    /** Somebody waits, who will be told of all of it. */
    | { readonly type: 'end-refresh' };
  readonly deadlineMs: number;
}

export const NOBODY_SERVED: ServeState = {
  answers: {},
  startedAtMs: Number.NEGATIVE_INFINITY,
  refresh: { sinceMs: undefined, nextMs: Number.NEGATIVE_INFINITY },
};

/** @param refreshes this director alone is master, and a peer is there to hear it */
export function stepServe(
  state: ServeState,
  input: ServeInput,
  { nowMs, refreshes }: { readonly nowMs: number; readonly refreshes: boolean },
): ServeStep {
  const answers = 'peer' in input ? answersAfter(state.answers, input) : state.answers;
  const refresh = refreshAfter(state.refresh, input, { nowMs, refreshes });
  const next = { ...state, answers, refresh };
  const all = Object.entries(answers);
  const rests = (deadlineMs: number): ServeStep => ({ state: next, action: undefined, deadlineMs });
  if (all.some(([, one]) => one.state === 'running')) return rests(Number.POSITIVE_INFINITY);
  const [peer, answer] = all.find(([, one]) => one.state === 'waiting') ?? [];
  if (peer === undefined || answer === undefined) {
    if (!refreshes || refresh.sinceMs !== undefined) return rests(Number.POSITIVE_INFINITY);
    if (nowMs < refresh.nextMs) return rests(refresh.nextMs);
    return {
      state: { ...next, refresh: { ...refresh, sinceMs: nowMs } },
      action: { type: 'refresh' },
      deadlineMs: Number.POSITIVE_INFINITY,
    };
  }
  if (refresh.sinceMs !== undefined)
    return { ...rests(Number.POSITIVE_INFINITY), action: { type: 'end-refresh' } };
  const atMs = next.startedAtMs + REPLAY_PAUSE_MS;
  if (nowMs < atMs) return rests(atMs);
  const running = { ...answers, [peer]: { ...answer, state: 'running' as const } };
  return {
    state: { ...next, answers: running, startedAtMs: nowMs },
    action: { type: 'serve', peer },
    deadlineMs: Number.POSITIVE_INFINITY,
  };
}

function refreshAfter(
  refresh: ServeState['refresh'],
  input: ServeInput,
  { nowMs, refreshes }: { readonly nowMs: number; readonly refreshes: boolean },
): ServeState['refresh'] {
  const { sinceMs } = refresh;
  if (input.type === 'refreshed' && sinceMs !== undefined) {
    const restMs = Math.max(REFRESH_MS, REFRESH_REST_FACTOR * (nowMs - sinceMs));
    return { sinceMs: undefined, nextMs: nowMs + restMs };
  }
  // A new master has other things to do at first.
  return refreshes ? refresh : { ...refresh, nextMs: Math.max(refresh.nextMs, nowMs + REFRESH_MS) };
}

function answersAfter(
  answers: ServeState['answers'],
  input: Extract<ServeInput, { peer: string }>,
): ServeState['answers'] {
  const { peer } = input;
  const last = answers[peer];
  switch (input.type) {
    case 'asked':
      // A replay that runs for its request before serves this one as little as none: it is told of when that has ended.
      if (input.request === last?.request || last?.state === 'running') return answers;
      if (input.request === 0) return last?.state === 'waiting' ? without(answers, peer) : answers;
      return { ...answers, [peer]: { request: input.request, state: 'waiting', sent: 0 } };
    case 'done':
      if (last === undefined) return answers;
      return { ...answers, [peer]: { ...last, state: 'done', sent: input.sent } };
    case 'failed':
      if (last === undefined) return answers;
      return { ...answers, [peer]: { ...last, state: 'failed' } };
  }
}

/** Who asks no more is not served. */
function without(answers: ServeState['answers'], peer: string): ServeState['answers'] {
  return Object.fromEntries(Object.entries(answers).filter(([name]) => name !== peer));
}
