/** The IPv4 header that a raw socket delivers in front of the payload (RFC 791 section 3.1). */

const MIN_HEADER = 20;

/** The payload of an IPv4 packet, a view of its bytes; undefined when header or lengths are not sound. */
export function ipv4Payload(packet: Uint8Array): Uint8Array | undefined {
  if (packet.length < MIN_HEADER) return undefined;
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const first = view.getUint8(0);
  const headerLength = (first & 0x0f) * 4;
  const totalLength = view.getUint16(2);
  if (first >> 4 !== 4 || headerLength < MIN_HEADER) return undefined;
  if (totalLength < headerLength || totalLength > packet.length) return undefined;
  return packet.subarray(headerLength, totalLength);
}
