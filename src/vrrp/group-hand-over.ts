/**
 * Make before break: a master says farewell but keeps its addresses until the successor spoke. RFC 9568 section
 * 6.4.3 goes to Initialize at once; docs/decisions/0001 tells why we wait.
 */
import type { Draft } from './group-draft.js';
import { masterDownOf, setTimer } from './group-draft.js';
import { left, listen, listenAll, reconsiderPriorities } from './group-roles.js';
import type { Advertisement } from './packet.js';
import { handOverHoldMs } from './timers.js';

/** From the successor's first advertisement until its announcement has surely reached the segment. */
const SUCCESSOR_GRACE_MS = 150;

/** For good: after the hand-over the group is stopped. A second time, or silently: at once. */
export function stop(draft: Draft, silently = false): void {
  const { group } = draft;
  if (group.phase === 'stopped') return;
  if (silently) return left(draft, 'taken out of its sync group');
  if (group.phase === 'leaving') return left(draft, 'told to stop at once');
  if (!draft.isMaster) return left(draft, 'stopped');
  if (group.phase !== 'handing-over') sayFarewell(draft);
  group.phase = 'leaving';
}

/** The operator's switch. On for a second time, a master tries again to hand over. */
export function setMaintenance(draft: Draft, on: boolean): void {
  const { group } = draft;
  group.maintenance = on;
  if (on && draft.isMaster && group.phase === 'running') {
    handOver(draft);
    for (const member of draft.members) draft.count(member, 'hand_overs');
  }
  reconsiderPriorities(draft);
  // A successor that was heard keeps the role: to take it back is for the election.
  if (!on && group.phase === 'handing-over' && !hasSuccessor(draft)) goOn(draft);
}

/** Says farewell and waits for a successor; what is no master of a group that a reload formed only waits. */
export function handOver(draft: Draft): void {
  sayFarewell(draft);
  draft.group.phase = 'handing-over';
}

function sayFarewell(draft: Draft): void {
  let holdMs = 0;
  for (const member of draft.all()) {
    if (member.state === 'master') draft.farewell(member);
    setTimer(member, Number.POSITIVE_INFINITY);
    member.wantsMaster = false;
    member.announceAtMs = [];
    member.refreshAtMs = Number.POSITIVE_INFINITY;
    member.succeeded = false;
    member.contest = undefined;
    holdMs = Math.max(holdMs, handOverHoldMs(member.config.advertisementIntervalMs));
  }
  draft.group.leaveAtMs = draft.now + holdMs;
}

/** What is no master in a group that a reload formed lets nothing go: that its master speaks says nothing of the rest. */
function hasSuccessor({ members }: Draft): boolean {
  return members.some(({ state, succeeded }) => state === 'master' && succeeded);
}

/** An advertisement while the addresses are kept: the successor's, or its farewell. */
export function heardSuccessor(draft: Draft, index: number, heard: Advertisement, source: string): void {
  const member = draft.edit(index);
  if (heard.priority === 0) {
    // It leaves in its turn, so nobody has taken over.
    if (source === member.master) member.succeeded = false;
    return;
  }
  if (member.succeeded) return;
  member.succeeded = true;
  member.master = source;
  member.activeAdverIntervalMs = heard.advertisementIntervalMs;
  for (const { state, succeeded } of draft.members) if (state === 'master' && !succeeded) return;
  const { group } = draft;
  group.leaveAtMs = Math.min(group.leaveAtMs, draft.now + SUCCESSOR_GRACE_MS);
}

/** The wait for a successor is over. */
export function handOverEnds(draft: Draft): void {
  const { group, members } = draft;
  if (group.phase === 'leaving') return left(draft, 'handed over');
  const [first] = members;
  if (first === undefined) return;
  const lateMs = draft.now - group.leaveAtMs;
  if (!hasSuccessor(draft)) {
    if (lateMs > masterDownOf(first)) {
      draft.notice(first, { kind: 'paused', pausedMs: lateMs });
      return listenAll(draft, 'stood still while handing over');
    }
    draft.notice(first, { kind: 'no-successor' });
    draft.count(first, 'no_successor');
    return goOn(draft);
  }
  group.phase = 'running';
  group.leaveAtMs = Number.POSITIVE_INFINITY;
  for (const member of draft.all()) {
    const { master, succeeded, activeAdverIntervalMs, config } = member;
    const intervalMs = succeeded ? activeAdverIntervalMs : config.advertisementIntervalMs;
    listen(draft, member, intervalMs, draft.now, 'handed over');
    if (succeeded) member.master = master;
  }
}

/** Back to an ordinary master, which says so at once. */
function goOn(draft: Draft): void {
  const { group } = draft;
  if (draft.members.some(({ state }) => state !== 'master'))
    return listenAll(draft, 'its group has another master');
  group.phase = 'running';
  group.leaveAtMs = Number.POSITIVE_INFINITY;
  for (const member of draft.all()) {
    member.succeeded = false;
    member.master = member.source;
    member.activeAdverIntervalMs = member.config.advertisementIntervalMs;
    draft.advertise(member);
    draft.announceWithRepeats(member);
  }
}
