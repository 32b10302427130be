/** Echo of ICMP (RFC 792) and ICMPv6 (RFC 4443 section 4). */
import type { AddressFamily } from '../util/ip-address.js';

export const ICMP = 1;
export const ICMPV6 = 58;
/** First byte of a message. */
const ECHO_REQUEST = { ipv4: 8, ipv6: 128 } as const;
export const ECHO_REPLY = { ipv4: 0, ipv6: 129 } as const;
const HEADER = 8;
const CHECKSUM_AT = 2;
export const IDENTIFIER_AT = 4;
const SEQUENCE_AT = 6;
/** Without options, which an answer has only where the question had them. */
export const IPV4_HEADER = 20;
const VERSION_4_HEADER_20 = 0x45;

export interface Echo {
  /** 0 to 65535, as the next. */
  readonly identifier: number;
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** The message behind the IP header. Under IPv6 the kernel adds the checksum. */
export function encodeEchoRequest(
  family: AddressFamily,
  { identifier, sequence, payload }: Echo,
): Uint8Array {
  const message = new Uint8Array(HEADER + payload.length);
  const view = new DataView(message.buffer);
  view.setUint8(0, ECHO_REQUEST[family]);
  view.setUint16(IDENTIFIER_AT, identifier);
  view.setUint16(SEQUENCE_AT, sequence);
  message.set(payload, HEADER);
  if (family === 'ipv4') view.setUint16(CHECKSUM_AT, internetChecksum(message));
  return message;
}

/** As a raw socket has it: under IPv4 with the IP header, whose protocol and checksum the kernel has seen to. */
export function decodeEchoReply(family: AddressFamily, bytes: Uint8Array): Echo | undefined {
  if (family === 'ipv4' && bytes[0] !== VERSION_4_HEADER_20) return undefined;
  const message = family === 'ipv4' ? bytes.subarray(IPV4_HEADER) : bytes;
  if (message.length < HEADER || message[0] !== ECHO_REPLY[family] || message[1] !== 0) return undefined;
  // A raw socket of IPv4 sees messages whose own checksum nobody looked at.
  if (family === 'ipv4' && internetChecksum(message) !== 0) return undefined;
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  return {
    identifier: view.getUint16(IDENTIFIER_AT),
    sequence: view.getUint16(SEQUENCE_AT),
    payload: message.subarray(HEADER),
  };
}

/** RFC 1071: of a message whose own checksum is zero; 0 of one whose checksum is right. */
function internetChecksum(message: Uint8Array): number {
  let sum = 0;
  for (const [at, byte] of message.entries()) sum += at % 2 === 0 ? byte << 8 : byte;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
