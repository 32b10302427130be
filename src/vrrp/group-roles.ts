/** The states of a group and the ways between them (RFC 9568 section 6.4). */
import type { Draft, Member } from './group-draft.js';
import { masterDownAt, setTimer, skewOf, startMasterDown } from './group-draft.js';
import { depart } from './group-heard.js';
import {
  endWaits,
  forgetLowerMaster,
  setSync,
  syncedAsMaster,
  syncUnknown,
  withoutRight,
} from './group-preempt.js';
import { effectivePriority, faultsOf, isOwner, networkFaults, weightOf } from './group-tracking.js';
import type { GroupInput } from './group-types.js';

/** From Initialize or fault, when nothing stands in the way (RFC 9568 section 6.4.1). */
export function startUp(draft: Draft, reason: string): void {
  const { group } = draft;
  group.phase = 'running';
  group.startAtMs = Number.POSITIVE_INFINITY;
  group.faults = faultsOf(group, draft.members);
  if (group.faults.length > 0) return toFault(draft);
  for (const member of draft.all()) {
    listen(draft, member, member.config.advertisementIntervalMs, draft.now, reason);
    // RFC 9568 section 6.4.1: the address owner waits for nobody.
    if (isOwner(member)) wantMaster(member);
  }
  goMasterWhenAllWant(draft, 'address owner');
}

/**
 * To backup, with a full Master_Down_Timer from `fromMs`, or a longer one: a master that was heard here lives as long as
 * its own interval says, even if the group yields to one that was heard on another instance.
 */
export function listen(
  draft: Draft,
  member: Member,
  intervalMs: number,
  fromMs: number,
  reason: string,
): void {
  // In fault it may not have heard what was told.
  if (member.state === 'fault') syncUnknown(draft);
  release(draft, member);
  member.activeAdverIntervalMs = intervalMs;
  startMasterDown(member, Math.max(masterDownAt(draft, member, fromMs), member.heardUntilMs));
  member.wantsMaster = false;
  member.listensAgain = false;
  member.masterPeak = 0;
  forgetLowerMaster(member);
  draft.role(member, 'backup', reason);
}

/** Because this process stood still, or another holds the role of its group. */
export function listenAll(draft: Draft, reason: string): void {
  draft.group.phase = 'running';
  draft.group.leaveAtMs = Number.POSITIVE_INFINITY;
  syncUnknown(draft);
  for (const member of draft.all())
    listen(draft, member, member.config.advertisementIntervalMs, draft.now, reason);
}

/** Takes the addresses away from what was master, and forgets what a master remembers. */
function release(draft: Draft, member: Member): void {
  member.announceAtMs = [];
  member.refreshAtMs = Number.POSITIVE_INFINITY;
  member.succeeded = false;
  member.contest = undefined;
  member.predecessor = undefined;
  if (member.state !== 'master') return;
  member.master = undefined;
  const { name, addresses, routes, rules } = member.config;
  draft.effects.push({ type: 'remove-addresses', instance: name, addresses, routes, rules });
  draft.count(member, 'released_master');
}

export function wantMaster(member: Member): void {
  member.wantsMaster = true;
  setTimer(member, Number.POSITIVE_INFINITY);
}

/** RFC 9568 section 6.4.2: the Master_Down_Timer fired, in every instance of the group. */
export function goMasterWhenAllWant(draft: Draft, reason: string): void {
  const { group, members } = draft;
  if (group.phase !== 'running' || members.length === 0) return;
  for (const { state, wantsMaster } of members) if (state !== 'backup' || !wantsMaster) return;
  group.claimAtMs = Number.POSITIVE_INFINITY;
  toMaster(draft, draft.all(), reason);
}

/** These become master; a group as a whole, or what joins one that is. */
export function toMaster(draft: Draft, members: readonly Member[], reason: string): void {
  for (const member of members) {
    setTimer(member, Number.POSITIVE_INFINITY);
    const { name, addresses, routes, rules } = member.config;
    draft.effects.push({ type: 'add-addresses', instance: name, addresses, routes, rules });
    draft.announceWithRepeats(member);
    member.wantsMaster = false;
    member.masterPeak = 0;
    forgetLowerMaster(member);
    member.predecessor = predecessorOf(draft, member);
    member.master = member.source;
    member.activeAdverIntervalMs = member.config.advertisementIntervalMs;
    draft.count(member, 'became_master');
    draft.role(member, 'master', reason);
  }
  syncedAsMaster(draft);
  // The RFC has the advertisement first. A predecessor that hands over lets go when it hears it, so it must not
  // hear it before the addresses are here.
  for (const member of members) draft.advertise(member, true);
}

