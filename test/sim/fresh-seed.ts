/** Seeds that nothing was mended with: a run proves something only with those. */
import { randomInt } from 'node:crypto';

const SEEDS = 2 ** 32;

export function freshSeed(): number {
  return randomInt(SEEDS);
}
