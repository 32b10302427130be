/** One probed address, port and check: what was heard of it, and when it is probed. */
import type { HealthCheck } from '../config/model-servers.js';
import { fnv1a } from '../util/fnv1a.js';
import type { MemberHealth } from './member.js';
import { INITIAL, type RiseFallState, step } from './rise-fall.js';

export interface Target {
  readonly key: string;
  readonly address: string;
  readonly port: number;
  readonly check: HealthCheck;
  /** Each once. */
  members: MemberHealth[];
  riseFall: RiseFallState;
  /** Why the last probe failed; undefined when it did not. */
  reason: string | undefined;
  /** That its last good answer asked for. */
  weight: number | undefined;
  /** When an answer was last heard of it, good or bad; undefined: not yet. */
  heardMs: number | undefined;
  /** This host could not ask, and has no verdict yet. */
  isUnheard: boolean;
  /** Times that the failure of now was tried again. */
  retries: number;
  /** When the next probe goes, or the one under way was due. */
  dueMs: number;
  /** The same of the last one that was no further try. */
  slotMs: number;
  /** Identity of the probe under way. */
  probe: number | undefined;
}

export type Outcome =
  /** `weight`: that it asks for; undefined: the configured one. */
  | { readonly ok: true; readonly weight?: number | undefined }
  | { readonly ok: false; readonly reason: string }
  /** This host could not probe: no verdict comes of it, and none goes. */
  | { readonly ok: undefined; readonly reason: string };

/** The part of a target's key that all real servers of a virtual server share. */
export function checkKey(check: HealthCheck): string {
  const { kind, intervalMs, timeoutMs, rise, fall, retry, delayBeforeRetryMs } = check;
  return JSON.stringify([intervalMs, timeoutMs, rise, fall, retry, delayBeforeRetryMs, kind]);
}

export function newTarget(
  key: string,
  address: string,
  port: number,
  check: HealthCheck,
  heardMs: number | undefined,
): Target {
  return {
    key,
    address,
    port,
    check,
    members: [],
    riseFall: INITIAL,
    reason: undefined,
    weight: undefined,
    heardMs,
    isUnheard: false,
    retries: 0,
    dueMs: 0,
    slotMs: 0,
    probe: undefined,
  };
}

export function isAwaited({ riseFall, isUnheard }: Target): boolean {
  return riseFall.verdict === 'unknown' && !isUnheard;
}

/** The end of a probe, and when the next one is due. Says whether its members may be other than they were. */
export function takeOutcome(target: Target, outcome: Outcome, nowMs: number): boolean {
  const { weight, check } = target;
  const { verdict } = target.riseFall;
  const wasAwaited = isAwaited(target);
  target.reason = outcome.ok === true ? undefined : outcome.reason;
  // Not one that is down: what is known needs no second try.
  if (outcome.ok === false && verdict !== 'down' && target.retries < check.retry) {
    target.heardMs = nowMs;
    target.retries += 1;
    target.dueMs = nowMs + check.delayBeforeRetryMs;
    return false;
  }
  target.retries = 0;
  target.dueMs = nextSlotMs(target, nowMs);
  if (outcome.ok === true) target.weight = outcome.weight;
  if (outcome.ok === undefined) target.isUnheard = verdict === 'unknown';
  else {
    target.riseFall = step(target.riseFall, outcome.ok, check);
    target.heardMs = nowMs;
  }
  return target.riseFall.verdict !== verdict || target.weight !== weight || isAwaited(target) !== wasAwaited;
}

/** Names a check among several of a real server, such as `https:443/health`. */
export function checkName({ check: { kind }, port }: Target): string {
  const where = port === 0 ? '' : `:${port}`;
  if (kind.type !== 'http') return `${kind.type}${where}`;
  const [first = '/', ...others] = kind.paths;
  const path = first === '/' && others.length === 0 ? '' : first;
  return `${kind.tls === undefined ? 'http' : 'https'}${where}${path}`;
}

/** A probe that is due goes now. */
export function begin(target: Target, nowMs: number): void {
  target.dueMs = Math.max(target.dueMs, lastSlotMs(target, nowMs));
  if (target.retries === 0) target.slotMs = target.dueMs;
}

/**
 * The next slot after a probe. Of those that a slow probe, or further tries, missed, the last is made up for: a silent
 * server whose probe lasts a whole interval is probed once in each. Two slots that are taken, and the first probe of all,
 * lie half an interval apart at least.
 */
function nextSlotMs(target: Target, nowMs: number): number {
  const nextMs = lastSlotMs(target, target.slotMs + 1.5 * target.check.intervalMs);
  return Math.max(nextMs, lastSlotMs(target, nowMs));
}

/**
 * The last slot up to now. Slots are the multiples of the interval plus the target's own offset: probes lie spread over
 * the interval, and a late wake does not shift them.
 */
function lastSlotMs(target: Target, nowMs: number): number {
  const { intervalMs } = target.check;
  const offset = fnv1a(target.key) % intervalMs;
  return Math.floor((nowMs - offset) / intervalMs) * intervalMs + offset;
}
