/** One step of a group's machine under way: a private copy of the state, made as it is needed, and the effects so far. */
import type {
  CounterName,
  GroupEffect,
  GroupState,
  GroupStep,
  InstanceState,
  Notice,
  NoticedPeer,
  VrrpState,
} from './group-types.js';
import { earlyMs, masterDownIntervalMs, masterDownIntervalV2Ms, skewTimeMs, skewTimeV2Ms } from './timers.js';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
/** An instance that this step may change. */
export type Member = Mutable<InstanceState>;

/** Senders remembered for each instance so that what is told of them is not repeated. */
const MAX_NOTICED = 16;
/** From a healed split until the announcement, where the configuration repeats none. */
const DEFAULT_REPEAT_MS = 100;

// Written out: spreading objects of this size costs three times as much, and every step copies.
function copyInstance(one: InstanceState): Member {
  return {
    config: one.config,
    source: one.source,
    hasSource: one.hasSource,
    state: one.state,
    sinceMs: one.sinceMs,
    linkUp: one.linkUp,
    linkFault: one.linkFault,
    sourceFault: one.sourceFault,
    priority: one.priority,
    activeAdverIntervalMs: one.activeAdverIntervalMs,
    timerMs: one.timerMs,
    overdueAtMs: one.overdueAtMs,
    wantsMaster: one.wantsMaster,
    listensAgain: one.listensAgain,
    spokeAtMs: one.spokeAtMs,
    heardAtMs: one.heardAtMs,
    heardUntilMs: one.heardUntilMs,
    departed: one.departed,
    lost: one.lost,
    lowerMasterSinceMs: one.lowerMasterSinceMs,
    awaitsSync: one.awaitsSync,
    master: one.master,
    masterPeak: one.masterPeak,
    predecessor: one.predecessor,
    announceAtMs: one.announceAtMs,
    refreshAtMs: one.refreshAtMs,
    succeeded: one.succeeded,
    contest: one.contest,
    noticed: one.noticed,
  };
}

function copyGroup(one: GroupState): Mutable<GroupState> {
  return {
    name: one.name,
    phase: one.phase,
    maintenance: one.maintenance,
    track: one.track,
    verdicts: one.verdicts,
    sync: one.sync,
    syncVoidMs: one.syncVoidMs,
    faults: one.faults,
    startAtMs: one.startAtMs,
    leaveAtMs: one.leaveAtMs,
    refused: one.refused,
    retryAtMs: one.retryAtMs,
    claimAtMs: one.claimAtMs,
    backOffMs: one.backOffMs,
    rogueHeardMs: one.rogueHeardMs,
    instances: one.instances,
  };
}

export class Draft {
  readonly now: number;
  readonly group: Mutable<GroupState>;
  /** To be read; changed by way of `edit` and `all`. */
  readonly members: InstanceState[];
  readonly effects: GroupEffect[] = [];
  readonly #before: readonly InstanceState[];

  constructor(state: GroupState, nowMs: number) {
    this.now = nowMs;
    this.group = copyGroup(state);
    this.#before = state.instances;
    this.members = state.instances.slice();
  }

