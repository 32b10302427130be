/** The director that is asked to replay its table: which request has its turn, and what each asker is told. Pure. */
import type { ReplayAnswer } from './hello.js';

/** From the start of one replay to the next, whoever asks: it costs the network and this processor something. */
export const REPLAY_PAUSE_MS = 5000;

export interface ServeState {
  /** By the asker's name: its last request. */
  readonly answers: Readonly<Record<string, ReplayAnswer>>;
  readonly startedAtMs: number;
}

export type ServeInput =
  /** `request`: 0 when it asks for nothing. */
  | { readonly type: 'asked'; readonly peer: string; readonly request: number }
  | { readonly type: 'done'; readonly peer: string; readonly sent: number }
  | { readonly type: 'failed'; readonly peer: string }
  | { readonly type: 'deadline' };

export interface ServeStep {
  readonly state: ServeState;
  /** Who is to be served now. */
  readonly start: string | undefined;
  readonly deadlineMs: number;
}

export const NOBODY_SERVED: ServeState = { answers: {}, startedAtMs: Number.NEGATIVE_INFINITY };

export function stepServe(state: ServeState, input: ServeInput, nowMs: number): ServeStep {
  const next = 'peer' in input ? { ...state, answers: answersAfter(state.answers, input) } : state;
  const all = Object.entries(next.answers);
  const [peer, answer] = all.find(([, one]) => one.state === 'waiting') ?? [];
  if (peer === undefined || answer === undefined || all.some(([, one]) => one.state === 'running'))
    return { state: next, start: undefined, deadlineMs: Number.POSITIVE_INFINITY };
  const atMs = next.startedAtMs + REPLAY_PAUSE_MS;
  if (nowMs < atMs) return { state: next, start: undefined, deadlineMs: atMs };
  const answers = { ...next.answers, [peer]: { ...answer, state: 'running' as const } };
  return {
    state: { answers, startedAtMs: nowMs },
    start: peer,
    deadlineMs: Number.POSITIVE_INFINITY,
  };
}

function answersAfter(
  answers: ServeState['answers'],
  input: Exclude<ServeInput, { type: 'deadline' }>,
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
