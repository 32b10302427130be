/** A thread of `npm run sim`: runs one episode after the other as it is told. */
import { parentPort } from 'node:worker_threads';
import { runEpisode } from './simulator/run.js';
import type { EpisodeResult } from './simulator/world.js';

export interface Order {
  readonly seed: number;
  readonly episode: number;
}
export type Batch = EpisodeResult & { readonly episode: number };

parentPort?.on('message', ({ seed, episode }: Order) => {
  const batch: Batch = { ...runEpisode(seed, episode), episode };
  parentPort?.postMessage(batch, []);
});