  /** The instance at `index`, to be changed. */
  edit(index: number): Member {
    const member = this.members[index];
    if (member === undefined) throw new RangeError(`no instance ${index}`);
    if (member !== this.#before[index]) return member;
    const copy = copyInstance(member);
    this.members[index] = copy;
    return copy;
  }

  /** All instances, to be changed. */
  all(): readonly Member[] {
    return this.members.map((_, index) => this.edit(index));
  }

  indexOf(name: string): number {
    const { members } = this;
    for (let index = 0; index < members.length; index++) {
      if (members[index]?.config.name === name) return index;
    }
    return -1;
  }

  /** Whether the group is master: its instances are in one state, but while one that a reload formed hands over. */
  get isMaster(): boolean {
    return this.members.some(({ state }) => state === 'master');
  }

  result(): GroupStep {
    const { group, members } = this;
    group.instances = members;
    let deadlineMs = Math.min(group.leaveAtMs, group.retryAtMs, group.startAtMs, group.claimAtMs);
    let fromMs = deadlineMs;
    for (const { config, state, timerMs, overdueAtMs, announceAtMs, refreshAtMs } of members) {
      const announceMs = announceAtMs[0] ?? refreshAtMs;
      if (timerMs < deadlineMs) deadlineMs = timerMs;
      if (overdueAtMs < deadlineMs) deadlineMs = overdueAtMs;
      const timerFromMs = state === 'master' ? timerMs - earlyMs(config.advertisementIntervalMs) : timerMs;
      if (timerFromMs < fromMs) fromMs = timerFromMs;
      if (announceMs < deadlineMs) deadlineMs = announceMs;
      if (refreshAtMs < deadlineMs) deadlineMs = refreshAtMs;
    }
    return { state: group, effects: this.effects, deadlineMs, fromMs: Math.min(fromMs, deadlineMs) };
  }

  count(member: InstanceState, counter: CounterName): void {
    this.effects.push({ type: 'count', instance: member.config.name, counter });
  }

  notice(member: InstanceState, notice: Notice): void {
    this.effects.push({ type: 'notice', instance: member.config.name, notice });
  }

  /** Tells of a peer, unless the same was told and its time is not over. */
  noticeOnce(
    index: number,
    notice: Exclude<Notice, { kind: 'no-successor' | 'paused' }>,
    detail: number,
    forMs: number,
  ): void {
    const { kind, source } = notice;
    const noticed = this.members[index]?.noticed ?? [];
    const known = noticed.find((one) => one.kind === kind && one.source === source);
    if (known !== undefined && known.detail === detail && this.now < known.untilMs) return;
    const fresh: NoticedPeer = { kind, source, detail, untilMs: this.now + forMs };
    const member = this.edit(index);
    member.noticed = [...noticed.filter((one) => one !== known), fresh].slice(-MAX_NOTICED);
    this.notice(member, notice);
  }

  role(member: Member, to: VrrpState, reason: string): void {
    if (member.state === to) return;
    this.effects.push({ type: 'role', instance: member.config.name, from: member.state, to, reason });
    member.state = to;
    member.sinceMs = this.now;
  }

  /** An advertisement, and the next one an interval later. */
  advertise(member: Member, afterAddresses = false): void {
    const { name, advertisementIntervalMs } = member.config;
    this.effects.push({ type: 'send', instance: name, priority: member.priority, afterAddresses });
    this.count(member, 'advertisements_sent');
    member.spokeAtMs = this.now;
    member.timerMs = this.now + advertisementIntervalMs;
  }

  farewell(member: InstanceState): void {
    this.effects.push({
      type: 'send',
      instance: member.config.name,
      priority: 0,
      afterAddresses: false,
    });
    this.count(member, 'priority_zero_sent');
  }

  announce(member: InstanceState): void {
    const { name, addresses } = member.config;
    this.effects.push({ type: 'announce', instance: name, addresses });
  }

  /** Now, again as configured, and all over again after `refreshMs`. */
  announceWithRepeats(member: Member): void {
    const { repeatMs, refreshMs } = member.config.announcing;
    this.announce(member);
    member.announceAtMs = repeatMs.map((afterMs) => this.now + afterMs);
    member.refreshAtMs = refreshMs === undefined ? Number.POSITIVE_INFINITY : this.now + refreshMs;
  }

  /**
   * After another master was heard: neighbours may hold its MAC address, and it may announce once more before it
   * yields. What is due already stays due, so that a master that never yields cannot put it off for ever.
   */
  announceLater(member: Member): void {
    const { repeatMs } = member.config.announcing;
    const due = member.announceAtMs[0];
    const later = (repeatMs.length === 0 ? [DEFAULT_REPEAT_MS] : repeatMs).map(
      (afterMs) => this.now + afterMs,
    );
    member.announceAtMs = due !== undefined && due < (later[0] ?? 0) ? [due, ...later] : later;
  }
}

/**
 * When Master_Down_Timer fires that was last restarted at `fromMs`. What is older than the timer is long says nothing
 * of now: this process stood still and newer packets may have found no room in the receive queue, so it listens first.
 */
export function masterDownAt(draft: Draft, member: InstanceState, fromMs: number): number {
  const downMs = masterDownOf(member);
  return fromMs + downMs > draft.now ? fromMs + downMs : draft.now + downMs;
}

/** How late an advertisement is, in intervals, when a backup looks whether it stood still meanwhile. */
const OVERDUE_INTERVALS = 1.5;
/** A living master speaks once in an interval, and may be late by so much of it. */
const LATE_INTERVALS = 0.25;

/**
 * Master_Down_Timer, to fire at `atMs`, in two pieces: time in which this host stood still is no time in which it heard
 * nothing (docs/decisions/0006). While advertisements come in time the look between them is never due.
 */
export function startMasterDown(member: Member, atMs: number): void {
  const fullMs = masterDownOf(member);
  member.timerMs = atMs;
  member.overdueAtMs = atMs - fullMs + OVERDUE_INTERVALS * intervalOf(member);
}

/** Without looking: what is left is shorter than an interval, or was waited for once. */
export function setTimer(member: Member, atMs: number): void {
  member.timerMs = atMs;
  member.overdueAtMs = Number.POSITIVE_INFINITY;
}

/** How long a backup that stood still listens after it. Skew_Time puts its turn off anyway. */
export function listeningMs(member: InstanceState): number {
  return intervalOf(member) + Math.max(skewOf(member), LATE_INTERVALS * intervalOf(member));
}

function intervalOf({ config, activeAdverIntervalMs }: InstanceState): number {
  return config.version === 2 ? config.advertisementIntervalMs : activeAdverIntervalMs;
}

/** By the interval of the master last heard (RFC 9568 section 6.1); VRRPv2 goes by its own. */
export function masterDownOf(member: InstanceState, intervalMs = member.activeAdverIntervalMs): number {
  const { config, priority } = member;
  return config.version === 2
    ? masterDownIntervalV2Ms(priority, config.advertisementIntervalMs)
    : masterDownIntervalMs(priority, intervalMs);
}

export function skewOf({ config, priority, activeAdverIntervalMs }: InstanceState): number {
  return config.version === 2 ? skewTimeV2Ms(priority) : skewTimeMs(priority, activeAdverIntervalMs);
}
