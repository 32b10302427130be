/** How instances form groups: those of a sync group together, every other one alone. Pure. */
import type { DirectorConfig, VrrpInstance } from '../config/model.js';

export interface GroupPlan {
  readonly name: string;
  readonly instances: readonly VrrpInstance[];
}

export function planGroups(config: DirectorConfig): readonly GroupPlan[] {
  const grouped = new Set(config.syncGroups.flatMap((group) => group.instances));
  const groups = config.syncGroups.map((group) => ({
    name: group.name,
    instances: config.instances.filter((instance) => group.instances.includes(instance.name)),
  }));
  const alone = config.instances
    .filter((instance) => !grouped.has(instance.name))
    .map((instance) => ({ name: instance.name, instances: [instance] }));
  return [...groups, ...alone];
}

/** Two plans run as the same machine when only settings differ that a running master can take over. */
export function sameMachine(a: GroupPlan, b: GroupPlan): boolean {
  const identity = (plan: GroupPlan) =>
    plan.instances.map((i) => `${i.name} ${i.interface} ${i.virtualRouterId}`).join('\n');
  return a.name === b.name && identity(a) === identity(b);
}
