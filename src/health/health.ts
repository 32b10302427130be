/**
 * Health of all real servers: what to probe when, and what the outcomes mean.
 *
 * The caller runs `createHealth` once, then `stepHealth` for every input. It carries out the effects, reports every
 * `probe` effect exactly once as an `outcome`, and wakes the machine at `deadlineMs`. A stray wake is harmless.
 * One target (address, port and check) is probed once however many virtual servers name it, and never twice at a time.
 */
import type { CheckKind, HealthCheck, RealServer, VirtualServer } from '../config/model-servers.js';
import { fnv1a } from '../util/fnv1a.js';
import { MinHeap } from '../util/min-heap.js';
import { INITIAL, provisional, type RiseFallState, step, type Verdict } from './rise-fall.js';

/** Probes under way at one time; further ones wait for an outcome. Each holds a socket. */
export const MAX_PROBES_IN_FLIGHT = 2_048;
/** First probes of new targets follow one another at this distance, or closer where one interval is too short for that. */
export const FIRST_PROBE_SPACING_MS = 1;
/** Probes begun in one step: opening a socket takes time, and the process has others to answer. */
export const MAX_PROBES_PER_STEP = 32;

export type HealthInput =
  /** A reload. Targets whose check is unchanged keep their state, verdicts of changed checks stand until heard. */
  | { readonly type: 'config'; readonly virtualServers: readonly VirtualServer[] }
  | { readonly type: 'deadline' }
  | { readonly type: 'outcome'; readonly id: number; readonly ok: true }
  | { readonly type: 'outcome'; readonly id: number; readonly ok: false; readonly reason: string }
  /** This host could not probe: no verdict comes of it, and none goes. */
  | { readonly type: 'outcome'; readonly id: number; readonly ok: undefined; readonly reason: string };

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
      readonly members: readonly Member[];
      readonly from: Verdict;
      readonly to: 'up' | 'down';
      /** Why the last probe failed; undefined when it did not. */
      readonly reason: string | undefined;
    };

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

/** A real server in a virtual server: what a verdict is about. */
export interface Member extends Pick<RealServer, 'address' | 'port'> {
  readonly virtualServer: string;
}

interface Target {
  readonly key: string;
  readonly address: string;
  readonly port: number;
  readonly check: HealthCheck;
  /** By `serverKey`. */
  members: Map<string, Member>;
  riseFall: RiseFallState;
  reason: string | undefined;
  /** When it came back after it had failed, while it is up. */
  recoveredMs: number | undefined;
  /** When an answer was last heard of it, good or bad, and when its verdict came; undefined: not yet. */
  heardMs: number | undefined;
  verdictMs: number | undefined;
  /** This host could not ask, and has no verdict yet. */
  isUnheard: boolean;
  /** When the next probe goes, or the one under way was due. */
  dueMs: number;
  /** Identity of the probe under way. */
  probe: number | undefined;
}

/**
 * Opaque to the caller. `stepHealth` changes it in place: with tens of thousands of targets a copy for each outcome
 * would be the main cost of checking.
 */
export interface HealthState {
  /** By target key. */
  targets: Map<string, Target>;
  /** By `serverKey`; undefined: known, but without a check. */
  servers: Map<string, Target | undefined>;
  readonly inFlight: Map<number, Target>;
  /** By address and port: when a probe that a reload made pointless has ended at the latest. */
  readonly leftovers: Map<string, number>;
  due: MinHeap<Target>;
  nextProbe: number;
  /** Targets with verdict `unknown` that this host has not tried to probe yet. */
  unknown: number;
}

/** `dueMs` must not change while a target is in it. */
function dueFirst(): MinHeap<Target> {
  return new MinHeap((a, b) => a.dueMs < b.dueMs);
}

/** First step, with the probes that are due at once. */
export function createHealth(virtualServers: readonly VirtualServer[], nowMs: number): HealthStep {
  const state: HealthState = {
    targets: new Map(),
    servers: new Map(),
    inFlight: new Map(),
    leftovers: new Map(),
    due: dueFirst(),
    nextProbe: 1,
    unknown: 0,
  };
  return stepHealth(state, { type: 'config', virtualServers }, nowMs);
}

/** `nowMs` is monotonic. An outcome of a probe that a reload made pointless is ignored. */
export function stepHealth(state: HealthState, input: HealthInput, nowMs: number): HealthStep {
  const effects: HealthEffect[] = [];
  if (input.type === 'config') {
    configure(state, input.virtualServers, nowMs);
  } else if (input.type === 'outcome') {
    takeOutcome(state, input, nowMs, effects);
  }
  // Outcomes come many in one turn: what they make due waits for the deadline.
  if (input.type !== 'outcome') startDue(state, nowMs, effects);
  const next = state.inFlight.size < MAX_PROBES_IN_FLIGHT ? state.due.first?.dueMs : undefined;
  return { state, effects, deadlineMs: next };
}

/** `unchecked`: the virtual server has no health check, or the real server is not known here. */
export function healthOf(
  state: HealthState,
  virtualServer: string,
  realServer: Pick<RealServer, 'address' | 'port'>,
): { readonly health: Verdict | 'unchecked'; readonly reason: string | null } {
  const target = state.servers.get(serverKey(virtualServer, realServer));
  return target === undefined
    ? { health: 'unchecked', reason: null }
    : { health: target.riseFall.verdict, reason: target.reason ?? null };
}

/** When a real server came back that had failed; undefined while it is not up, and for one that was never seen to fail. */
export function recoveredMs(
  state: HealthState,
  virtualServer: string,
  realServer: Pick<RealServer, 'address' | 'port'>,
): number | undefined {
  return state.servers.get(serverKey(virtualServer, realServer))?.recoveredMs;
}

