/**
 * Advertisement codec: VRRPv3 for IPv4 and IPv6 (RFC 9568 section 5, with the IPv4 checksum of RFC 5798 as an
 * option) and VRRPv2 (RFC 3768 section 5). Some thousand messages pass here in a second: plain loops, few objects.
 *
 * ```
 *            version 3, IPv4 or IPv6                             version 2, IPv4
 *      0        8        16       24     31             0        8        16       24     31
 *     +----+---+--------+--------+--------+            +----+---+--------+--------+--------+
 *   0 |ver |typ|  VRID  |priority| count  |            |ver |typ|  VRID  |priority| count  |
 *     +----+---+--------+--------+--------+            +----+---+--------+--------+--------+
 *   4 |0000| centiseconds        checksum |            |auth: 0 |seconds |     checksum    |
 *     +----+------------+-----------------+            +--------+--------+-----------------+
 *   8 | count addresses of 4 or 16 bytes  |            | count addresses of 4 bytes        |
 *     +-----------------------------------+            +-----------------------------------+
 *                                                      | 8 bytes of authentication: zero   |
 *                                                      +-----------------------------------+
 * ```
 */
import type { AddressFamily } from '../util/ip-address.js';
import { addressText, familyOf, knownAddressBytes } from '../util/ip-address.js';

/** RFC 9568 section 5.1.1.4. */
export const IP_PROTOCOL_VRRP = 112;
/** RFC 9568 section 5.1.1.2. */
export const VRRP_MULTICAST_IPV4 = '224.0.0.18';
/** RFC 9568 section 5.1.2.2. */
export const VRRP_MULTICAST_IPV6 = 'ff02::12';
/** RFC 9568 sections 5.1.1.3 and 5.1.2.3: TTL and hop limit. */
export const VRRP_TTL = 255;

const HEADER_BYTES = 8;
const IPV4_BYTES = 4;
const IPV6_BYTES = 16;
/** RFC 3768 section 5.3.10: there for compatibility, sent as zero, ignored when received. */
const VERSION_2_AUTHENTICATION_BYTES = 8;
/** RFC 9568 section 5.2.2: the one type there is. */
const TYPE_ADVERTISEMENT = 1;
/** RFC 3768 section 5.3.6. */
const NO_AUTHENTICATION = 0;
/** Count IPvX Addr is one byte. */
const MAX_ADDRESSES = 255;
/** Max Advertise Interval is a 12-bit field of centiseconds. */
const MAX_INTERVAL_CS = 0x0fff;
/** Adver Int of version 2 is one byte of seconds. */
const MAX_INTERVAL_S = 0xff;

/** RFC 5798 section 5.2.8 covers the pseudo-header, RFC 9568 section 5.2.8 under IPv4 the message alone. */
export type ChecksumKind = 'rfc5798' | 'rfc9568';

export interface Advertisement {
  /** 2 carries IPv4 addresses alone. */
  readonly version: 2 | 3;
  readonly family: AddressFamily;
  /** 1 to 255. */
  readonly virtualRouterId: number;
  /** 0 (the sender gives up) to 255 (the address owner). */
  readonly priority: number;
  /** Version 3: 10 to 40950; version 2: whole seconds, 1000 to 255000. */
  readonly advertisementIntervalMs: number;
  /** At most 255; version 3 has one at least. */
  readonly addresses: readonly string[];
}

/** Why a message was discarded; each is a counter (RFC 9568 section 7.1). */
export type DiscardReason =
  | 'bad-ttl'
  | 'bad-version'
  | 'bad-type'
  | 'bad-length'
  | 'bad-checksum'
  | 'bad-vrid'
  | 'bad-authentication'
  | 'bad-interval';

export type DecodeResult =
  | { readonly ok: true; readonly advertisement: Advertisement }
  | { readonly ok: false; readonly reason: DiscardReason };

/** Where a message goes, for its checksum. */
export interface Addressing {
  /** Of VRRPv3 over IPv4; the others have one kind of checksum each. */
  readonly checksum: ChecksumKind;
  readonly source: string;
  readonly destination: string;
}

