/** Which advertisements count at all: not this director's own, not another cluster's (RFC 9568 section 7.1). */
import type { Draft } from './group-draft.js';
import type { InstanceState } from './group-types.js';
import type { Advertisement } from './packet.js';

/** What is wrong with one sender is not told again for so long. */
const NOTICE_PAUSE_MS = 60_000;
/** Nothing that was sent is on its way for longer. */
const REFLECTED_MS = 2000;

/** Whether the machine may look at an advertisement; counts and tells what is wrong with it. */
export function isOurs(draft: Draft, index: number, heard: Advertisement, source: string): boolean {
  const member = draft.members[index];
  if (member === undefined) return false;
  if (source === member.source) {
    draft.count(member, 'discarded_own');
    if (!isReflected(draft, member, heard))
      draft.noticeOnce(index, { kind: 'own-source', source }, 0, NOTICE_PAUSE_MS);
    return false;
  }
  return hasOurAddresses(draft, index, member, heard, source) && hasOurInterval(draft, index, heard, source);
}

/** Whether it may be what this director said itself: a bridge or a switch gives it back, soon. */
function isReflected(draft: Draft, member: InstanceState, { priority }: Advertisement): boolean {
  const silentMs = draft.now - member.spokeAtMs;
  return silentMs < REFLECTED_MS && (priority === member.priority || priority === 0);
}

function hasOurAddresses(
  draft: Draft,
  index: number,
  member: InstanceState,
  heard: Advertisement,
  source: string,
): boolean {
  const { advertised } = member.config;
  const { addresses } = heard;
  if (isSameList(advertised, addresses)) return true;
  const notice = { source, addresses } as const;
  if (addresses.some((address) => advertised.includes(address))) {
    draft.count(member, 'address_mismatch');
    draft.noticeOnce(index, { kind: 'address-mismatch', ...notice }, 0, NOTICE_PAUSE_MS);
    return true;
  }
  draft.count(member, 'discarded_other_cluster');
  draft.noticeOnce(index, { kind: 'other-cluster', ...notice }, 0, NOTICE_PAUSE_MS);
  return false;
}

function isSameList(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let index = 0; index < a.length; index++) if (a[index] !== b[index]) return false;
  return true;
}

/**
 * VRRPv2 knows one interval for all routers and discards others (RFC 3768 section 7.1). Version 3 follows the
 * master's, but tells of it (RFC 9568 section 7.1).
 */
function hasOurInterval(draft: Draft, index: number, heard: Advertisement, source: string): boolean {
  const member = draft.members[index];
  if (member === undefined) return false;
  const intervalMs = heard.advertisementIntervalMs;
  if (intervalMs === member.config.advertisementIntervalMs) {
    if (member.noticed.length > 0) forgetInterval(draft, index, source);
    return true;
  }
  const discard = member.config.version === 2;
  draft.count(member, discard ? 'discarded_interval_mismatch' : 'interval_mismatch');
  const notice = { kind: 'interval-mismatch', source, intervalMs } as const;
  draft.noticeOnce(index, notice, intervalMs, Number.POSITIVE_INFINITY);
  return !discard;
}

function forgetInterval(draft: Draft, index: number, source: string): void {
  const noticed = draft.members[index]?.noticed ?? [];
  const rest = noticed.filter((one) => one.kind !== 'interval-mismatch' || one.source !== source);
  if (rest.length < noticed.length) draft.edit(index).noticed = rest;
}
