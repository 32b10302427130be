/** Which pairs of our director and another implementation are tried. */

export const PEERS = ['keepalived', 'frr'] as const;
export type PeerName = (typeof PEERS)[number];

export interface InteropCase {
  readonly peer: PeerName;
  readonly version: 2 | 3;
  readonly family: 'ipv4' | 'ipv6';
  readonly transport: 'multicast' | 'unicast';
  readonly intervalMs: number;
}

type Kind = Pick<InteropCase, 'version' | 'family' | 'transport'>;

/** VRRPv2 counts whole seconds. */
function intervals({ version }: Kind): readonly number[] {
  return version === 2 ? [1000] : [1000, 100, 10];
}

function casesOf(peer: PeerName, kinds: readonly Kind[]): InteropCase[] {
  return kinds.flatMap((kind) => intervals(kind).map((intervalMs) => ({ peer, ...kind, intervalMs })));
}

const MULTICAST: readonly Kind[] = [
  { version: 2, family: 'ipv4', transport: 'multicast' },
  { version: 3, family: 'ipv4', transport: 'multicast' },
  { version: 3, family: 'ipv6', transport: 'multicast' },
];

/** FRR's vrrpd has no unicast. */
export const CASES: readonly InteropCase[] = [
  ...casesOf('keepalived', [
    ...MULTICAST,
    { version: 2, family: 'ipv4', transport: 'unicast' },
    { version: 3, family: 'ipv4', transport: 'unicast' },
    { version: 3, family: 'ipv6', transport: 'unicast' },
  ]),
  ...casesOf('frr', MULTICAST),
];

export function caseName({ peer, version, family, transport, intervalMs }: InteropCase): string {
  const interval = intervalMs >= 1000 ? `${intervalMs / 1000} s` : `${intervalMs} ms`;
  return `${peer} VRRPv${version} ${family === 'ipv4' ? 'IPv4' : 'IPv6'} ${transport} ${interval}`;
}
