/**
 * Health of all real servers: what to probe when, and what the outcomes mean.
 *
 * The caller runs `createHealth` once, then `stepHealth` for every input. It carries out the effects, reports every
 * `probe` effect exactly once as an `outcome`, and wakes the machine at `deadlineMs`. A stray wake is harmless.
 * One target (address, port and check) is probed once however many virtual servers name it, and never twice at a time.
 * The verdict on a real server is made of those on its targets, one or several (member.ts).
 */
import type { CheckKind, HealthCheck, RealServer, VirtualServer } from '../config/model-servers.js';
import { MinHeap } from '../util/min-heap.js';
import {
  type CheckHealth,
  checksOf,
  heardMsOf,
  type Member,
  type MemberHealth,
  newMember,
  reasonOf,
  renew,
} from './member.js';
import type { Verdict } from './rise-fall.js';
import { begin, checkKey, newTarget, type Outcome, type Target, takeOutcome } from './target.js';

/** Probes under way at one time; further ones wait for an outcome. Each holds a socket. */
export const MAX_PROBES_IN_FLIGHT = 2_048;
/** First probes of new targets follow one another at this distance, or closer where one interval is too short for that. */
export const FIRST_PROBE_SPACING_MS = 1;
/** Probes begun in one step: opening a socket takes time, and the process has others to answer. */
export const MAX_PROBES_PER_STEP = 32;

export type HealthInput =
  /** A reload. Targets whose check is unchanged keep their state, verdicts on real servers stand until heard. */
  | { readonly type: 'config'; readonly virtualServers: readonly VirtualServer[] }
  | { readonly type: 'deadline' }
  | ({ readonly type: 'outcome'; readonly id: number } & Outcome);

export type HealthEffect =
  | {
      readonly type: 'probe';
      /** To be given back with the outcome. */
      readonly id: number;
      readonly check: CheckKind;
      readonly address: string;
      readonly port: number;
      readonly timeoutMs: number;
    }
  | {
      readonly type: 'verdict';
      readonly member: Member;
      readonly from: Verdict;
      readonly to: 'up' | 'down';
      /** Why its last probes failed; undefined when they did not. */
      readonly reason: string | undefined;
    }
  /** Up as before, it asks for another weight; undefined: the configured one. */
  | { readonly type: 'weight'; readonly member: Member; readonly weight: number | undefined };

export interface HealthStep {
  readonly state: HealthState;
  readonly effects: readonly HealthEffect[];
  /** When to step with `deadline`; undefined while nothing is due before an outcome. */
  readonly deadlineMs: number | undefined;
}

export interface HealthAges {
  readonly verdictMs: number | undefined;
  readonly heardMs: number | undefined;
}

/** `unchecked`: the virtual server has no health check, or the real server is not known here. */
export interface Health {
  readonly health: Verdict | 'unchecked';
  readonly reason: string | null;
  /** The weight that its checks ask for. */
  readonly checkWeight?: number | undefined;
  /** Where there are several. */
  readonly checks?: readonly CheckHealth[] | undefined;
}

type Endpoint = Pick<RealServer, 'address' | 'port'>;

/**
 * Opaque to the caller. `stepHealth` changes it in place: with tens of thousands of targets a copy for each outcome
 * would be the main cost of checking.
 */
export interface HealthState {
  /** By target key. */
  targets: Map<string, Target>;
  /** By `serverKey`: those that have a check. */
  members: Map<string, MemberHealth>;
  readonly inFlight: Map<number, Target>;
  /** By address and port: when a probe that a reload made pointless has ended at the latest. */
  readonly leftovers: Map<string, number>;
  due: MinHeap<Target>;
  nextProbe: number;
  /** Real servers without a verdict that one is awaited of. */
  awaited: number;
}

/** `dueMs` must not change while a target is in it. */
function dueFirst(): MinHeap<Target> {
  return new MinHeap((a, b) => a.dueMs < b.dueMs);
}

