/**
 * Whether a stronger backup takes over from a master that lives: Preempt_Mode of RFC 9568 section 6.1, which counts as
 * false here until the delay is over and the connection table is complete (docs/decisions/0039).
 */
import type { Draft, Member } from './group-draft.js';
import { isOwner } from './group-tracking.js';
import type { GroupInput, GroupState, InstanceState, SyncProgress } from './group-types.js';

const HEARS_AGAIN: SyncProgress = {
  complete: false,
  text: 'it heard nothing for a while, and the tables were not compared since',
};
const OF_A_MASTER: SyncProgress = { complete: true, text: 'this director was master' };

/** Heard by a backup from a master of lower priority: whether it is discarded, so that Master_Down_Timer runs out. */
export function mayPreempt(draft: Draft, member: Member, source: string, atMs: number): boolean {
  const { preempt } = member.config;
  // RFC 9568 section 6.1: the owner preempts whatever Preempt_Mode says.
  if (isOwner(member)) return true;
  if (preempt.mode === 'never') return false;
  member.lowerMasterSinceMs ??= atMs;
  reviewWait(draft, member, source, atMs);
  return !member.awaitsSync && atMs - member.lowerMasterSinceMs >= preempt.delayMs;
}

function reviewWait(draft: Draft, member: Member, source: string, atMs: number): void {
  const { preempt } = member.config;
  const awaits = mustAwaitSync(draft.group, member, atMs);
  if (awaits === member.awaitsSync) return;
  member.awaitsSync = awaits;
  const { complete, text } = draft.group.sync;
  if (!awaits) return draft.notice(member, { kind: 'awaited-sync', source, complete, text });
  draft.count(member, 'awaited_sync');
  const atMostMs = preempt.mode === 'synced' ? preempt.atMostMs : 0;
  draft.notice(member, { kind: 'awaits-sync', source, atMostMs, text });
}

/**
 * Whether this director is one that returns, to a master that serves well, with less than that master's connections. A
 * master that was as strong as this one and fell below it says of itself that it serves no longer as it should.
 */
function mustAwaitSync({ sync }: GroupState, member: InstanceState, atMs: number): boolean {
  const { config, lowerMasterSinceMs, masterPeak, priority } = member;
  if (config.preempt.mode !== 'synced' || sync.complete || lowerMasterSinceMs === undefined) return false;
  return masterPeak < priority && atMs - lowerMasterSinceMs < config.preempt.atMostMs;
}

/** No master of lower priority is heard, or this is no backup. */
export function forgetLowerMaster(member: Member): void {
  member.lowerMasterSinceMs = undefined;
  member.awaitsSync = false;
}

export function heardMaster(member: Member, source: string, priority: number): void {
  member.masterPeak = member.master === source ? Math.max(member.masterPeak, priority) : priority;
  member.master = source;
}

/**
 * A master's own table is the one that others have to have: nobody knows better. A word from before this director lost sight
 * of the master may have been on its way meanwhile, or be about a master that it was then.
 */
export function setSync(draft: Draft, { progress, asOfMs }: GroupInput & { type: 'sync-progress' }): void {
  if (asOfMs < draft.group.syncVoidMs) return;
  if (progress.complete || !draft.isMaster) draft.group.sync = progress;
}

export function syncedAsMaster(draft: Draft): void {
  draft.group.sync = OF_A_MASTER;
}

/** This host may have missed what the other director told of connections. */
export function syncUnknown(draft: Draft): void {
  draft.group.sync = HEARS_AGAIN;
  draft.group.syncVoidMs = draft.now;
}

/** Waits that are over since the table is complete. */
export function endWaits(draft: Draft): void {
  for (const [index, { awaitsSync, master = '' }] of draft.members.entries()) {
    if (awaitsSync && draft.group.sync.complete) reviewWait(draft, draft.edit(index), master, draft.now);
  }
}

/** Of these the right to preempt hangs on a table that is not complete any more. */
export function withoutRight(draft: Draft): readonly Member[] {
  const { group, members, now } = draft;
  return members.flatMap((member, index) => {
    return member.state === 'backup' && mustAwaitSync(group, member, now) ? [draft.edit(index)] : [];
  });
}
