/** A real server in a virtual server: what its checks say together. */
import type { HealthChecks, RealServer } from '../config/model-servers.js';
import type { Verdict } from './rise-fall.js';
import { checkName, isAwaited, type Target } from './target.js';

/** What a verdict is about. */
export interface Member extends Pick<RealServer, 'address' | 'port'> {
  readonly virtualServer: string;
}

export interface MemberHealth extends Member {
  readonly needs: HealthChecks['needs'];
  /** Of its checks, in their order: each once, at least one. */
  readonly targets: readonly Target[];
  /** Stands until its checks decide otherwise: while that turns on one that was not heard yet, what counted goes on. */
  verdict: Verdict;
  /** When the verdict came; undefined: not yet. */
  verdictMs: number | undefined;
  /** It is up, and was down before. */
  cameBack: boolean;
  /** The least that checks ask for by which it is up; undefined: the configured one. */
  weight: number | undefined;
  /** No verdict yet, and one may come of what is not heard yet. */
  isAwaited: boolean;
}

/** What one check says; told where there are several. */
export interface CheckHealth {
  /** Such as `http:80`. */
  readonly check: string;
  readonly health: Verdict;
  readonly reason: string | null;
}

/** `before`: the same real server before a reload, whose verdict counts until the checks of now decide. */
export function newMember(
  member: Member,
  { needs }: HealthChecks,
  targets: readonly Target[],
  before: MemberHealth | undefined,
): MemberHealth {
  const { verdict = 'unknown', verdictMs, cameBack = false, weight } = before ?? {};
  return { ...member, needs, targets, verdict, verdictMs, cameBack, weight, isAwaited: false };
}

/** Goes by what its checks say now. Returns the verdict when it is another one. */
export function renew(member: MemberHealth, nowMs: number): 'up' | 'down' | undefined {
  const from = member.verdict;
  const to = decided(member);
  if (to !== undefined) member.weight = to === 'up' ? leastWeight(member) : undefined;
  member.isAwaited = (to ?? from) === 'unknown' && member.targets.some(isAwaited);
  if (to === undefined || to === from) return undefined;
  member.verdict = to;
  member.verdictMs = nowMs;
  member.cameBack = from === 'down';
  return to;
}

/** Undefined while it turns on a check that has no verdict. */
function decided({ needs, targets }: MemberHealth): 'up' | 'down' | undefined {
  const [alone, together] = needs === 'any' ? (['up', 'down'] as const) : (['down', 'up'] as const);
  if (targets.some(({ riseFall }) => riseFall.verdict === alone)) return alone;
  return targets.every(({ riseFall }) => riseFall.verdict === together) ? together : undefined;
}

function leastWeight({ targets }: MemberHealth): number | undefined {
  let least: number | undefined;
  for (const { riseFall, weight } of targets) {
    if (riseFall.verdict === 'up' && weight !== undefined) least = Math.min(least ?? weight, weight);
  }
  return least;
}

/** Why probes of it failed last, each under the name of its check where there are several; undefined when none did. */
export function reasonOf({ targets }: MemberHealth): string | undefined {
  const [only, other] = targets;
  if (other === undefined) return only?.reason;
  const reasons = targets.flatMap((target) =>
    target.reason === undefined ? [] : `${checkName(target)}: ${target.reason}`,
  );
  return reasons.length === 0 ? undefined : reasons.join('; ');
}

/** Undefined where there is only one. */
export function checksOf({ targets }: MemberHealth): readonly CheckHealth[] | undefined {
  if (targets.length < 2) return undefined;
  return targets.map((target) => ({
    check: checkName(target),
    health: target.riseFall.verdict,
    reason: target.reason ?? null,
  }));
}

/** When the check was heard of that was heard of longest ago; undefined while one never was. */
export function heardMsOf({ targets }: MemberHealth): number | undefined {
  let oldestMs = Number.POSITIVE_INFINITY;
  for (const { heardMs } of targets) {
    if (heardMs === undefined) return undefined;
    oldestMs = Math.min(oldestMs, heardMs);
  }
  return oldestMs;
}
