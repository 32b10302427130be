/** Unsolicited Neighbour Advertisement (RFC 4861 section 7.2.6): the gratuitous ARP of IPv6. */

const HARDWARE_LENGTH = 6;
const ADDRESS_LENGTH = 16;

const ETHERNET_HEADER = 14;
const IPV6_HEADER = 40;
/** Type, code, checksum, flags, target: RFC 4861 section 4.4. */
const ADVERTISEMENT_LENGTH = 24;
/** Type, length, link-layer address: RFC 4861 section 4.6.1. */
const OPTION_LENGTH = 8;
const PAYLOAD_LENGTH = ADVERTISEMENT_LENGTH + OPTION_LENGTH;
const FRAME_LENGTH = ETHERNET_HEADER + IPV6_HEADER + PAYLOAD_LENGTH;

export const ETHERTYPE_IPV6 = 0x86dd;
/** IPv6 next header value of ICMPv6. */
const ICMPV6 = 58;
/** RFC 4861 section 7.1.2: receivers discard any other. */
const HOP_LIMIT = 255;
/** Version 6, traffic class CS6 (network control), flow label 0. */
const VERSION_AND_CLASS = 0x6c000000;
const TYPE_NEIGHBOUR_ADVERTISEMENT = 136;
/**
 * R, for a virtual router is one (RFC 9568 section 6.4.2), not S, because nobody asked, and O, so that caches
 * with the old master's address take the new one.
 */
const FLAGS_ROUTER_OVERRIDE = 0xa0;
const OPTION_TARGET_LINK_LAYER = 2;
/** In units of eight bytes. */
const OPTION_UNITS = 1;

/** ff02::1, all nodes of the link. */
const ALL_NODES = Uint8Array.of(0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x01);
/** The Ethernet address of that group (RFC 2464 section 7). */
const ALL_NODES_HARDWARE = Uint8Array.of(0x33, 0x33, 0, 0, 0, 0x01);

/**
 * One Ethernet frame that tells a segment who has an IPv6 address now, sent from that address to all nodes.
 *
 * @param hardwareAddress six bytes: the address of the interface that sends
 * @param address sixteen bytes in network order: the virtual address
 * @throws {RangeError} when a length is not that
 */
export function unsolicitedNeighbourAdvertisement(
  hardwareAddress: Uint8Array,
  address: Uint8Array,
): Uint8Array {
  if (hardwareAddress.length !== HARDWARE_LENGTH) {
    throw new RangeError(`a hardware address has ${HARDWARE_LENGTH} bytes, not ${hardwareAddress.length}`);
  }
  if (address.length !== ADDRESS_LENGTH) {
    throw new RangeError(`an IPv6 address has ${ADDRESS_LENGTH} bytes, not ${address.length}`);
  }
  const frame = new Uint8Array(FRAME_LENGTH);
  const view = new DataView(frame.buffer);
  frame.set(ALL_NODES_HARDWARE, 0);
  frame.set(hardwareAddress, HARDWARE_LENGTH);
  view.setUint16(12, ETHERTYPE_IPV6);

  const ip = ETHERNET_HEADER;
  view.setUint32(ip, VERSION_AND_CLASS);
  view.setUint16(ip + 4, PAYLOAD_LENGTH);
  view.setUint8(ip + 6, ICMPV6);
  view.setUint8(ip + 7, HOP_LIMIT);
  frame.set(address, ip + 8);
  frame.set(ALL_NODES, ip + 24);

  const icmp = ip + IPV6_HEADER;
  view.setUint8(icmp, TYPE_NEIGHBOUR_ADVERTISEMENT);
  view.setUint8(icmp + 4, FLAGS_ROUTER_OVERRIDE);
  frame.set(address, icmp + 8);
  const option = icmp + ADVERTISEMENT_LENGTH;
  view.setUint8(option, OPTION_TARGET_LINK_LAYER);
  view.setUint8(option + 1, OPTION_UNITS);
  frame.set(hardwareAddress, option + 2);
  view.setUint16(icmp + 2, icmpChecksum(view));
  return frame;
}

/** RFC 4443 section 2.3: over the pseudo-header (both addresses, length, next header) and the message, its own field zero. */
function icmpChecksum(frame: DataView): number {
  let sum = PAYLOAD_LENGTH + ICMPV6;
  for (let at = ETHERNET_HEADER + 8; at < FRAME_LENGTH; at += 2) sum += frame.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
