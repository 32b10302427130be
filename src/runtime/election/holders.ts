/** Who holds addresses, and who may be next: what the guardian and the takeovers go by. */
import type { VirtualAddress } from '../../config/model.js';
import { addressDifference } from '../../vrrp/address-difference.js';
import type { GuardedInstance } from '../guardian/guardian-keeper.js';
import type { Log } from '../ports.js';
import type { BfdSessions } from './bfd/bfd-sessions.js';
import type { Channels } from './channels.js';
import type { GroupRunner } from './group-runner.js';
import type { GroupSet } from './group-set.js';
import type { Candidate } from './takeover-keeper.js';

export function guardedInstances(
  groups: GroupSet,
  channels: Channels,
  bfd: Pick<BfdSessions, 'watchedMs'>,
): readonly GuardedInstance[] {
  return groups.instances().map(({ state, runner }) => ({
    config: state.config,
    source: state.source,
    destinations: channels.transport(state.config.name)?.destinations ?? [],
    group: runner,
    holds: runner.holds(state),
    leaving: runner.changes.leaving(state.config),
    watchedMs: bfd.watchedMs(state.config.name),
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

/** Whether another group is master with this very address: it moves between instances in a reload. */
export function isHeldElsewhere(address: VirtualAddress, groups: GroupSet, except: GroupRunner): boolean {
  return groups
    .instances()
    .some(
      ({ state, runner }) =>
        runner !== except &&
        state.state === 'master' &&
        addressDifference(state.config.addresses, [address]).added.length === 0,
    );
}

/** Another host answers for an address of ours: whoever was master with it must not be. */
export function refuseDuplicate(
  { address, interface: device }: { address: string; interface: string },
  groups: GroupSet,
  log: Log,
): void {
  for (const { state, runner } of groups.instances()) {
    const { name, addresses } = state.config;
    const held = addresses.some((a) => a.address === address && a.interface === device);
    if (!held || state.state !== 'master') continue;
    log.error(
      { event: 'addresses', action: 'duplicate', instance: name, address },
      `${name}: another host holds ${address} (duplicate address detection failed)`,
    );
    runner.input({ type: 'address-failed', instance: name });
  }
}
