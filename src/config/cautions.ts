/** What a good configuration had better not say: told as warnings, with the place in the file. */
import { formatDuration } from './duration.js';
import { type DirectorConfig, OWNER_PRIORITY, type VrrpInstance } from './model.js';

export interface Caution {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** In the order of the file's parts. */
export function cautions(config: DirectorConfig): readonly Caution[] {
  return [...emptyTables(config), ...slowMembers(config), ...homelessServers(config)];
}

/** A slip in an address is told nowhere else: a virtual server may be meant to be reached by a route. One line for all. */
function homelessServers({ instances, virtualServers }: DirectorConfig): readonly Caution[] {
  if (instances.length === 0) return [];
  const held = new Set(instances.flatMap(({ addresses }) => addresses.map(({ address }) => address)));
  const homeless = virtualServers.flatMap(({ name, service }) =>
    'fwmark' in service || held.has(service.address) ? [] : { name, address: service.address },
  );
  const [first] = homeless;
  if (first === undefined) return [];
  const names = [...new Set(virtualServers.map(({ name }) => name))];
  const others = new Set(homeless.map(({ address }) => address)).size - 1;
  return [
    {
      path: ['virtual_servers', names.indexOf(first.name)],
      message:
        `no instance has the address ${first.address}${others === 0 ? '' : ` (and ${others} more)`}: it moves with no ` +
        'role, and packets to it have to be routed to the director that is to have them',
    },
  ];
}

/** A sync group takes over when all its instances want to. */
function slowMembers({ instances, syncGroups }: DirectorConfig): readonly Caution[] {
  return syncGroups.flatMap((group) => {
    const members = instances.filter(({ name }) => group.instances.includes(name));
    const fast = members.find(({ bfd }) => bfd !== undefined);
    if (fast === undefined) return [];
    return members.flatMap((one) => {
      if (one.bfd !== undefined) return [];
      return {
        path: ['vrrp', 'instances', instances.indexOf(one)],
        message:
          `the sync group ${group.name} waits for all its instances: ${one.name} has no bfd and waits until ` +
          `advertisements are missed, however soon ${fast.name} knows`,
      };
    });
  });
}

function emptyTables({ connectionSync, peerChannel, instances }: DirectorConfig): readonly Caution[] {
  return instances.flatMap((instance, position) => {
    const isSynced = connectionSync !== undefined;
    const message = preemptCaution(instance, { isSynced, isCompared: isSynced && peerChannel !== undefined });
    return message === undefined ? [] : { path: ['vrrp', 'instances', position, 'preempt'], message };
  });
}

function preemptCaution(
  { name, preempt, priority }: VrrpInstance,
  { isSynced, isCompared }: { readonly isSynced: boolean; readonly isCompared: boolean },
): string | undefined {
  // The address owner's preemption is not a matter of choice.
  if (preempt.mode === 'never' || priority === OWNER_PRIORITY) return undefined;
  if (preempt.mode === 'synced') {
    if (isCompared) return undefined;
    const lacks = isSynced ? 'peer_channel' : 'connection_sync';
    return (
      `without ${lacks} no connection table becomes complete: ${name} takes the role back after ` +
      `${formatDuration(preempt.atMostMs)}, whatever is lost; configure ${lacks}, or leave 'after: synced' out`
    );
  }
  if (!isSynced) return undefined;
  const when = preempt.delayMs === 0 ? 'at once' : 'after the delay';
  return (
    `a director that returns from a reboot has an empty connection table, and ${name} takes the role back ${when}: ` +
    "connections that were quiet meanwhile are lost; 'preempt: false' keeps them"
  );
}
