/** From where to where the packets of a channel go. */

import type { VrrpChannel } from '../../runtime/ports.js';
import type { AddressFamily } from '../../util/ip-address.js';
import { VRRP_MULTICAST_IPV4, VRRP_MULTICAST_IPV6, VRRP_TTL } from '../../vrrp/packet.js';
import { assertHeld, primaryAddress } from '../host/interface-address.js';

/** A channel with its addresses: what every transport needs to know. */
export interface VrrpRoute {
  readonly interface: string;
  /** The device that multicasts leave by. */
  readonly sendInterface: string;
  readonly family: AddressFamily;
  readonly source: string;
  /** The VRRP group of the family; undefined: unicast to `peers`. */
  readonly group: string | undefined;
  readonly peers: readonly string[];
  readonly minTtl: number;
}

/**
 * Finds the addresses of a channel.
 *
 * @throws {NoInterfaceAddressError} when there is no address to speak from
 */
export function routeOf(channel: VrrpChannel, avoid: readonly string[]): VrrpRoute {
  const { interface: interfaceName, family, transport } = channel;
  const peers = transport.kind === 'multicast' ? [] : transport.peers;
  const local = transport.kind === 'multicast' ? undefined : transport.local;
  if (local !== undefined) assertHeld(interfaceName, family, local);
  const group = family === 'ipv6' ? VRRP_MULTICAST_IPV6 : VRRP_MULTICAST_IPV4;
  const unicast = transport.kind === 'unicast' || peers.length > 0;
  return {
    interface: interfaceName,
    sendInterface: channel.virtualMacInterface ?? interfaceName,
    family,
    source: local ?? primaryAddress(interfaceName, family, avoid),
    group: unicast ? undefined : group,
    peers,
    minTtl: transport.kind === 'unicast' ? transport.minTtl : VRRP_TTL,
  };
}
