/**
 * Whether a backup's table is short of the master's, and when that is worth a replay: datagrams of the kernel's sync daemons
 * are lost without a trace. By counts, which cost next to nothing. Pure.
 */
import type { TableCount } from './hello.js';

/** Counts of two hosts are never of the same moment, and the kernel gathers for two seconds: what is short has to stay so. */
export const LAG_MS = 4000;
/** From the end of the first request to the next; it doubles with each. */
export const FIRST_PAUSE_MS = 3000;
export const MAX_PAUSE_MS = 600_000;
/** A table that was whole for so long has the first pause again. */
export const WHOLE_MS = 60_000;
/** A replay that takes long is not asked for again before so many times as long. */
export const REST_FACTOR = 20;
/** Doubled once, it is the first. */
const BEFORE_FIRST_MS = FIRST_PAUSE_MS / 2;
/** What every replay takes, however small the table is: for its turn, for the receiver's kernel, for two counts. */
const USUAL_MS = 20_000;
/** A count that is older than the other one by more than this lacks connections that are no loss. */
const SAME_TIME_MS = 2000;

export interface LagState {
  readonly shortSinceMs: number | undefined;
  readonly wholeSinceMs: number | undefined;
  /** From the last request to the next. */
  readonly pauseMs: number;
  /** Of the request that is under way. */
  readonly askedAtMs: number | undefined;
  /** The last one that ended. */
  readonly last: { readonly endedAtMs: number; readonly tookMs: number } | undefined;
}

export const NO_LAG: LagState = {
  shortSinceMs: undefined,
  wholeSinceMs: undefined,
  pauseMs: BEFORE_FIRST_MS,
  askedAtMs: undefined,
  last: undefined,
};

type Counted = Pick<TableCount, 'established'> & { readonly atMs: number };

/**
 * Connections of the master that the backup lacks. Where many come and go some always are on the way, for which the pauses
 * are. 0: none that counts could show; undefined: the two counts are of different times.
 */
export function missingOf(master: Counted, backup: Counted): number | undefined {
  if (backup.atMs < master.atMs - SAME_TIME_MS) return undefined;
  return Math.max(0, master.established - backup.established);
}

export interface LagInput {
  /** Undefined: it cannot be told now, or this director is not the backup of a master that is up. */
  readonly missing: number | undefined;
  /** Datagrams of the master were lost on their way here: there is nothing to wait for. */
  readonly isLossy: boolean;
  /** A replay is being asked for, whatever for. */
  readonly isAsking: boolean;
}

export function stepLag(
  state: LagState,
  { missing, isLossy, isAsking }: LagInput,
  nowMs: number,
): { readonly state: LagState; readonly ask: boolean } {
  if (isAsking) {
    const askedAtMs = state.askedAtMs ?? nowMs;
    return { state: { ...state, askedAtMs, shortSinceMs: undefined, wholeSinceMs: undefined }, ask: false };
  }
  const next = state.askedAtMs === undefined ? state : ended(state, state.askedAtMs, nowMs);
  if (isLossy) return { state: { ...next, wholeSinceMs: undefined }, ask: nowMs >= restsUntilMs(next) };
  if (missing === undefined) return { state: next, ask: false };
  if (missing === 0) {
    const wholeSinceMs = next.wholeSinceMs ?? nowMs;
    const pauseMs = nowMs >= wholeSinceMs + WHOLE_MS ? BEFORE_FIRST_MS : next.pauseMs;
    return { state: { ...next, shortSinceMs: undefined, wholeSinceMs, pauseMs }, ask: false };
  }
  const shortSinceMs = next.shortSinceMs ?? nowMs;
  const ask = nowMs >= shortSinceMs + LAG_MS && nowMs >= restsUntilMs(next);
  return { state: { ...next, shortSinceMs, wholeSinceMs: undefined }, ask };
}

function ended(state: LagState, askedAtMs: number, nowMs: number): LagState {
  const last = { endedAtMs: nowMs, tookMs: nowMs - askedAtMs };
  const pauseMs = Math.min(2 * state.pauseMs, MAX_PAUSE_MS);
  return { ...state, askedAtMs: undefined, last, pauseMs };
}

function restsUntilMs({ last, pauseMs }: LagState): number {
  if (last === undefined) return Number.NEGATIVE_INFINITY;
  return last.endedAtMs + Math.max(pauseMs, REST_FACTOR * Math.max(0, last.tookMs - USUAL_MS));
}
