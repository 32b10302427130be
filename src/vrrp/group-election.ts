/** Who is master: advertisements heard and deadlines reached (RFC 9568 sections 6.4.2 and 6.4.3). */
import { OWNER_PRIORITY } from '../config/model.js';
import { compareAddresses } from '../util/ip-address.js';
import type { Draft } from './group-draft.js';
import { listeningMs, masterDownAt, masterDownOf, setTimer, startMasterDown } from './group-draft.js';
import { forgetLowerMaster, heardMaster, mayPreempt, syncUnknown, withoutRight } from './group-preempt.js';
import {
  goMasterWhenAllWant,
  heardFarewell,
  listen,
  listenAll,
  reconsiderFaults,
  respectMaster,
  startUp,
  wantMaster,
} from './group-roles.js';
import { isOwner } from './group-tracking.js';
import type { GroupInput, InstanceState } from './group-types.js';
import type { Advertisement } from './packet.js';
import { earlyMs } from './timers.js';

/** An owner that yielded to a rogue claims again after this, twice as long each time up to the maximum. */
export const ROGUE_BACK_OFF_MIN_MS = 10_000;
export const ROGUE_BACK_OFF_MAX_MS = 300_000;
/** No rogue heard for so long: the next one finds a short back-off again. */
export const ROGUE_QUIET_MS = 60_000;
/** A master's silence that is no pause whatever the interval; the guardian's lease covers longer ones. */
export const MIN_PAUSE_MS = 250;
/** A second owner that this one beats is not told of again for so long. */
const ROGUE_NOTICE_PAUSE_MS = 60_000;
/** Of BFD: an advertisement that came so much later than the last packet is from a master that outlived its session. */
const OUTLIVED_INTERVALS = 1.5;

/** RFC 9568 section 6.4.2. */
export function heardAsBackup(
  draft: Draft,
  index: number,
  heard: Advertisement,
  source: string,
  atMs: number,
): void {
  if (heard.priority === 0) return heardFarewell(draft, index, source, atMs);
  const member = draft.edit(index);
  heardMaster(member, source, heard.priority);
  member.listensAgain = false;
  if (heard.priority === OWNER_PRIORITY && isOwner(member)) draft.group.rogueHeardMs = draft.now;
  if (heard.priority < member.priority) {
    if (mayPreempt(draft, member, source, atMs)) return;
  } else {
    forgetLowerMaster(member);
  }
  member.activeAdverIntervalMs = heard.advertisementIntervalMs;
  startMasterDown(member, masterDownAt(draft, member, atMs));
  member.wantsMaster = false;
}

/** RFC 9568 section 6.4.3. */
export function heardAsMaster(
  draft: Draft,
  index: number,
  heard: Advertisement,
  source: string,
  atMs: number,
): void {
  const member = draft.edit(index);
  if (heard.priority === 0) {
    draft.advertise(member);
    // Only a master says farewell: neighbours may hold its MAC address, even if nothing else of it came through.
    return draft.announceLater(member);
  }
  const { config, priority } = member;
  const order = heard.priority - priority || compareAddresses(source, member.source);
  // Silent for longer than the others wait: who speaks now has rightly taken over.
  const wasSilent = atMs - member.spokeAtMs > 3 * config.advertisementIntervalMs;
  if (order > 0) {
    if (isOwner(member)) backOff(draft, index, source);
    else if (isContested(draft, index, atMs)) return;
    if (wasSilent) syncUnknown(draft);
    else sayLastWord(draft);
    return yieldTo(draft, index, heard, source, atMs, `${source} advertises priority ${heard.priority}`);
  }
  if (!preemptsAtOnce(member) && wasSilent) {
    syncUnknown(draft);
    return yieldTo(draft, index, heard, source, atMs, `${source} took over while this director was silent`);
  }
  // A losing advertisement is answered at once with one's own.
  draft.advertise(member);
  draft.announceLater(member);
  const { predecessor } = member;
  if (predecessor?.source === source && atMs < predecessor.untilMs) return;
  if (heard.priority === OWNER_PRIORITY) {
    // RFC 9568 section 8.3.2: more than one owner is a misconfiguration.
    draft.group.rogueHeardMs = draft.now;
    draft.noticeOnce(index, { kind: 'rogue-owner', source, backOffMs: 0 }, 0, ROGUE_NOTICE_PAUSE_MS);
  }
  draft.notice(member, { kind: 'still-master', source, priority: heard.priority });
  draft.count(member, 'still_master');
}