/** How the message came: what the checksum and the TTL rule need. The family is that of `source`. */
export interface Envelope {
  readonly source: string;
  readonly destination: string;
  /** TTL or hop limit; undefined where the transport does not tell: not checked. */
  readonly ttl: number | undefined;
  /** The least that is taken; 255, which proves that the sender is on this link, unless given. */
  readonly minTtl?: number | undefined;
}

/**
 * Addresses between text and bytes, remembered: the same few pass with every message, and IPv6 text takes longer
 * to read or write than all the rest of a message. Emptied when full, so that a flood of others costs no memory.
 */
const MAX_REMEMBERED = 4096;
const bytesByText = new Map<string, Uint8Array>();
const textByBytes = new Map<string | number, string>();

function remember<Key, Value>(memory: Map<Key, Value>, key: Key, value: Value): Value {
  if (memory.size >= MAX_REMEMBERED) memory.clear();
  memory.set(key, value);
  return value;
}

/** Not to be written to. */
function bytesOf(address: string): Uint8Array {
  return bytesByText.get(address) ?? remember(bytesByText, address, knownAddressBytes(address));
}

function textAt(message: Uint8Array, at: number, length: number): string {
  let key: string | number = 0;
  if (length === IPV4_BYTES) for (let i = at; i < at + length; i++) key = key * 256 + (message[i] ?? 0);
  else key = String.fromCharCode(...message.subarray(at, at + length));
  const known = textByBytes.get(key);
  if (known !== undefined) return known;
  return remember(textByBytes, key, addressText(message.subarray(at, at + length)) ?? '');
}

function discard(reason: DiscardReason): DecodeResult {
  return { ok: false, reason };
}

/** Adds 16-bit words to a sum that is not yet folded: 4096 bytes stay far below 2^31. */
function addWords(bytes: Uint8Array, length: number, start: number): number {
  let sum = start;
  for (let i = 0; i + 1 < length; i += 2) sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  return sum;
}

function folded(sum: number): number {
  let rest = sum;
  while (rest > 0xffff) rest = (rest & 0xffff) + (rest >>> 16);
  return rest;
}

/** The pseudo-header's words, of IPv4 (RFC 793 section 3.1) as of IPv6 (RFC 8200 section 8.1): all else in them is zero. */
function addPseudoHeader(source: string, destination: string, length: number, start: number): number {
  const from = bytesOf(source);
  const to = bytesOf(destination);
  return addWords(from, from.length, addWords(to, to.length, start + length + IP_PROTOCOL_VRRP));
}

function lengthOf(version: number, addressBytes: number, count: number): number {
  return HEADER_BYTES + addressBytes * count + (version === 2 ? VERSION_2_AUTHENTICATION_BYTES : 0);
}

/**
 * Builds the IP payload of an advertisement (RFC 9568 section 5.2, RFC 3768 section 5.3).
 *
 * @throws {RangeError} when a field does not fit, version 2 has IPv6 addresses or a fraction of a second, or an
 * address is not of the family; the configuration rules that out.
 */
export function encodeAdvertisement(advertisement: Advertisement, addressing: Addressing): Uint8Array {
  const { version, family, virtualRouterId, priority, addresses } = advertisement;
  const addressBytes = family === 'ipv6' ? IPV6_BYTES : IPV4_BYTES;
  if (version === 2 && family === 'ipv6') throw new RangeError('VRRPv2 has no IPv6');
  if (addresses.length > MAX_ADDRESSES || (version === 3 && addresses.length === 0))
    throw new RangeError(`an advertisement carries 1 to ${MAX_ADDRESSES} addresses, not ${addresses.length}`);
  if (!(virtualRouterId >= 1 && virtualRouterId <= 255) || !(priority >= 0 && priority <= 255))
    throw new RangeError(`virtual router ${virtualRouterId} with priority ${priority} does not fit`);
  const message = new Uint8Array(lengthOf(version, addressBytes, addresses.length));
  message[0] = (version << 4) | TYPE_ADVERTISEMENT;
  message[1] = virtualRouterId;
  message[2] = priority;
  message[3] = addresses.length;
  writeInterval(message, version, advertisement.advertisementIntervalMs);
  let at = HEADER_BYTES;
  for (const address of addresses) {
    const bytes = bytesOf(address);
    if (bytes.length !== addressBytes) throw new RangeError(`${address} is no ${family} address`);
    message.set(bytes, at);
    at += addressBytes;
  }
  const { checksum, source, destination } = addressing;
  let sum = addWords(message, message.length, 0);
  // RFC 3768 section 5.3.8 knows no pseudo-header; for IPv6 both RFCs of version 3 have it.
  if (family === 'ipv6' || (version === 3 && checksum === 'rfc5798'))
    sum = addPseudoHeader(source, destination, message.length, sum);
  const value = ~folded(sum) & 0xffff;
  message[6] = value >>> 8;
  message[7] = value & 0xff;
  return message;
}

