/** What weighs on a group's election beside the configuration: tracked objects, maintenance, and reasons for fault. */
import { OWNER_PRIORITY, type TrackUse, type VrrpInstance } from '../config/model.js';
import type { GroupState, InstanceState, TrackedVerdict } from './group-types.js';

/** RFC 9568 section 5.2.4: 255 is the address owner's alone, 0 a farewell. */
const MAX_PRIORITY = 254;
const MIN_PRIORITY = 1;

/** Whether the configuration makes this director the owner of the instance's addresses. */
export function isOwner({ config, priority }: InstanceState): boolean {
  return config.priority === OWNER_PRIORITY && priority === OWNER_PRIORITY;
}

/**
 * The sum of the weights that apply: a negative one while its object is down, a positive one while it is up, a
 * file's times the number in it. 0 for objects without a verdict.
 */
export function weightOf(group: Pick<GroupState, 'track' | 'verdicts'>): number {
  let sum = 0;
  for (const [index, { weight }] of group.track.entries()) {
    const verdict = group.verdicts[index];
    if (weight === undefined || verdict === undefined) continue;
    if (verdict.value !== undefined) sum += weight * verdict.value;
    else if (verdict.state === (weight < 0 ? 'down' : 'up')) sum += weight;
  }
  return Number.isNaN(sum) ? 0 : sum;
}

/** The priority to be advertised, 1 to 255. Weights leave an owner alone, maintenance does not. */
export function effectivePriority(configured: number, weight: number, maintenance: boolean): number {
  if (maintenance) return MIN_PRIORITY;
  if (configured === OWNER_PRIORITY) return OWNER_PRIORITY;
  return Math.min(MAX_PRIORITY, Math.max(MIN_PRIORITY, Math.round(configured + weight)));
}

/** Verdicts for `track`: what is known is kept, the rest is unknown. */
export function verdictsFor(
  track: readonly TrackUse[],
  known: readonly TrackedVerdict[],
  lenient: boolean,
): readonly TrackedVerdict[] {
  return track.map(
    ({ object }) =>
      known.find((verdict) => verdict.object === object) ?? {
        object,
        state: 'unknown',
        value: undefined,
        lenient,
      },
  );
}

/** Interfaces whose links an instance needs, for a sentence. */
export function linksOf({ interface: own, addresses }: VrrpInstance, word: 'or' | 'and'): string {
  return [...new Set([own, ...addresses.map((address) => address.interface)])].join(` ${word} `);
}

/** Why the group cannot speak at all: neither serve nor take part in a hand-over. */
export function networkFaults(members: readonly InstanceState[]): string[] {
  const faults = members.flatMap(({ config, linkUp, linkFault, hasSource, sourceFault }) => [
    ...(linkUp ? [] : [linkFault ?? `link of ${linksOf(config, 'or')} is down`]),
    ...(hasSource ? [] : [sourceFault ?? `${config.interface} has no address to speak from`]),
  ]);
  // A missing interface is both.
  return [...new Set(faults)];
}

/** Every reason why the group must be in fault; none when it can serve. */
export function faultsOf(group: GroupState, members: readonly InstanceState[]): readonly string[] {
  const faults = networkFaults(members);
  if (group.refused !== undefined) faults.push(`an address of ${group.refused} was refused`);
  for (const [index, { object, weight }] of group.track.entries()) {
    const verdict = group.verdicts[index];
    if (weight !== undefined || verdict === undefined) continue;
    if (verdict.state === 'down') faults.push(`${object} is down`);
    else if (verdict.state === 'unknown' && !verdict.lenient) faults.push(`${object} is not known yet`);
  }
  return faults;
}
