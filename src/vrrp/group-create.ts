/** Groups before their first input: new ones, and those that a reload forms of instances that run already. */
import type { TrackUse, VrrpInstance } from '../config/model.js';
import { effectivePriority, verdictsFor, weightOf } from './group-tracking.js';
import type { GroupPhase, GroupState, InstanceState, SyncProgress } from './group-types.js';

const NOTHING_TOLD: SyncProgress = { complete: false, text: 'nothing is known of it yet' };

/** One instance of a group that is to be. Without a `source` it has no address to speak from. */
export interface GroupMember {
  readonly config: VrrpInstance;
  readonly source: string | undefined;
  readonly linkUp: boolean;
  /** As in `InstanceState`. */
  readonly linkFault?: string | undefined;
  readonly sourceFault?: string | undefined;
}

/** A stopped group. `track`: what weighs on all of its instances, each object once. */
export function createGroup(
  name: string,
  members: readonly GroupMember[],
  nowMs: number,
  track: readonly TrackUse[] = [],
): GroupState {
  return {
    name,
    phase: 'stopped',
    maintenance: false,
    track,
    verdicts: verdictsFor(track, [], false),
    sync: NOTHING_TOLD,
    syncVoidMs: Number.NEGATIVE_INFINITY,
    faults: [],
    startAtMs: Number.POSITIVE_INFINITY,
    leaveAtMs: Number.POSITIVE_INFINITY,
    refused: undefined,
    retryAtMs: Number.POSITIVE_INFINITY,
    claimAtMs: Number.POSITIVE_INFINITY,
    backOffMs: 0,
    rogueHeardMs: Number.NEGATIVE_INFINITY,
    instances: members.map((member) => createInstance(member, nowMs)),
  };
}

function createInstance(member: GroupMember, nowMs: number): InstanceState {
  const { config, source, linkUp, linkFault, sourceFault } = member;
  return {
    config,
    source: source ?? '',
    hasSource: source !== undefined,
    linkUp,
    linkFault,
    sourceFault,
    state: 'initialize',
    sinceMs: nowMs,
    priority: effectivePriority(config.priority, 0, false),
    activeAdverIntervalMs: config.advertisementIntervalMs,
    timerMs: Number.POSITIVE_INFINITY,
    overdueAtMs: Number.POSITIVE_INFINITY,
    wantsMaster: false,
    listensAgain: false,
    spokeAtMs: Number.NEGATIVE_INFINITY,
    heardAtMs: Number.NEGATIVE_INFINITY,
    heardUntilMs: Number.NEGATIVE_INFINITY,
    departed: undefined,
    lost: undefined,
    lowerMasterSinceMs: undefined,
    awaitsSync: false,
    master: undefined,
    masterPeak: 0,
    predecessor: undefined,
    announceAtMs: [],
    refreshAtMs: Number.POSITIVE_INFINITY,
    succeeded: false,
    contest: undefined,
    noticed: [],
  };
}

/** An instance that goes on in another group. */
export interface Continuing {
  readonly group: GroupState;
  readonly instance: InstanceState;
  /** What it is called from here on. */
  readonly name: string;
}

/**
 * The group that these form. The continuing ones keep the settings that the kernel was brought to; `formed` is to be
 * the first input, new settings come after it.
 */
export function formGroup(
  name: string,
  members: { readonly continuing: readonly Continuing[]; readonly fresh: readonly GroupMember[] },
  nowMs: number,
  track: readonly TrackUse[],
): GroupState {
  const { continuing, fresh } = members;
  const created = createGroup(name, fresh, nowMs, track);
  const donors = [...new Set(continuing.map(({ group }) => group))];
  const [first] = donors;
  if (first === undefined) return created;
  const phase = phaseOf(donors, continuing, fresh);
  const refused = continuing.find(({ group, instance }) => group.refused === instance.config.name);
  const group: GroupState = {
    ...created,
    phase,
    maintenance: donors.some(({ maintenance }) => maintenance),
    verdicts: verdictsFor(
      track,
      donors.flatMap(({ verdicts }) => verdicts),
      phase === 'running',
    ),
    sync: donors.find(({ sync }) => !sync.complete)?.sync ?? first.sync,
    syncVoidMs: Math.max(...donors.map((one) => one.syncVoidMs)),
    startAtMs:
      phase === 'starting' ? Math.max(...donors.map((one) => one.startAtMs)) : Number.POSITIVE_INFINITY,
    leaveAtMs:
      phase === 'handing-over' ? Math.max(...donors.map((one) => one.leaveAtMs)) : Number.POSITIVE_INFINITY,
    refused: refused?.name,
    retryAtMs: refused?.group.retryAtMs ?? Number.POSITIVE_INFINITY,
    claimAtMs: Math.min(...donors.map((one) => one.claimAtMs)),
    backOffMs: Math.max(...donors.map((one) => one.backOffMs)),
    rogueHeardMs: Math.max(...donors.map((one) => one.rogueHeardMs)),
    instances: [
      ...continuing.map(({ instance, name: called }) => ({
        ...instance,
        config: renamed(instance.config, called),
      })),
      ...created.instances,
    ],
  };
  const weight = weightOf(group);
  return {
    ...group,
    instances: group.instances.map((one) => ({
      ...one,
      priority: effectivePriority(one.config.priority, weight, group.maintenance),
    })),
  };
}

function renamed(config: VrrpInstance, name: string): VrrpInstance {
  return config.name === name ? config : { ...config, name };
}

/** One that hands over and one that does not are one that does not: who wants it otherwise says so again. */
function phaseOf(
  donors: readonly GroupState[],
  continuing: readonly Continuing[],
  fresh: readonly GroupMember[],
): GroupPhase {
  const [first] = donors;
  if (first === undefined) return 'stopped';
  if (donors.some(({ phase }) => phase !== first.phase)) return 'running';
  if (first.phase !== 'handing-over') return first.phase;
  const hasMaster = continuing.some(({ instance }) => instance.state === 'master');
  return hasMaster && fresh.length === 0 ? 'handing-over' : 'running';
}
