/** What a reload forms anew comes to one state: whoever is master stays it, wherever that can be. */
import type { Draft, Member } from './group-draft.js';
import { handOver } from './group-hand-over.js';
import { goMasterWhenAllWant, listen, startUp, toFault, toMaster, wantMaster } from './group-roles.js';
import { faultsOf, isOwner } from './group-tracking.js';

/** The instances come from several groups, or from none: from here on they are in one state. */
export function formed(draft: Draft): void {
  const { group, members } = draft;
  if (group.phase !== 'running') return;
  group.faults = faultsOf(group, members);
  if (group.faults.length > 0) return toFault(draft);
  if (!draft.isMaster) return listenTogether(draft);
  // Where another router is master of one of them, the group belongs there.
  if (members.some(({ state, heardUntilMs }) => state !== 'master' && heardUntilMs > draft.now)) {
    for (const member of draft.all()) if (member.state !== 'master') listenWithGroup(draft, member);
    return handOver(draft);
  }
  const all = draft.all();
  const others = all.filter(({ state }) => state !== 'master');
  // One that was handing over.
  const silent = all.filter(
    ({ state, timerMs }) => state === 'master' && timerMs === Number.POSITIVE_INFINITY,
  );
  toMaster(draft, others, 'its group is master');
  for (const member of silent) {
    member.succeeded = false;
    member.master = member.source;
    draft.advertise(member);
    draft.announceWithRepeats(member);
  }
}

function listenTogether(draft: Draft): void {
  for (const member of draft.all()) {
    listenWithGroup(draft, member);
    if (isOwner(member)) wantMaster(member);
  }
  goMasterWhenAllWant(draft, 'address owner');
}

/** A backup goes on as it was, unless it only waited for the rest of its group to hand over. */
function listenWithGroup(draft: Draft, member: Member): void {
  const waits = member.timerMs === Number.POSITIVE_INFINITY && !member.wantsMaster;
  if (member.state === 'backup' && !waits) return;
  listen(draft, member, member.config.advertisementIntervalMs, draft.now, 'its group listens');
}

/** There is nobody to be waited for, unless a master was heard. */
export function inherit(draft: Draft): void {
  const { group } = draft;
  if (group.phase === 'starting') startUp(draft, 'started');
  if (group.phase !== 'running' || draft.isMaster) return;
  for (const { state, heardUntilMs } of draft.members) {
    if (state !== 'backup' || heardUntilMs > draft.now) return;
  }
  for (const member of draft.all()) wantMaster(member);
  goMasterWhenAllWant(draft, 'this director holds its addresses already');
}
