/** Whether the pair is in the state from which a scenario may start. Pure. */
import type { DirectorStatus, InstanceStatus } from '../../runtime/status.js';

export type Statuses = ReadonlyMap<string, DirectorStatus | undefined>;

/** The state that all instances of a director are in, undefined while they differ or it does not answer. */
export function roleOf(status: DirectorStatus | undefined): InstanceStatus['state'] | undefined {
  const [first, ...rest] = status?.instances ?? [];
  return first !== undefined && rest.every((other) => other.state === first.state) ? first.state : undefined;
}

function rolesText(status: DirectorStatus): string {
  return status.instances.map((instance) => `${instance.name} ${instance.state}`).join(', ');
}

/** What a director lacks: its role, its real servers, its sync daemons. */
function lackingOf(name: string, status: DirectorStatus | undefined): string[] {
  if (status === undefined) {
    return [`${name} does not answer yet`];
  }
  const role = roleOf(status);
  const lacking = role === 'master' || role === 'backup' ? [] : [`${name}: ${rolesText(status)}`];
  for (const server of status.virtual_servers) {
    for (const real of server.real_servers) {
      if (real.health === 'down' || real.health === 'unknown') {
        const why = real.reason === null ? '' : ` (${real.reason})`;
        lacking.push(`${name}: real server ${real.address}:${real.port} is ${real.health}${why}`);
      }
    }
  }
  if (status.connection_sync !== null && status.connection_sync.daemons.length < 2) {
    lacking.push(`${name}: sync daemons: ${status.connection_sync.daemons.join(', ') || 'none'}`);
  }
  return lacking;
}

/**
 * Ready is one master, one backup, every real server up on both, and, where it preempts, the role with the director of the higher
 * priority. Returns what is lacking otherwise.
 */
export function lackingForPair(statuses: Statuses, preempts: boolean): string | undefined {
  const lacking = [...statuses].flatMap(([name, status]) => lackingOf(name, status));
  if (lacking.length === 0) {
    const masters = [...statuses.values()].filter((status) => roleOf(status) === 'master');
    const priority = masters[0] === undefined ? 0 : timersOf(masters[0]).priority;
    if (masters.length !== 1) {
      lacking.push(`${masters.length} masters`);
    }
    for (const [name, status] of statuses) {
      if (preempts && status !== undefined && timersOf(status).priority > priority)
        lacking.push(`${name} has not taken its role back`);
    }
  }
  return lacking.length === 0 ? undefined : lacking.join('; ');
}

/** What is lacking until `health` is what every director says of a real server, which has one address or more. */
export function lackingForHealth(
  statuses: Statuses,
  addresses: readonly string[],
  health: 'up' | 'down',
): string | undefined {
  for (const [name, status] of statuses) {
    if (status === undefined) {
      return `${name} does not answer`;
    }
    for (const server of status.virtual_servers) {
      for (const real of server.real_servers) {
        if (addresses.includes(real.address) && real.health !== 'unchecked' && real.health !== health) {
          return `${name}: ${real.address}:${real.port} is ${real.health}`;
        }
      }
    }
  }
  return undefined;
}

/** Virtual addresses of a director without their prefix lengths. */
export function virtualAddresses(status: DirectorStatus): string[] {
  return status.instances.flatMap((instance) =>
    instance.addresses.map((address) => address.split('/')[0] ?? address),
  );
}

/** Advertisement interval and priority that decide how long a failover may take: the slowest instance's. */
export function timersOf(status: Pick<DirectorStatus, 'instances'>): {
  readonly intervalMs: number;
  readonly priority: number;
} {
  return {
    intervalMs: Math.max(...status.instances.map((instance) => instance.advertisement_interval_ms)),
    priority: Math.min(...status.instances.map((instance) => instance.priority)),
  };
}