/** The verdict's age and that of what was heard last, in milliseconds; undefined before the first, or without a check. */
export function healthAges(
  state: HealthState,
  virtualServer: string,
  realServer: Pick<RealServer, 'address' | 'port'>,
  nowMs: number,
): HealthAges {
  const target = state.servers.get(serverKey(virtualServer, realServer));
  const since = (ms: number | undefined) => (ms === undefined ? undefined : nowMs - ms);
  return { verdictMs: since(target?.verdictMs), heardMs: since(target?.heardMs) };
}

/** Whether every checked real server has a verdict, or this host could not ask. Until then nothing may be pruned. */
export function firstVerdictsIn(state: HealthState): boolean {
  return state.unknown === 0;
}

function serverKey(virtualServer: string, realServer: Pick<RealServer, 'address' | 'port'>): string {
  // Neither an address nor a port holds a space, so no two servers share a key.
  return `${realServer.address} ${realServer.port} ${virtualServer}`;
}

/** The part of a target's key that all real servers of a virtual server share. */
function checkKey(check: HealthCheck): string {
  const { kind, intervalMs, timeoutMs, rise, fall } = check;
  return JSON.stringify([intervalMs, timeoutMs, rise, fall, kind]);
}

function configure(state: HealthState, virtualServers: readonly VirtualServer[], nowMs: number): void {
  const oldTargets = state.targets;
  const oldServers = state.servers;
  state.targets = new Map();
  state.servers = new Map();
  const fresh: Target[] = [];
  for (const virtualServer of virtualServers) {
    const check = virtualServer.healthCheck;
    const suffix = check === undefined ? '' : checkKey(check);
    for (const realServer of virtualServer.realServers) {
      const name = serverKey(virtualServer.name, realServer);
      if (check === undefined) {
        state.servers.set(name, undefined);
        continue;
      }
      const { address } = realServer;
      const port = check.port ?? realServer.port;
      const key = `${address} ${port} ${suffix}`;
      let target = state.targets.get(key);
      if (target === undefined) {
        target = oldTargets.get(key);
        if (target === undefined) {
          target = newTarget(key, { address, port }, check, oldServers.get(name));
          fresh.push(target);
        } else {
          target.members = new Map();
        }
        state.targets.set(key, target);
      }
      target.members.set(name, { virtualServer: virtualServer.name, address, port: realServer.port });
      state.servers.set(name, target);
    }
  }
  spread(fresh, nowMs);
  settle(state, nowMs);
}

/** First probes soon, one after the other, each within its interval. */
function spread(fresh: readonly Target[], nowMs: number): void {
  for (const [index, target] of fresh.entries()) {
    const spacingMs = Math.min(FIRST_PROBE_SPACING_MS, target.check.intervalMs / fresh.length);
    target.dueMs = nowMs + index * spacingMs;
  }
}

function newTarget(
  key: string,
  { address, port }: Pick<RealServer, 'address' | 'port'>,
  check: HealthCheck,
  predecessor: Target | undefined,
): Target {
  return {
    key,
    address,
    port,
    check,
    members: new Map(),
    riseFall: predecessor === undefined ? INITIAL : provisional(predecessor.riseFall.verdict),
    reason: predecessor?.reason,
    recoveredMs: predecessor?.recoveredMs,
    heardMs: predecessor?.heardMs,
    verdictMs: predecessor?.verdictMs,
    isUnheard: false,
    dueMs: 0,
    probe: undefined,
  };
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
  state.unknown = 0;
  for (const target of state.targets.values()) {
    if (isAwaited(target)) state.unknown += 1;
    if (target.probe === undefined) {
      target.dueMs = Math.max(target.dueMs, state.leftovers.get(endpoint(target)) ?? 0);
      state.due.push(target);
    }
  }
}

function isAwaited({ riseFall, isUnheard }: Target): boolean {
  return riseFall.verdict === 'unknown' && !isUnheard;
}

function endpoint(target: Target): string {
  return `${target.address} ${target.port}`;
}

function takeOutcome(
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
  target.dueMs = nextSlotMs(target, nowMs);
  state.due.push(target);

  target.reason = input.ok === true ? undefined : input.reason;
  const wasAwaited = isAwaited(target);
  const from = target.riseFall.verdict;
  if (input.ok === undefined) target.isUnheard = from === 'unknown';
  else {
    target.riseFall = step(target.riseFall, input.ok, target.check);
    target.heardMs = nowMs;
  }
  if (wasAwaited && !isAwaited(target)) state.unknown -= 1;
  const to = target.riseFall.verdict;
  if (to !== from && to !== 'unknown') {
    target.recoveredMs = from === 'down' ? nowMs : undefined;
    target.verdictMs = nowMs;
    effects.push({ type: 'verdict', members: [...target.members.values()], from, to, reason: target.reason });
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
    target.dueMs = Math.max(target.dueMs, lastSlotMs(target, nowMs));
    const id = state.nextProbe;
    state.nextProbe += 1;
    target.probe = id;
    state.inFlight.set(id, target);
    const { address, port, check } = target;
    effects.push({ type: 'probe', id, check: check.kind, address, port, timeoutMs: check.timeoutMs });
  }
}

/**
 * The next slot after a probe. Of those that a slow probe missed, the last is made up for: a silent server whose probe
 * lasts a whole interval is probed once in each. Two probes are due half an interval apart at least.
 */
function nextSlotMs(target: Target, nowMs: number): number {
  const { intervalMs } = target.check;
  const lastMs = lastSlotMs(target, nowMs);
  return lastMs >= target.dueMs + intervalMs / 2 ? lastMs : lastMs + intervalMs;
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
