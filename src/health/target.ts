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
  /** When the next probe goes, or the one under way was due. */
  dueMs: number;
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
export function checkKey({ kind, intervalMs, timeoutMs, rise, fall }: HealthCheck): string {
  return JSON.stringify([intervalMs, timeoutMs, rise, fall, kind]);
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
    dueMs: 0,
    probe: undefined,
  };
}

export function isAwaited({ riseFall, isUnheard }: Target): boolean {
  return riseFall.verdict === 'unknown' && !isUnheard;
}

/** The end of a probe. Says whether its members may be other than they were. */
export function takeOutcome(target: Target, outcome: Outcome, nowMs: number): boolean {
  const { weight } = target;
  const { verdict } = target.riseFall;
  const wasAwaited = isAwaited(target);
  target.reason = outcome.ok === true ? undefined : outcome.reason;
  if (outcome.ok === true) target.weight = outcome.weight;
  if (outcome.ok === undefined) target.isUnheard = verdict === 'unknown';
  else {
    target.riseFall = step(target.riseFall, outcome.ok, target.check);
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

/**
 * The next slot after a probe. Of those that a slow probe missed, the last is made up for: a silent server whose probe
 * lasts a whole interval is probed once in each. Two probes are due half an interval apart at least.
 */
export function nextSlotMs(target: Target, nowMs: number): number {
  const { intervalMs } = target.check;
  const lastMs = lastSlotMs(target, nowMs);
  return lastMs >= target.dueMs + intervalMs / 2 ? lastMs : lastMs + intervalMs;
}

/**
 * The last slot up to now. Slots are the multiples of the interval plus the target's own offset: probes lie spread over
 * the interval, and a late wake does not shift them.
 */
export function lastSlotMs(target: Target, nowMs: number): number {
  const { intervalMs } = target.check;
  const offset = fnv1a(target.key) % intervalMs;
  return Math.floor((nowMs - offset) / intervalMs) * intervalMs + offset;
}
