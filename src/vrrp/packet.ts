/** VRRPv3 advertisement codec for IPv4: RFC 9568 section 5, with the checksum of RFC 5798 as an option. */
import { addressText, knownAddressBytes } from '../ip-address.js';

/** RFC 9568 section 5.1.1.4. */
export const IP_PROTOCOL_VRRP = 112;
/** RFC 9568 section 5.1.1.2. */
export const VRRP_MULTICAST_IPV4 = '224.0.0.18';
/** RFC 9568 section 5.1.1.3. */
export const VRRP_TTL = 255;

const HEADER_BYTES = 8;
const ADDRESS_BYTES = 4;
const VERSION_3_ADVERTISEMENT = 0x31;
/** Max Advertise Interval is a 12-bit field of centiseconds. */
const MAX_INTERVAL_CS = 0x0fff;

/** RFC 5798 section 5.2.8 covers the pseudo-header, RFC 9568 section 5.2.8 the message alone. */
export type ChecksumKind = 'rfc5798' | 'rfc9568';

export interface Advertisement {
  /** 1 to 255. */
  readonly virtualRouterId: number;
  /** 0 (the sender gives up) to 255 (the address owner). */
  readonly priority: number;
  /** 10 to 40950. */
  readonly advertisementIntervalMs: number;
  readonly addresses: readonly string[];
}

/** Why a message was discarded; each is a counter (RFC 9568 section 7.1). */
export type DiscardReason =
  | 'bad-ttl'
  | 'bad-version'
  | 'bad-type'
  | 'bad-length'
  | 'bad-checksum'
  | 'bad-interval'
  | 'bad-vrid';

export type DecodeResult =
  | { readonly ok: true; readonly advertisement: Advertisement }
  | { readonly ok: false; readonly reason: DiscardReason };

/** How the message came: what the checksum and the TTL rule need. */
export interface Envelope {
  readonly source: string;
  readonly destination: string;
  readonly ttl: number;
}

function onesComplementSum(bytes: Uint8Array, start: number): number {
  let sum = start;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += ((bytes[i] ?? 0) << 8) | (bytes[i + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

function pseudoHeader(source: string, destination: string, length: number): Uint8Array {
  const bytes = new Uint8Array(12);
  bytes.set(knownAddressBytes(source), 0);
  bytes.set(knownAddressBytes(destination), 4);
  bytes[9] = IP_PROTOCOL_VRRP;
  bytes[10] = length >>> 8;
  bytes[11] = length & 0xff;
  return bytes;
}

/** The folded sum, not complemented: 0xffff over a message whose checksum is right. */
function sumOf(message: Uint8Array, kind: ChecksumKind, source: string, destination: string): number {
  const start =
    kind === 'rfc5798' ? onesComplementSum(pseudoHeader(source, destination, message.length), 0) : 0;
  return onesComplementSum(message, start);
}

/**
 * Builds the IP payload of an advertisement (RFC 9568 section 5.2).
 * @throws RangeError when a field does not fit; the configuration rules that out.
 */
export function encodeAdvertisement(
  advertisement: Advertisement,
  checksum: ChecksumKind,
  source: string,
  destination: string = VRRP_MULTICAST_IPV4,
): Uint8Array {
  const { virtualRouterId, priority, addresses } = advertisement;
  const intervalCs = Math.round(advertisement.advertisementIntervalMs / 10);
  if (addresses.length > 255) throw new RangeError('an advertisement carries at most 255 addresses');
  if (intervalCs < 1 || intervalCs > MAX_INTERVAL_CS)
    throw new RangeError(`interval of ${intervalCs} cs does not fit`);
  const message = new Uint8Array(HEADER_BYTES + ADDRESS_BYTES * addresses.length);
  message[0] = VERSION_3_ADVERTISEMENT;
  message[1] = virtualRouterId;
  message[2] = priority;
  message[3] = addresses.length;
  message[4] = intervalCs >>> 8;
  message[5] = intervalCs & 0xff;
  addresses.forEach((address, i) =>
    message.set(knownAddressBytes(address), HEADER_BYTES + ADDRESS_BYTES * i),
  );
  const value = ~sumOf(message, checksum, source, destination) & 0xffff;
  message[6] = value >>> 8;
  message[7] = value & 0xff;
  return message;
}

/**
 * Checks and decodes an IP payload in the order of RFC 9568 section 7.1. Both checksum kinds are accepted,
 * because senders of both are on real segments.
 */
export function decodeAdvertisement(message: Uint8Array, envelope: Envelope): DecodeResult {
  const discard = (reason: DiscardReason): DecodeResult => ({ ok: false, reason });
  if (envelope.ttl !== VRRP_TTL) return discard('bad-ttl');
  const [head = 0, virtualRouterId = 0, priority = 0, count = 0, high = 0, low = 0] = message;
  if (message.length < HEADER_BYTES) return discard('bad-length');
  if (head >>> 4 !== 3) return discard('bad-version');
  if ((head & 0x0f) !== 1) return discard('bad-type');
  if (message.length < HEADER_BYTES + ADDRESS_BYTES * count || count === 0) return discard('bad-length');
  const { source, destination } = envelope;
  const right = (kind: ChecksumKind) => sumOf(message, kind, source, destination) === 0xffff;
  if (!right('rfc5798') && !right('rfc9568')) return discard('bad-checksum');
  if (virtualRouterId === 0) return discard('bad-vrid');
  const intervalCs = ((high & 0x0f) << 8) | low;
  // A zero interval would make every timer zero.
  if (intervalCs === 0) return discard('bad-interval');
  const addresses = Array.from(
    { length: count },
    (_, i) =>
      addressText(
        message.subarray(HEADER_BYTES + ADDRESS_BYTES * i, HEADER_BYTES + ADDRESS_BYTES * (i + 1)),
      ) ?? '',
  );
  return {
    ok: true,
    advertisement: { virtualRouterId, priority, advertisementIntervalMs: intervalCs * 10, addresses },
  };
}
