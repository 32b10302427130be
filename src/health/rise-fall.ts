/** Verdict on one probed target: `rise` successes in a row bring it in, `fall` failures in a row take it out. */

export type Verdict = 'up' | 'down' | 'unknown';

export interface RiseFallState {
  readonly verdict: Verdict;
  /** A success decides alone: nothing was heard yet, or another check stood behind the verdict. */
  readonly provisional: boolean;
  /** Outcomes in a row that speak against the verdict; below `rise` or `fall`. */
  readonly against: number;
}

export interface RiseFallLimits {
  /** At least 1. */
  readonly rise: number;
  /** At least 1. */
  readonly fall: number;
}

/** Nothing was heard yet. */
export const INITIAL: RiseFallState = { verdict: 'unknown', provisional: true, against: 0 };

/** Keeps the verdict of a check that was changed by a reload until outcomes of the new one speak against it. */
export function provisional(verdict: Verdict): RiseFallState {
  return { verdict, provisional: true, against: 0 };
}

/**
 * One outcome. A first success decides at once, so that a director that starts serves after one round of probes
 * instead of `rise` rounds. A first failure does not: one slow answer in the rush of a start or a reload would take a
 * healthy server out, and bring it back only after `rise` probes.
 */
export function step(state: RiseFallState, ok: boolean, limits: RiseFallLimits): RiseFallState {
  const outcome: Verdict = ok ? 'up' : 'down';
  if (outcome === state.verdict || (ok && state.provisional)) {
    return { verdict: outcome, provisional: false, against: 0 };
  }
  const against = state.against + 1;
  const needed = ok ? limits.rise : limits.fall;
  if (against >= needed) {
    return { verdict: outcome, provisional: false, against: 0 };
  }
  return { ...state, against };
}
