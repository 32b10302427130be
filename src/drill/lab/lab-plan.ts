/** What `ip -batch` and `sysctl` are told to build a topology. Pure: process ids in, lines out. */
import type { Cable, Host, Topology } from './topology.js';

/** Name of the namespace that holds the switches. */
export const SWITCHES = 'switches';

/** IFNAMSIZ less the terminating zero. */
const MAX_INTERFACE_NAME = 15;

/** The switch's end of a cable. Throws RangeError when the kernel could not take the name. */
export function switchPort(host: Host, cable: Cable): string {
  const name = `${host.name}-${cable.network}`;
  if (name.length > MAX_INTERFACE_NAME) {
    throw new RangeError(`'${name}' is too long for an interface name`);
  }
  return name;
}

/**
 * Lines for the switches' namespace: one bridge a network, one veth pair a cable.
 * Pairs are made there and not in the caller's namespace, which may have an `eth0` of its own.
 */
export function switchBatch(topology: Topology, pidOf: (host: string) => number): string[] {
  const lines = ['link set lo up'];
  for (const network of topology.networks) {
    lines.push(`link add ${network} type bridge stp_state 0 mcast_snooping 0`, `link set ${network} up`);
  }
  for (const host of topology.hosts) {
    for (const cable of host.cables) {
      const port = switchPort(host, cable);
      lines.push(
        `link add ${port} type veth peer name ${cable.interface} netns ${pidOf(host.name)}`,
        `link set ${port} master ${cable.network} up`,
      );
    }
  }
  return lines;
}

/** Lines for a host's own namespace. */
export function hostBatch(host: Host): string[] {
  const lines = ['link set lo up'];
  for (const cable of host.cables) {
    lines.push(`addr add ${cable.address} brd + dev ${cable.interface}`);
    if (cable.ipv6 !== undefined) {
      // Nobody else has it: it need not wait for duplicate address detection.
      lines.push(`addr add ${cable.ipv6} dev ${cable.interface} nodad`);
    }
    lines.push(`link set ${cable.interface} up`);
  }
  for (const extra of host.extraAddresses ?? []) {
    lines.push(`link set ${extra.interface} up`, `addr add ${extra.address} dev ${extra.interface}`);
  }
  for (const gateway of [host.gateway, host.ipv6Gateway]) {
    if (gateway !== undefined) {
      lines.push(`route add default via ${gateway}`);
    }
  }
  return lines;
}

/** Arguments of `sysctl -w` for a host; empty when it needs none. */
export function hostSysctls(host: Host): string[] {
  return Object.entries(host.sysctls ?? {}).map(([key, value]) => `${key}=${value}`);
}

/**
 * Lines that pull or plug all cables of a host, for the switches' namespace. No carrier falls before every switch has
 * let go: who sees one cable go could say farewell over the next, which a host without power does not.
 */
export function cableBatch(host: Host, state: 'up' | 'down'): string[] {
  const set = (end: (cable: Cable) => string): string[] =>
    host.cables.map((cable) => `link set ${switchPort(host, cable)} ${end(cable)}`);
  return state === 'up'
    ? set((cable) => `master ${cable.network} up`)
    : [...set(() => 'nomaster'), ...set(() => 'down')];
}

/** Whether a host of this topology needs the ipip tunnel interface. */
export function needsTunnel(topology: Topology): boolean {
  return topology.hosts.some((host) => host.extraAddresses?.some((extra) => extra.interface === 'tunl0'));
}
