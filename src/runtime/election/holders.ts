/** Who holds addresses, and who may be next: what the guardian and the takeovers go by. */
import type { GuardedInstance } from '../guardian/guardian-keeper.js';
import type { Channels } from './channels.js';
import type { GroupSet } from './group-set.js';
import type { Candidate } from './takeover-keeper.js';

export function guardedInstances(groups: GroupSet, channels: Channels): readonly GuardedInstance[] {
  return groups.instances().map(({ state, runner }) => ({
    config: state.config,
    source: state.source,
    destinations: channels.transport(state.config.name)?.destinations ?? [],
    group: runner,
    holds: runner.holds(state),
  }));
}

/** Of the groups that hold nothing. */
export function takeoverCandidates(
  groups: GroupSet,
  channels: Channels,
): ReadonlyMap<object, readonly Candidate[]> {
  const idle = groups.all.filter(({ runner }) => !runner.state.instances.some((one) => runner.holds(one)));
  return new Map(
    idle.map(({ runner }) => [
      runner,
      runner.state.instances.map(({ config, priority }) => ({
        config,
        priority,
        // What waits for its source is not taken over in one go.
        transport: channels.isAwaitingSource(config.name) ? undefined : channels.transport(config.name),
      })),
    ]),
  );
}