/** Bytes 4 and 5: reserved and Max Advertise Interval, or Auth Type 0 and Adver Int. */
function writeInterval(message: Uint8Array, version: 2 | 3, intervalMs: number): void {
  const units = version === 2 ? intervalMs / 1000 : Math.round(intervalMs / 10);
  const most = version === 2 ? MAX_INTERVAL_S : MAX_INTERVAL_CS;
  if (!Number.isInteger(units) || units < 1 || units > most)
    throw new RangeError(`an interval of ${intervalMs} ms does not fit into VRRPv${version}`);
  message[4] = units >>> 8;
  message[5] = units & 0xff;
}

/**
 * Checks and decodes an IP payload in the order of RFC 9568 section 7.1 and RFC 3768 section 7.1. Either
 * checksum of VRRPv3 over IPv4 is accepted, because senders of both are on real segments. What follows the
 * addresses (and the authentication data of version 2) is not part of the message: the RFCs demand that the
 * packet holds the complete message, not that it ends there. Whether VRID, version and interval are those of
 * an instance is the caller's to check. Never throws, given that the envelope's addresses are addresses.
 */
export function decodeAdvertisement(message: Uint8Array, envelope: Envelope): DecodeResult {
  const { source, ttl, minTtl = VRRP_TTL } = envelope;
  if (ttl !== undefined && ttl < minTtl) return discard('bad-ttl');
  const head = message[0];
  if (head === undefined) return discard('bad-length');
  const version = head >>> 4;
  const ipv6 = familyOf(source) === 'ipv6';
  if (version !== 3 && (version !== 2 || ipv6)) return discard('bad-version');
  if ((head & 0x0f) !== TYPE_ADVERTISEMENT) return discard('bad-type');
  const count = message[3] ?? 0;
  const addressBytes = ipv6 ? IPV6_BYTES : IPV4_BYTES;
  const length = lengthOf(version, addressBytes, count);
  if (message.length < length) return discard('bad-length');
  // RFC 9568 section 5.2.5; RFC 3768 section 5.3.5 names no least count.
  if (count === 0 && version === 3) return discard('bad-length');
  if (!checksumIsRight(message, length, version, ipv6, envelope)) return discard('bad-checksum');
  const virtualRouterId = message[1] ?? 0;
  if (virtualRouterId === 0) return discard('bad-vrid');
  if (version === 2 && message[4] !== NO_AUTHENTICATION) return discard('bad-authentication');
  const low = message[5] ?? 0;
  const intervalMs = version === 2 ? low * 1000 : ((((message[4] ?? 0) & 0x0f) << 8) | low) * 10;
  // A zero interval would make every timer zero.
  if (intervalMs === 0) return discard('bad-interval');
  return {
    ok: true,
    advertisement: {
      version,
      family: ipv6 ? 'ipv6' : 'ipv4',
      virtualRouterId,
      priority: message[2] ?? 0,
      advertisementIntervalMs: intervalMs,
      addresses: addressesOf(message, addressBytes, count),
    },
  };
}

function checksumIsRight(
  message: Uint8Array,
  length: number,
  version: number,
  ipv6: boolean,
  { source, destination }: Envelope,
): boolean {
  const sum = addWords(message, length, 0);
  if (!ipv6 && folded(sum) === 0xffff) return true;
  if (version === 2) return false;
  return folded(addPseudoHeader(source, destination, length, sum)) === 0xffff;
}

function addressesOf(message: Uint8Array, addressBytes: number, count: number): string[] {
  const addresses: string[] = [];
  for (let i = 0, at = HEADER_BYTES; i < count; i++, at += addressBytes) {
    addresses.push(textAt(message, at, addressBytes));
  }
  return addresses;
}
