/** The VRRP state machine (RFC 9568 section 6.4) for the instances of one sync group. Pure. */
import type { TrackUse, VirtualRoute, VrrpInstance } from '../config/model.js';
import { addressDifference } from './address-difference.js';
import { Draft, type Member } from './group-draft.js';
import { deadline, heardAsBackup, heardAsMaster, listenAfterPause, peerLost } from './group-election.js';
import { formed, inherit } from './group-forming.js';
import { isOurs } from './group-guard.js';
import { handOverEnds, heardSuccessor, setMaintenance, stop } from './group-hand-over.js';
import { depart, isOvertaken, remember } from './group-heard.js';
import {
  left,
  listen,
  listenAll,
  reconsiderFaults,
  reconsiderPriorities,
  respectMaster,
  startUp,
  syncProgress,
} from './group-roles.js';
import { effectivePriority, faultsOf, linksOf, verdictsFor, weightOf } from './group-tracking.js';
import type { GroupInput, GroupState, GroupStep, TrackedVerdict } from './group-types.js';

/** A refused address puts the group in fault for so long. */
const ADDRESS_RETRY_MS = 5000;

/** Takes one input at `nowMs` (monotonic). Never fails; what does not concern the state is ignored. */
export function step(state: GroupState, input: GroupInput, nowMs: number): GroupStep {
  const draft = new Draft(state, nowMs);
  if (draft.group.phase === 'running') listenAfterPause(draft);
  take(draft, input);
  return draft.result();
}

function take(draft: Draft, input: GroupInput): void {
  switch (input.type) {
    case 'advertisement':
      return advertisement(draft, input);
    case 'deadline':
      if (draft.now >= draft.group.leaveAtMs) return handOverEnds(draft);
      return deadline(draft);
    case 'peer-lost':
      return peerLost(draft, input);
    case 'start':
      return start(draft);
    case 'stop':
      return stop(draft, input.silently);
    case 'formed':
      return formed(draft);
    case 'inherit':
      return inherit(draft);
    case 'withdrawn':
      return withdrawn(draft);
    case 'configure':
      return configure(draft, input.instances, input.track);
    case 'source':
      return source(draft, input);
    case 'tracked':
      return tracked(draft, input);
    case 'sync-progress':
      return syncProgress(draft, input);
    case 'maintenance':
      return setMaintenance(draft, input.on);
    case 'link':
      return link(draft, input);
    case 'hardware-address':
      return hardwareAddress(draft, input.instance);
    case 'address-failed':
      return addressFailed(draft, input.instance);
  }
}

function advertisement(draft: Draft, input: Extract<GroupInput, { type: 'advertisement' }>): void {
  const { phase } = draft.group;
  const index = draft.indexOf(input.instance);
  const member = draft.members[index];
  // While starting or stopped nothing is heard.
  if (member === undefined || phase === 'stopped' || phase === 'starting') return;
  const { advertisement: heard, source: from, receivedAtMs } = input;
  if (!isOurs(draft, index, heard, from)) return;
  draft.count(member, heard.priority === 0 ? 'priority_zero_received' : 'advertisements_received');
  if (heard.priority === 0) depart(draft, index, from, receivedAtMs, heard.advertisementIntervalMs);
  else if (isOvertaken(draft, index, from, receivedAtMs)) {
    // If it is there all the same and stronger, it answers this at once, and its answer counts.
    if (phase === 'running' && member.state === 'master') draft.advertise(draft.edit(index));
    return;
  } else remember(draft, index, from, heard, receivedAtMs);
  if (phase !== 'running') return heardSuccessor(draft, index, heard, from);
  if (member.state === 'backup') return heardAsBackup(draft, index, heard, from, receivedAtMs);
  if (member.state === 'master') return heardAsMaster(draft, index, heard, from, receivedAtMs);
}

function start(draft: Draft): void {
  const { group, members } = draft;
  if (group.phase !== 'stopped') return;
  const delayMs = Math.max(0, ...members.map(({ config }) => config.startupDelayMs));
  if (delayMs === 0) return startUp(draft, 'started');
  group.phase = 'starting';
  group.startAtMs = draft.now + delayMs;
  group.faults = faultsOf(group, members);
}

function withdrawn(draft: Draft): void {
  if (draft.group.phase === 'leaving') return left(draft, 'withdrawn by the guardian');
  if (draft.isMaster) listenAll(draft, 'withdrawn by the guardian after a stall');
}

function link(draft: Draft, { instance, up, fault }: Extract<GroupInput, { type: 'link' }>): void {
  const index = draft.indexOf(instance);
  const before = draft.members[index];
  if (before === undefined || (before.linkUp === up && before.linkFault === fault)) return;
  const member = draft.edit(index);
  member.linkUp = up;
  member.linkFault = fault;
  reconsiderFaults(draft, `link of ${linksOf(before.config, 'and')} is up`);
}