/** First step, with the probes that are due at once. */
export function createHealth(virtualServers: readonly VirtualServer[], nowMs: number): HealthStep {
  const state: HealthState = {
    targets: new Map(),
    members: new Map(),
    inFlight: new Map(),
    leftovers: new Map(),
    due: dueFirst(),
    nextProbe: 1,
    awaited: 0,
  };
  return stepHealth(state, { type: 'config', virtualServers }, nowMs);
}

/** `nowMs` is monotonic. An outcome of a probe that a reload made pointless is ignored. */
export function stepHealth(state: HealthState, input: HealthInput, nowMs: number): HealthStep {
  const effects: HealthEffect[] = [];
  if (input.type === 'config') {
    configure(state, input.virtualServers, nowMs, effects);
  } else if (input.type === 'outcome') {
    endProbe(state, input, nowMs, effects);
  }
  // Outcomes come many in one turn: what they make due waits for the deadline.
  if (input.type !== 'outcome') startDue(state, nowMs, effects);
  const next = state.inFlight.size < MAX_PROBES_IN_FLIGHT ? state.due.first?.dueMs : undefined;
  return { state, effects, deadlineMs: next };
}

/** Verdict and weight of one that has a check. */
export function memberOf(
  { members }: HealthState,
  virtualServer: string,
  realServer: Endpoint,
): Pick<MemberHealth, 'verdict' | 'weight' | 'cameBack' | 'verdictMs'> | undefined {
  return members.size === 0 ? undefined : members.get(serverKey(virtualServer, realServer));
}

export function healthOf(state: HealthState, virtualServer: string, realServer: Endpoint): Health {
  const member = state.members.get(serverKey(virtualServer, realServer));
  if (member === undefined) return { health: 'unchecked', reason: null };
  const { verdict, weight } = member;
  const checks = checksOf(member);
  return {
    health: verdict,
    reason: reasonOf(member) ?? null,
    ...(weight !== undefined && { checkWeight: weight }),
    ...(checks && { checks }),
  };
}

/** When a real server came back that had failed; undefined while it is not up, and for one that was never seen to fail. */
export function recoveredMs(
  state: HealthState,
  virtualServer: string,
  realServer: Endpoint,
): number | undefined {
  const member = memberOf(state, virtualServer, realServer);
  return member?.cameBack === true ? member.verdictMs : undefined;
}

/**
 * The verdict's age and that of what was heard last, of the check where that is longest ago, in milliseconds; undefined
 * before the first, or without a check.
 */
export function healthAges(
  state: HealthState,
  virtualServer: string,
  realServer: Endpoint,
  nowMs: number,
): HealthAges {
  const member = state.members.get(serverKey(virtualServer, realServer));
  const since = (ms: number | undefined) => (ms === undefined ? undefined : nowMs - ms);
  return { verdictMs: since(member?.verdictMs), heardMs: since(member && heardMsOf(member)) };
}

/** Whether every checked real server has a verdict, or this host could not ask. Until then nothing may be pruned. */
export function firstVerdictsIn(state: HealthState): boolean {
  return state.awaited === 0;
}

function serverKey(virtualServer: string, realServer: Endpoint): string {
  // Neither an address nor a port holds a space, so no two servers share a key.
  return `${realServer.address} ${realServer.port} ${virtualServer}`;
}