/**
 * The one that stays may not have heard this director yet, as after a split: it has to know that neighbours hold another MAC
 * address than its own (docs/decisions/0046).
 */
function sayLastWord(draft: Draft): void {
  for (const member of draft.all()) if (member.state === 'master') draft.advertise(member);
}

function preemptsAtOnce(member: InstanceState): boolean {
  const { preempt } = member.config;
  return isOwner(member) || (preempt.mode === 'always' && preempt.delayMs === 0);
}

function yieldTo(
  draft: Draft,
  index: number,
  heard: Advertisement,
  source: string,
  atMs: number,
  reason: string,
): void {
  for (const [other, member] of draft.all().entries()) {
    if (other !== index) listen(draft, member, member.config.advertisementIntervalMs, draft.now, reason);
    else {
      listen(draft, member, heard.advertisementIntervalMs, atMs, reason);
      heardMaster(member, source, heard.priority);
    }
  }
}

/**
 * Two sync groups may each win one instance, as addresses differ from interface to interface: if both yielded for
 * the one they lose, both would listen, take over again, and so on. The instance with the lowest VRID decides. A
 * master that is beaten on another one asks there, and yields only if it hears the same again.
 */
function isContested(draft: Draft, index: number, atMs: number): boolean {
  const { members } = draft;
  if (members.length === 1) return false;
  const deciding = decidingInstance(members);
  if (deciding === index) return false;
  const member = draft.edit(index);
  const { contest } = member;
  if (contest === undefined || atMs - contest.heardMs > masterDownOf(member)) {
    member.contest = { sinceMs: atMs, heardMs: atMs };
    draft.advertise(draft.edit(deciding));
    // If it is gone before it is heard again, this director stays, and neighbours may hold the other's MAC address.
    for (const one of draft.all()) draft.announceLater(one);
    return true;
  }
  member.contest = { sinceMs: contest.sinceMs, heardMs: atMs };
  return atMs - contest.sinceMs < member.config.advertisementIntervalMs / 2;
}

function decidingInstance(members: readonly InstanceState[]): number {
  let best = 0;
  for (let index = 1; index < members.length; index++) {
    const a = members[index]?.config;
    const b = members[best]?.config;
    if (a === undefined || b === undefined) continue;
    const order = a.virtualRouterId - b.virtualRouterId;
    if (order < 0 || (order === 0 && a.name < b.name)) best = index;
  }
  return best;
}

/** Another router says it owns the addresses that this one owns, and its address is the greater. */
function backOff(draft: Draft, index: number, source: string): void {
  const { group, now } = draft;
  const isFresh = now - group.rogueHeardMs > ROGUE_QUIET_MS;
  group.backOffMs =
    isFresh || group.backOffMs === 0
      ? ROGUE_BACK_OFF_MIN_MS
      : Math.min(2 * group.backOffMs, ROGUE_BACK_OFF_MAX_MS);
  group.rogueHeardMs = now;
  group.claimAtMs = now + group.backOffMs;
  const member = draft.edit(index);
  draft.notice(member, { kind: 'rogue-owner', source, backOffMs: group.backOffMs });
  draft.count(member, 'rogue_owner');
}

/** The back-off is over: the owner claims its addresses, or waits as long again for the rest of the group. */
function claim(draft: Draft): void {
  const { group } = draft;
  group.claimAtMs = Number.POSITIVE_INFINITY;
  if (draft.isMaster || group.phase !== 'running' || group.faults.length > 0) return;
  let owns = false;
  for (const member of draft.all()) {
    if (!isOwner(member)) continue;
    owns = true;
    wantMaster(member);
  }
  if (!owns) return;
  goMasterWhenAllWant(draft, 'address owner claims its addresses again');
  if (!draft.isMaster) group.claimAtMs = draft.now + group.backOffMs;
}

/**
 * A master that was silent for longer than its peers wait has a successor, whether that was heard or not: it
 * listens before it speaks. To be called before an input is taken.
 *
 * With short intervals a busy host is silent for so long now and then, without anybody to take over. What was said
 * meanwhile lies in the socket's queue and is taken before a deadline: up to MIN_PAUSE_MS that is listening enough.
 */
export function listenAfterPause(draft: Draft): void {
  const { members, now } = draft;
  for (let index = 0; index < members.length; index++) {
    const member = members[index];
    if (member === undefined || member.state !== 'master') return;
    const silentMs = now - member.spokeAtMs;
    if (silentMs <= Math.max(masterDownOf(member), MIN_PAUSE_MS)) continue;
    draft.notice(member, { kind: 'paused', pausedMs: silentMs });
    draft.count(member, 'paused');
    return listenAll(draft, `this director was silent for ${Math.round(silentMs)} ms`);
  }
}

