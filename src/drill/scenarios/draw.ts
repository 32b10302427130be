/** Scenarios drawn by lot, the same for the same seed. Pure. */
import { randomOf } from '../../util/random.js';
import { SCENARIO_NAMES, type ScenarioName } from '../report/verdict.js';

/** `return` follows by itself, and `return-with-preemption` is `reboot` with a reload before and behind it. */
export const DRAWABLE: readonly ScenarioName[] = SCENARIO_NAMES.filter(
  (name) => name !== 'return' && name !== 'return-with-preemption',
);

/** Longer than an advertisement interval, so that faults come at any time within it. */
const MAX_PAUSE_MS = 1500;

export interface Lot {
  /** How many scenarios. */
  readonly count: number;
  /** 0 to 2^32 - 1. */
  readonly seed: number;
}

export function drawScenarios({ count, seed }: Lot, from: readonly ScenarioName[]): readonly ScenarioName[] {
  const random = randomOf(seed);
  return Array.from({ length: count }, () => from[Math.floor(random() * from.length)] ?? 'planned');
}

/** What is waited before each fault in addition, in milliseconds. */
export function drawPauses({ seed }: Lot): () => number {
  const random = randomOf(~seed);
  return () => random() * MAX_PAUSE_MS;
}
