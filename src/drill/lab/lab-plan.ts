/** What `ip -batch` and `sysctl` are told to build a topology. Pure: process ids in, lines out. */
import type { Cable, Host, Topology } from './topology.js';

/** Name of the namespace that holds the switches. */
export const SWITCHES = 'switches';

/** IFNAMSIZ less the terminating zero. */
const MAX_INTERFACE_NAME = 15;

/** The switch's end of a cable. Throws RangeError when the kernel could not take the name. */
export function switchPort(host: Host, cable: Cable): string {
  const name = `${host.label ?? host.name}-${cable.network}`;
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
  return [...lines, ...topology.hosts.flatMap((host) => plugBatch(host, pidOf(host.name)))];
}

/** Lines for the switches' namespace that give a host its cables; `pid` holds the host's namespace. */
export function plugBatch(host: Host, pid: number): string[] {
  return host.cables.flatMap((cable) => {
    const port = switchPort(host, cable);
    return [
      `link add ${port} type veth peer name ${cable.interface} netns ${pid}`,
      `link set ${port} master ${cable.network} up`,
    ];
  });
}

/** Lines for the switches' namespace that take a host's cables away for good, both ends of them. */
export function unplugBatch(host: Host): string[] {
  return host.cables.map((cable) => `link del ${switchPort(host, cable)}`);
}

/** Lines for the switches' namespace: whether hosts hear each other; everybody else hears all of them all the time. */
export function isolationBatch(hosts: readonly Host[], isolated: boolean): string[] {
  const ports = hosts.flatMap((host) => host.cables.map((cable) => switchPort(host, cable)));
  return ports.map((port) => `link set ${port} type bridge_slave isolated ${isolated ? 'on' : 'off'}`);
}

/** Destination port of the kernel's sync daemons (IP_VS_SYNC_PORT). */
const SYNC_PORT = 8848;

/** What is lost of what a host sends: everything, or so many of a hundred datagrams of connection synchronisation. */
export type Loss = 'all' | { readonly syncPercent: number };

/** Name of the table with the lab's losses. */
const LOSS_TABLE = 'netdev lab_losses';

/**
 * Ruleset for `nft -f` in the switches' namespace: what hosts send is lost at the switch. Without hosts nothing is lost any more, but a
 * chain stays, from before the first packet on (drill/vm/guest-scripts.ts says why).
 */
export function lossRules(hosts: readonly Host[], loss: Loss): string {
  const rule =
    loss === 'all' ? 'drop' : `udp dport ${SYNC_PORT} numgen random mod 100 < ${loss.syncPercent} drop`;
  const chains = hosts
    .flatMap((host) => host.cables.map((cable) => switchPort(host, cable)))
    .map(
      (port) =>
        `  chain ${port} {\n    type filter hook ingress device "${port}" priority 0\n    ${rule}\n  }`,
    );
  const stays = '  chain stays {\n    type filter hook ingress device "lo" priority 0\n  }';
  const table = `table ${LOSS_TABLE} {\n${[stays, ...chains].join('\n')}\n}`;
  return `table ${LOSS_TABLE}\ndelete table ${LOSS_TABLE}\n${table}\n`;
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