/** What is due by now, apart from the end of a hand-over. */
export function deadline(draft: Draft): void {
  const { group, members, now } = draft;
  if (now >= group.startAtMs) return startUp(draft, 'started');
  if (now >= group.retryAtMs) {
    group.retryAtMs = Number.POSITIVE_INFINITY;
    group.refused = undefined;
    reconsiderFaults(draft, 'tries again');
  }
  if (now >= group.claimAtMs) claim(draft);
  let ranOut = false;
  for (let index = 0; index < members.length; index++) {
    const member = members[index];
    if (member === undefined) continue;
    if (member.state === 'master') masterDeadline(draft, index);
    else if (now >= Math.min(member.timerMs, member.overdueAtMs)) ranOut = masterDown(draft, index) || ranOut;
  }
  if (ranOut) goMasterWhenAllWant(draft, 'no advertisement from a master');
}

/**
 * The BFD session with `source` expired. Is it the master here, Master_Down_Timer has run out, unless it spoke since: then
 * the session is broken and not the master (docs/decisions/0040).
 */
export function peerLost(draft: Draft, input: Extract<GroupInput, { type: 'peer-lost' }>): void {
  const { source, heardAtMs, intervalMs } = input;
  const index = draft.indexOf(input.instance);
  const before = draft.members[index];
  if (draft.group.phase !== 'running' || before?.state !== 'backup' || before.master !== source) return;
  const { lost } = before;
  const isTrusted = lost?.lives === true && lost.source === source && draft.now < lost.untilMs;
  if (isTrusted || before.heardAtMs > heardAtMs + OUTLIVED_INTERVALS * intervalMs)
    return draft.count(before, 'bfd_doubted');
  const member = draft.edit(index);
  member.lost = { source, untilMs: draft.now + masterDownOf(member), lives: false };
  member.heardUntilMs = Number.NEGATIVE_INFINITY;
  wantMaster(member);
  draft.count(member, 'bfd_expired');
  goMasterWhenAllWant(draft, `BFD session with ${source} expired`);
}

/**
 * Master_Down_Timer fired, or an advertisement is overdue. More than an interval too late means that this process stood
 * still, and with it perhaps the whole host: then what the master said meanwhile is not even in the socket's queue, so it
 * listens first. A process that is merely slow does so once, or it would never take over. Who was late to look when the
 * advertisement was overdue, but not by so much, listens as long from then on as if it had been in time.
 */
function masterDown(draft: Draft, index: number): boolean {
  const { now } = draft;
  const member = draft.edit(index);
  const lateMs = now - member.timerMs;
  const waitMs = masterDownOf(member);
  if (lateMs > (member.listensAgain ? waitMs : member.activeAdverIntervalMs)) {
    setTimer(member, now + waitMs);
    member.listensAgain = true;
    syncUnknown(draft);
    for (const one of withoutRight(draft)) respectMaster(draft, one);
    draft.notice(member, { kind: 'paused', pausedMs: lateMs });
    draft.count(member, 'paused');
    return false;
  }
  if (now >= member.overdueAtMs) setTimer(member, Math.max(member.timerMs, now + listeningMs(member)));
  if (now < member.timerMs) return false;
  wantMaster(member);
  return true;
}

function masterDeadline(draft: Draft, index: number): void {
  const { now } = draft;
  const before = draft.members[index];
  if (before === undefined) return;
  const announceDue = now >= (before.announceAtMs[0] ?? Number.POSITIVE_INFINITY);
  const refreshDue = now >= before.refreshAtMs;
  const dueMs = before.timerMs;
  const isDue = now >= dueMs - earlyMs(before.config.advertisementIntervalMs);
  if (!announceDue && !refreshDue && !isDue) return;
  const member = draft.edit(index);
  if (refreshDue) draft.announceWithRepeats(member);
  else if (announceDue) {
    draft.announce(member);
    member.announceAtMs = member.announceAtMs.filter((at) => at > now);
  }
  if (!isDue) return;
  draft.advertise(member);
  // Absolute, so that lateness (or earliness) does not add up; after a stall, from now.
  const next = dueMs + member.config.advertisementIntervalMs;
  if (next > now) member.timerMs = next;
}
