/** Which pairs of our director and another implementation, or another of ours, are tried. */

export const PEERS = ['ours', 'keepalived', 'frr'] as const;
export type PeerName = (typeof PEERS)[number];

/** Whose addresses have the virtual router's MAC address (RFC 9568 section 7.3). */
export type VirtualMacSide = 'none' | 'both' | 'ours' | 'peer';

export interface InteropCase {
  readonly peer: PeerName;
  readonly version: 2 | 3;
  readonly family: 'ipv4' | 'ipv6';
  readonly transport: 'multicast' | 'unicast';
  readonly virtualMac: VirtualMacSide;
  readonly intervalMs: number;
}

type Kind = Pick<InteropCase, 'version' | 'family' | 'transport'>;

/** VRRPv2 counts whole seconds. */
function intervals({ version }: Kind): readonly number[] {
  return version === 2 ? [1000] : [1000, 100, 10];
}

function casesOf(peer: PeerName, kinds: readonly Kind[], ...sides: readonly VirtualMacSide[]): InteropCase[] {
  return sides.flatMap((virtualMac) =>
    kinds.flatMap((kind) => intervals(kind).map((intervalMs) => ({ peer, ...kind, virtualMac, intervalMs }))),
  );
}

const MULTICAST: readonly Kind[] = [
  { version: 2, family: 'ipv4', transport: 'multicast' },
  { version: 3, family: 'ipv4', transport: 'multicast' },
  { version: 3, family: 'ipv6', transport: 'multicast' },
];
const UNICAST: readonly Kind[] = MULTICAST.map((kind) => ({ ...kind, transport: 'unicast' }));

/** FRR's vrrpd has no unicast, and always a virtual MAC address. */
export const CASES: readonly InteropCase[] = [
  ...casesOf('ours', MULTICAST, 'none', 'both', 'ours', 'peer'),
  ...casesOf('keepalived', [...MULTICAST, ...UNICAST], 'none'),
  ...casesOf('keepalived', MULTICAST, 'both', 'ours', 'peer'),
  ...casesOf('frr', MULTICAST, 'both', 'peer'),
];

const SIDES: Readonly<Record<VirtualMacSide, string>> = {
  none: '',
  both: ', virtual MAC on both sides',
  ours: ', virtual MAC on our side',
  peer: ", virtual MAC on the peer's side",
};

export function caseName({ peer, version, family, transport, virtualMac, intervalMs }: InteropCase): string {
  const interval = intervalMs >= 1000 ? `${intervalMs / 1000} s` : `${intervalMs} ms`;
  const protocol = `VRRPv${version} ${family === 'ipv4' ? 'IPv4' : 'IPv6'}`;
  return `${peer} ${protocol} ${transport}${SIDES[virtualMac]} ${interval}`;
}

/** Whether the addresses have a MAC address of their own while that side is master. */
export function isVirtual({ virtualMac }: Pick<InteropCase, 'virtualMac'>, side: 'ours' | 'peer'): boolean {
  return virtualMac === 'both' || virtualMac === side;
}