/** The whole group gives up: what can still speak says farewell, so that the peer is quick. */
export function toFault(draft: Draft): void {
  const { group } = draft;
  const said = group.phase === 'handing-over';
  group.phase = 'running';
  group.leaveAtMs = Number.POSITIVE_INFINITY;
  group.claimAtMs = Number.POSITIVE_INFINITY;
  syncUnknown(draft);
  const reason = group.faults.join('; ');
  for (const member of draft.all()) {
    if (member.state === 'master' && !said && member.linkUp && member.hasSource) draft.farewell(member);
    release(draft, member);
    rest(member);
    if (member.state !== 'fault') draft.count(member, 'became_fault');
    draft.role(member, 'fault', reason);
  }
}

function rest(member: Member): void {
  setTimer(member, Number.POSITIVE_INFINITY);
  member.wantsMaster = false;
  member.masterPeak = 0;
  forgetLowerMaster(member);
  member.master = undefined;
}

/** It has an interval in which to say what it was about to say, and its last word. */
function predecessorOf({ now }: Draft, member: Member): Member['predecessor'] {
  const { heardUntilMs, master, activeAdverIntervalMs, config } = member;
  if (master === undefined || heardUntilMs <= now) return undefined;
  return {
    source: master,
    untilMs: now + Math.max(activeAdverIntervalMs, config.advertisementIntervalMs),
  };
}

/** After a change of what faults hang on; `goodNews` is the reason to start again. */
export function reconsiderFaults(draft: Draft, goodNews: string): void {
  const { group, members } = draft;
  group.faults = faultsOf(group, members);
  if (group.phase === 'leaving') {
    const [fault] = networkFaults(members);
    if (fault !== undefined) left(draft, fault);
    return;
  }
  if (group.phase !== 'running' && group.phase !== 'handing-over') return;
  const inFault = members[0]?.state === 'fault';
  if (group.faults.length > 0) {
    if (!inFault) toFault(draft);
  } else if (inFault) startUp(draft, goodNews);
}

/**
 * A backup that may have lost its right to preempt: its timer is running out because it discarded what the master said,
 * but that master lives, as far as it knows.
 */
export function respectMaster(draft: Draft, member: Member): void {
  const { heardUntilMs, timerMs, wantsMaster } = member;
  if (member.state !== 'backup' || heardUntilMs <= draft.now) return;
  startMasterDown(member, wantsMaster ? heardUntilMs : Math.max(timerMs, heardUntilMs));
  member.wantsMaster = false;
}

/** A comparison of the connection tables found that, or could not be. */
export function syncProgress(draft: Draft, word: GroupInput & { type: 'sync-progress' }): void {
  const wasComplete = draft.group.sync.complete;
  setSync(draft, word);
  endWaits(draft);
  if (wasComplete) for (const member of withoutRight(draft)) respectMaster(draft, member);
}

/** After a change of weights, maintenance or configuration: a master says at once what it is worth now. */
export function reconsiderPriorities(draft: Draft): void {
  const { group, members } = draft;
  const weight = weightOf(group);
  for (let index = 0; index < members.length; index++) {
    const before = members[index];
    if (before === undefined) continue;
    const priority = effectivePriority(before.config.priority, weight, group.maintenance);
    if (priority === before.priority) continue;
    const member = draft.edit(index);
    member.priority = priority;
    if (priority < before.priority) respectMaster(draft, member);
    if (member.state === 'master' && group.phase === 'running') draft.advertise(member);
  }
  // Who rises above what the master was before it fell has to wait for the table, where it need not before.
  for (const member of withoutRight(draft)) respectMaster(draft, member);
}

/** Nothing of the group is left on the network or in the kernel. */
export function left(draft: Draft, reason: string): void {
  const { group } = draft;
  group.phase = 'stopped';
  group.startAtMs = Number.POSITIVE_INFINITY;
  group.leaveAtMs = Number.POSITIVE_INFINITY;
  group.retryAtMs = Number.POSITIVE_INFINITY;
  group.claimAtMs = Number.POSITIVE_INFINITY;
  group.refused = undefined;
  for (const member of draft.all()) {
    release(draft, member);
    rest(member);
    draft.role(member, 'initialize', reason);
  }
  draft.effects.push({ type: 'stopped' });
}

/**
 * A farewell was heard on the instance at `index`: its Master_Down_Timer is now Skew_Time (RFC 9568 section 6.4.2).
 * A sync group is left as a whole, so the other instances wait no longer either, even if their farewell was lost. That
 * of a router that is not the master here says nothing of theirs.
 */
export function heardFarewell(draft: Draft, index: number, source: string, atMs: number): void {
  const { members } = draft;
  const isMaster = members[index]?.master === source;
  for (let other = 0; other < members.length; other++) {
    const before = members[other];
    if (before === undefined || before.wantsMaster) continue;
    if (other === index) {
      const member = draft.edit(other);
      setTimer(member, atMs + skewOf(member));
    } else if (isMaster && before.heardAtMs <= atMs) {
      const member = draft.edit(other);
      setTimer(member, Math.min(member.timerMs, atMs + skewOf(member)));
      if (member.master !== undefined)
        depart(draft, other, member.master, atMs, member.activeAdverIntervalMs);
    }
  }
}
