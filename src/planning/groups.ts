/** How instances form groups: those of a sync group together, every other one alone. Pure. */
import type { DirectorConfig, SyncGroup, TrackUse, VrrpInstance } from '../config/model.js';

export interface Group<Instance> {
  readonly name: string;
  readonly instances: readonly Instance[];
}
export interface GroupPlan extends Group<VrrpInstance> {
  /** What the group and its members track: each object weighs once on the whole group. */
  readonly track: readonly TrackUse[];
}

export function planGroups(config: Pick<DirectorConfig, 'instances' | 'syncGroups'>): readonly GroupPlan[] {
  return groupsOf(config.instances, config.syncGroups).map((group) => {
    const own = config.syncGroups.find(({ name }) => name === group.name)?.track ?? [];
    return { ...group, track: unite([...own, ...group.instances.flatMap(({ track }) => track)]) };
  });
}

/** One use of each object: the strictest, which is a fault, then the greatest weight. */
function unite(uses: readonly TrackUse[]): readonly TrackUse[] {
  const strictness = ({ weight }: TrackUse) =>
    weight === undefined ? Number.POSITIVE_INFINITY : Math.abs(weight);
  const chosen = new Map<string, TrackUse>();
  for (const use of uses) {
    const other = chosen.get(use.object);
    if (other === undefined || strictness(use) > strictness(other)) chosen.set(use.object, use);
  }
  return [...chosen.values()];
}

/** The groups of any kind of instances, in the order of the instances within each. */
export function groupsOf<Instance extends { readonly name: string }>(
  instances: readonly Instance[],
  syncGroups: readonly Pick<SyncGroup, 'name' | 'instances'>[],
): readonly Group<Instance>[] {
  const grouped = new Set(syncGroups.flatMap((group) => group.instances));
  const groups = syncGroups.map((group) => ({
    name: group.name,
    instances: instances.filter((instance) => group.instances.includes(instance.name)),
  }));
  const alone = instances
    .filter((instance) => !grouped.has(instance.name))
    .map((instance) => ({ name: instance.name, instances: [instance] }));
  return [...groups, ...alone];
}
