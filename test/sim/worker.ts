/** A thread of `npm run sim`: runs one episode after the other as it is told. */
import { parentPort } from 'node:worker_threads';
import { runEpisode } from './simulator/run.js';
import type { EpisodeResult } from './simulator/world.js';

export interface Order {
  readonly seed: number;
  readonly episode: number;
}
export type Batch = EpisodeResult & { readonly episode: number };

async function run({ seed, episode }: Order): Promise<void> {
  const batch: Batch = { ...(await runEpisode(seed, episode)), episode };
  parentPort?.postMessage(batch, []);
}

parentPort?.on('message', (order: Order) => void run(order));
