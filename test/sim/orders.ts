/** One episode of the election or one history of the services process, as the threads of `npm run sim` are told. */
import { History } from './services/history.js';
import type { Extra } from './simulator/extras.js';
import { INVARIANTS } from './simulator/judge.js';
import { runEpisode } from './simulator/run.js';
import type { EpisodeResult } from './simulator/world.js';

export const INVARIANT_WORDS = {
  ...INVARIANTS,
  S1: 'table, state file and status tell the same in the end, and nothing is left after a stop',
} as const;

export type Kind = 'election' | 'services';

export interface Order {
  readonly kind: Kind;
  readonly seed: number;
  readonly episode: number;
  readonly extras: readonly Extra[];
}

export interface Batch extends Omit<EpisodeResult, 'violation'> {
  readonly episode: number;
  readonly violation:
    | { readonly invariant: keyof typeof INVARIANT_WORDS; readonly atMs: number; readonly words: string }
    | undefined;
}

export async function runOrder(order: Order, print?: (line: string) => void): Promise<Batch> {
  const { kind, seed, episode, extras } = order;
  if (kind === 'election') return { ...(await runEpisode(seed, episode, { extras, print })), episode };
  const { violation, ...rest } = await new History(seed, episode, print).run();
  return { ...rest, episode, violation: violation && { invariant: 'S1', ...violation } };
}