function configure(
  state: HealthState,
  virtualServers: readonly VirtualServer[],
  nowMs: number,
  effects: HealthEffect[],
): void {
  const { targets: oldTargets, members: oldMembers } = state;
  state.targets = new Map();
  state.members = new Map();
  const fresh: Target[] = [];
  const targetOf = (
    { address, port: own }: Endpoint,
    check: HealthCheck,
    suffix: string,
    heardMs: number | undefined,
  ): Target => {
    const port = check.port ?? own;
    const key = `${address} ${port} ${suffix}`;
    let target = state.targets.get(key);
    if (target !== undefined) return target;
    target = oldTargets.get(key);
    if (target === undefined) {
      target = newTarget(key, address, port, check, heardMs);
      fresh.push(target);
    } else {
      target.members = [];
    }
    state.targets.set(key, target);
    return target;
  };
  for (const { name, healthChecks, realServers } of virtualServers) {
    if (healthChecks === undefined) continue;
    const checks = healthChecks.checks.map((check) => ({ check, suffix: checkKey(check) }));
    for (const realServer of realServers) {
      const key = serverKey(name, realServer);
      // Several addresses of one entry of the file are several virtual servers of one name.
      if (state.members.has(key)) continue;
      const before = oldMembers.get(key);
      const heardMs = before && heardMsOf(before);
      const own = checks.map(({ check, suffix }) => targetOf(realServer, check, suffix, heardMs));
      const { address, port } = realServer;
      const member = newMember(
        { virtualServer: name, address, port },
        healthChecks,
        [...new Set(own)],
        before,
      );
      for (const target of member.targets) target.members.push(member);
      state.members.set(key, member);
    }
  }
  spread(fresh, nowMs);
  settle(state, nowMs);
  state.awaited = 0;
  for (const member of state.members.values()) {
    decide(member, nowMs, effects);
    if (member.isAwaited) state.awaited += 1;
  }
}

/** First probes soon, one after the other, each within its interval. */
function spread(fresh: readonly Target[], nowMs: number): void {
  for (const [index, target] of fresh.entries()) {
    const spacingMs = Math.min(FIRST_PROBE_SPACING_MS, target.check.intervalMs / fresh.length);
    target.dueMs = nowMs + index * spacingMs;
  }
}

/** Rebuilds what is derived from the targets, and forgets probes of targets that are gone. */
function settle(state: HealthState, nowMs: number): void {
  for (const [server, endMs] of state.leftovers) {
    if (endMs <= nowMs) {
      state.leftovers.delete(server);
    }
  }
  for (const [id, target] of state.inFlight) {
    if (state.targets.get(target.key) !== target) {
      state.inFlight.delete(id);
      state.leftovers.set(endpoint(target), nowMs + target.check.timeoutMs);
    }
  }
  state.due = dueFirst();
  for (const target of state.targets.values()) {
    if (target.probe === undefined) {
      target.dueMs = Math.max(target.dueMs, state.leftovers.get(endpoint(target)) ?? 0);
      state.due.push(target);
    }
  }
}

function endpoint(target: Target): string {
  return `${target.address} ${target.port}`;
}

function decide(member: MemberHealth, nowMs: number, effects: HealthEffect[]): void {
  const { verdict: from, weight } = member;
  const to = renew(member, nowMs);
  if (to !== undefined) effects.push({ type: 'verdict', member, from, to, reason: reasonOf(member) });
  else if (member.weight !== weight) effects.push({ type: 'weight', member, weight: member.weight });
}

function endProbe(
  state: HealthState,
  input: HealthInput & { type: 'outcome' },
  nowMs: number,
  effects: HealthEffect[],
): void {
  const target = state.inFlight.get(input.id);
  if (target === undefined) {
    return;
  }
  state.inFlight.delete(input.id);
  target.probe = undefined;
  const isNews = takeOutcome(target, input, nowMs);
  state.due.push(target);
  if (!isNews) return;
  for (const member of target.members) {
    const wasAwaited = member.isAwaited;
    decide(member, nowMs, effects);
    if (wasAwaited && !member.isAwaited) state.awaited -= 1;
  }
}

function startDue(state: HealthState, nowMs: number, effects: HealthEffect[]): void {
  const most = Math.min(MAX_PROBES_PER_STEP, MAX_PROBES_IN_FLIGHT - state.inFlight.size);
  for (let begun = 0; begun < most; begun += 1) {
    const target = state.due.first;
    if (target === undefined || target.dueMs > nowMs) {
      return;
    }
    state.due.pop();
    begin(target, nowMs);
    const id = state.nextProbe;
    state.nextProbe += 1;
    target.probe = id;
    state.inFlight.set(id, target);
    const { address, port, check } = target;
    effects.push({ type: 'probe', id, check: check.kind, address, port, timeoutMs: check.timeoutMs });
  }
}
