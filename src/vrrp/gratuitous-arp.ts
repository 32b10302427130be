/** Gratuitous ARP in the announcement form of RFC 5227 section 2.3: a broadcast request for one's own address. */

const HARDWARE_LENGTH = 6;
const PROTOCOL_LENGTH = 4;
const ETHERNET_HEADER = 14;
const ARP_LENGTH = 28;
/** Shortest Ethernet frame without its checksum; the rest is zero. */
const FRAME_LENGTH = 60;

export const ETHERTYPE_ARP = 0x0806;
const ETHERTYPE_IPV4 = 0x0800;
/** ar$hrd, RFC 826. */
const HARDWARE_ETHERNET = 1;
/** ar$op, RFC 826: an announcement is a request, because some hosts ignore replies nobody asked for. */
const OPERATION_REQUEST = 1;

/**
 * One Ethernet frame that tells a segment who has an IPv4 address now.
 *
 * @param hardwareAddress six bytes: the address of the interface that sends
 * @param address four bytes in network order: the virtual address
 * @throws {RangeError} when a length is not that
 */
export function gratuitousArp(hardwareAddress: Uint8Array, address: Uint8Array): Uint8Array {
  if (hardwareAddress.length !== HARDWARE_LENGTH) {
    throw new RangeError(`a hardware address has ${HARDWARE_LENGTH} bytes, not ${hardwareAddress.length}`);
  }
  if (address.length !== PROTOCOL_LENGTH) {
    throw new RangeError(`an IPv4 address has ${PROTOCOL_LENGTH} bytes, not ${address.length}`);
  }
  const frame = new Uint8Array(FRAME_LENGTH);
  const view = new DataView(frame.buffer);
  frame.fill(0xff, 0, HARDWARE_LENGTH);
  frame.set(hardwareAddress, HARDWARE_LENGTH);
  view.setUint16(12, ETHERTYPE_ARP);

  const arp = ETHERNET_HEADER;
  view.setUint16(arp, HARDWARE_ETHERNET);
  view.setUint16(arp + 2, ETHERTYPE_IPV4);
  view.setUint8(arp + 4, HARDWARE_LENGTH);
  view.setUint8(arp + 5, PROTOCOL_LENGTH);
  view.setUint16(arp + 6, OPERATION_REQUEST);
  frame.set(hardwareAddress, arp + 8);
  frame.set(address, arp + 14);
  // The target hardware address stays zero: RFC 5227 section 2.3 by way of section 2.1.1.
  frame.set(address, arp + ARP_LENGTH - PROTOCOL_LENGTH);
  return frame;
}
