/** Verdict on one probed target: `rise` successes in a row bring it in, `fall` failures in a row take it out. */

export type Verdict = 'up' | 'down' | 'unknown';

export interface RiseFallState {
  readonly verdict: Verdict;
  /** The next outcome decides alone: nothing was heard yet, or another check stood behind the verdict. */
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

/** Keeps the verdict until the next outcome decides: for a check that was changed by a reload. */
export function provisional(verdict: Verdict): RiseFallState {
  return { verdict, provisional: true, against: 0 };
}

/**
 * One outcome. The first one decides at once, so that a director that starts serves after one round of probes
 * instead of `rise` rounds; from then on `rise` and `fall` hold.
 */
export function step(state: RiseFallState, ok: boolean, limits: RiseFallLimits): RiseFallState {
  const outcome: Verdict = ok ? 'up' : 'down';
  if (state.provisional || outcome === state.verdict) {
    return { verdict: outcome, provisional: false, against: 0 };
  }
  const against = state.against + 1;
  const needed = ok ? limits.rise : limits.fall;
  if (against >= needed) {
    return { verdict: outcome, provisional: false, against: 0 };
  }
  return { ...state, against };
}
