/** Runs episodes one after the other and adds up what they say. */
import { drawScenario } from './draw.js';
import { EXTRAS, type Extra } from './extras.js';
import type { Violation } from './judge.js';
import { type Machine, PRODUCT } from './machine.js';
import { type EpisodeResult, World } from './world.js';

export { PRODUCT };

export interface Finding {
  readonly seed: number;
  readonly episode: number;
  readonly violation: Violation;
}

/** Adds up episodes. */
export class Tally {
  episodes = 0;
  virtualMs = 0;
  steps = 0;
  readonly counts = new Map<string, number>();

  add(
    part: Pick<EpisodeResult, 'virtualMs' | 'steps'> & { counts: Iterable<readonly [string, number]> },
    episodes = 1,
  ): void {
    this.episodes += episodes;
    this.virtualMs += part.virtualMs;
    this.steps += part.steps;
    for (const [what, count] of part.counts) this.counts.set(what, (this.counts.get(what) ?? 0) + count);
  }
}

export interface RunOptions {
  /** All, unless given. */
  readonly extras?: readonly Extra[];
  readonly machine?: Machine;
  /** Takes every step as text. */
  readonly print?: ((line: string) => void) | undefined;
}

export function runEpisode(
  seed: number,
  episode: number,
  { extras = EXTRAS, machine = PRODUCT, print }: RunOptions = {},
): Promise<EpisodeResult> {
  return new World(drawScenario(seed, episode, extras), seed, machine, print).run();
}

const HOUR_MS = 3_600_000;

/** Episodes of `seed` until `hours` of virtual time are over or one finds something. For tests. */
export async function simulate(
  seed: number,
  hours: number,
  options: RunOptions = {},
): Promise<{ tally: Tally; finding: Finding | undefined }> {
  const tally = new Tally();
  for (let episode = 0; tally.virtualMs < hours * HOUR_MS; episode += 1) {
    const result = await runEpisode(seed, episode, options);
    tally.add(result);
    if (result.violation !== undefined)
      return { tally, finding: { seed, episode, violation: result.violation } };
  }
  return { tally, finding: undefined };
}
