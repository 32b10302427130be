/** From single observations of one tracked object to the verdict that counts: rise, fall and debounce. */
import { INITIAL, provisional, type RiseFallState, step } from '../health/rise-fall.js';
import type { TrackState } from '../vrrp/group-types.js';

/** What one look found. */
export interface Observation {
  readonly ok: boolean;
  /** A file's number. */
  readonly value?: number | undefined;
  /** Why it is not well; undefined when it is. */
  readonly reason?: string | undefined;
}

export interface SettleLimits {
  /** Good observations in a row that bring it up, at least 1. */
  readonly rise: number;
  /** Bad ones that take it down, at least 1. */
  readonly fall: number;
  /** A new verdict must hold for so long before it counts; 0: at once. */
  readonly debounceMs: number;
}

interface Verdict {
  readonly state: TrackState;
  readonly value: number | undefined;
  readonly reason: string | undefined;
}

/** The verdict that counts, and the one that waits for its debounce. */
export interface SettleState extends Verdict {
  readonly riseFall: RiseFallState;
  readonly pending: (Verdict & { readonly sinceMs: number }) | undefined;
}

/** Nothing was observed yet. */
export const UNSETTLED: SettleState = {
  state: 'unknown',
  value: undefined,
  reason: undefined,
  riseFall: INITIAL,
  pending: undefined,
};

/** Keeps the verdict that counts, and lets a good observation decide alone: for limits changed by a reload. */
export function unsettled(state: SettleState): SettleState {
  return { ...state, riseFall: provisional(state.state), pending: undefined };
}

/**
 * Takes one observation. The first one counts at once, without rise, fall or debounce: a director that starts must
 * not wait longer than one look to know its priority.
 */
export function observe(
  state: SettleState,
  observation: Observation,
  limits: SettleLimits,
  nowMs: number,
): SettleState {
  const { ok, value, reason } = observation;
  const first = state.state === 'unknown';
  const riseFall = step(state.riseFall, ok, first ? { ...limits, fall: 1 } : limits);
  const seen = ok ? 'up' : 'down';
  const next = { ...state, riseFall };
  // Against the verdict, but not often enough yet.
  if (riseFall.verdict !== seen) return settle(next, limits, nowMs);
  const candidate: Verdict = { state: seen, value, reason };
  if (first || (state.state === seen && state.value === value)) {
    return { ...next, ...candidate, pending: undefined };
  }
  const sinceMs = holdsSince(state, candidate) ?? nowMs;
  return settle({ ...next, pending: { ...candidate, sinceMs } }, limits, nowMs);
}

/** Lets a verdict count whose debounce is over. A stray call is harmless. */
export function settle(state: SettleState, limits: SettleLimits, nowMs: number): SettleState {
  if (state.pending === undefined || nowMs < settlesAtMs(state, limits)) return state;
  const { state: verdict, value, reason } = state.pending;
  return { ...state, state: verdict, value, reason, pending: undefined };
}

/** When `settle` has something to do; Infinity while nothing waits. */
export function settlesAtMs(state: SettleState, limits: SettleLimits): number {
  return state.pending === undefined ? Infinity : state.pending.sinceMs + limits.debounceMs;
}

/**
 * Since when a verdict that waits has held. A number that changes meanwhile does not start the wait for `down` anew:
 * a file that is never twice the same would otherwise never count as down.
 */
function holdsSince(state: SettleState, candidate: Verdict): number | undefined {
  const { pending } = state;
  if (pending === undefined || pending.state !== candidate.state) return undefined;
  const turns = candidate.state !== state.state;
  return turns || pending.value === candidate.value ? pending.sinceMs : undefined;
}