/** As a new master does; while it hands over, only now, for it may be over before a repetition. */
function hardwareAddress(draft: Draft, name: string): void {
  const index = draft.indexOf(name);
  if (draft.members[index]?.state !== 'master') return;
  const member = draft.edit(index);
  if (draft.group.phase === 'running') draft.announceWithRepeats(member);
  else if (!member.succeeded) draft.announce(member);
}

function source(draft: Draft, input: Extract<GroupInput, { type: 'source' }>): void {
  const { source: address, fault } = input;
  const index = draft.indexOf(input.instance);
  const before = draft.members[index];
  if (before === undefined) return;
  const same = address === undefined ? !before.hasSource : before.hasSource && before.source === address;
  if (same && before.sourceFault === fault) return;
  const member = draft.edit(index);
  member.sourceFault = fault;
  member.hasSource = address !== undefined;
  if (address !== undefined) member.source = address;
  if (member.state === 'master' && address !== undefined && draft.group.phase === 'running') {
    member.master = address;
    draft.advertise(member);
  }
  reconsiderFaults(draft, `${member.config.interface} has an address to speak from`);
}

function tracked(draft: Draft, input: Extract<GroupInput, { type: 'tracked' }>): void {
  const { group } = draft;
  if (!group.track.some(({ object }) => object === input.object)) return;
  const verdict: TrackedVerdict = {
    object: input.object,
    state: input.state,
    value: input.value,
    lenient: false,
  };
  group.verdicts = group.verdicts.map((one) => (one.object === input.object ? verdict : one));
  reconsiderPriorities(draft);
  reconsiderFaults(draft, `${input.object} is up`);
}

function addressFailed(draft: Draft, name: string): void {
  const { group } = draft;
  const member = draft.members[draft.indexOf(name)];
  if (member?.state !== 'master' || group.phase === 'leaving') return;
  group.refused = name;
  group.retryAtMs = draft.now + ADDRESS_RETRY_MS;
  reconsiderFaults(draft, 'tries again');
}

/** New settings for the same machine: a master keeps its role and changes only what differs. */
function configure(draft: Draft, configs: readonly VrrpInstance[], track: readonly TrackUse[]): void {
  const { group } = draft;
  group.track = track;
  group.verdicts = verdictsFor(track, group.verdicts, group.phase !== 'stopped');
  const weight = weightOf(group);
  for (const config of configs) {
    const index = draft.indexOf(config.name);
    if (index === -1) continue;
    const member = draft.edit(index);
    const before = member.config;
    member.config = config;
    member.priority = effectivePriority(config.priority, weight, group.maintenance);
    respectMaster(draft, member);
    // As it is where a reload formed the group with it.
    if (config === before) continue;
    // Who spoke the other version is not heard any more.
    if (before.version !== config.version && member.state === 'backup') {
      listen(draft, member, config.advertisementIntervalMs, draft.now, 'speaks another version');
    }
    if (member.state !== 'master') continue;
    member.activeAdverIntervalMs = config.advertisementIntervalMs;
    if (group.phase === 'running') draft.advertise(member);
    changeAddresses(draft, member, before);
  }
  reconsiderPriorities(draft);
  reconsiderFaults(draft, 'its settings changed');
}

function changeAddresses(draft: Draft, member: Member, before: VrrpInstance): void {
  const { name, addresses, routes, rules } = member.config;
  const { added, removed } = addressDifference(before.addresses, addresses);
  const newRoutes = without(routes, before.routes, JSON.stringify);
  // Adding replaces what has the same place.
  const oldRoutes = without(before.routes, routes, placeText);
  const newRules = without(rules, before.rules, JSON.stringify);
  const oldRules = without(before.rules, rules, JSON.stringify);
  if (added.length > 0 || newRoutes.length > 0 || newRules.length > 0) {
    draft.effects.push({
      type: 'add-addresses',
      instance: name,
      addresses: added,
      routes: newRoutes,
      rules: newRules,
    });
  }
  if (added.length > 0 && draft.group.phase === 'running') draft.announceWithRepeats(member);
  if (removed.length > 0 || oldRoutes.length > 0 || oldRules.length > 0) {
    draft.effects.push({
      type: 'remove-addresses',
      instance: name,
      addresses: removed,
      routes: oldRoutes,
      rules: oldRules,
    });
  }
}

function without<One>(list: readonly One[], others: readonly One[], textOf: (one: One) => string): One[] {
  const known = new Set(others.map(textOf));
  return list.filter((one) => !known.has(textOf(one)));
}

/** What the kernel tells routes apart by. */
function placeText({ table, destination, prefixLength, metric }: VirtualRoute): string {
  return `${table} ${destination}/${prefixLength} metric ${metric}`;
}
