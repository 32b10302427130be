/** Advertisements and broken bytes for property tests. */
import fc from 'fast-check';
import { addressText, knownAddressBytes } from '../../src/util/ip-address.js';
import { type Advertisement, type Envelope, encodeAdvertisement } from '../../src/vrrp/packet.js';

const bytesOf = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });

export const ipv4 = bytesOf(4).map((bytes) => addressText(bytes) ?? '');
export const ipv6 = bytesOf(16).map((bytes) => addressText(bytes) ?? '');

/** Few as a rule, sometimes as many as the message can carry. */
function addresses(one: fc.Arbitrary<string>, minLength: 0 | 1): fc.Arbitrary<string[]> {
  return fc.oneof(
    { weight: 9, arbitrary: fc.array(one, { minLength, maxLength: 5 }) },
    { weight: 1, arbitrary: fc.array(one, { minLength, maxLength: 255, size: 'max' }) },
  );
}

const common = {
  virtualRouterId: fc.integer({ min: 1, max: 255 }),
  priority: fc.integer({ min: 0, max: 255 }),
};
const centiseconds = fc.integer({ min: 1, max: 4095 }).map((units) => units * 10);
const seconds = fc.integer({ min: 1, max: 255 }).map((units) => units * 1000);

/** All that the three kinds of message can say. */
export const advertisement: fc.Arbitrary<Advertisement> = fc.oneof(
  fc.record({
    version: fc.constant(3 as const),
    family: fc.constant('ipv4' as const),
    ...common,
    advertisementIntervalMs: centiseconds,
    addresses: addresses(ipv4, 1),
  }),
  fc.record({
    version: fc.constant(3 as const),
    family: fc.constant('ipv6' as const),
    ...common,
    advertisementIntervalMs: centiseconds,
    addresses: addresses(ipv6, 1),
  }),
  fc.record({
    version: fc.constant(2 as const),
    family: fc.constant('ipv4' as const),
    ...common,
    advertisementIntervalMs: seconds,
    addresses: addresses(ipv4, 0),
  }),
);

export const checksumKind = fc.constantFrom('rfc5798' as const, 'rfc9568' as const);

export const ipv4Envelope: Envelope = { source: '192.0.2.11', destination: '224.0.0.18', ttl: 255 };
export const ipv6Envelope: Envelope = { source: 'fe80::11', destination: 'ff02::12', ttl: 255 };

export function envelopeOf(family: Advertisement['family']): Envelope {
  return family === 'ipv6' ? ipv6Envelope : ipv4Envelope;
}

/** One's complement sum of 16-bit words, by arithmetic modulo 65535: another way than the codec's. 0 means a right checksum. */
export function onesComplementSum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const part of parts) {
    for (const [index, byte] of part.entries()) sum += index % 2 === 0 ? byte * 256 : byte;
  }
  return sum % 0xffff;
}

/** Its parts, each of an even length. */
export function pseudoHeader({ source, destination }: Envelope, length: number): Uint8Array[] {
  const tail = Uint8Array.of(length >>> 8, length & 255, 0, 112);
  return [knownAddressBytes(source), knownAddressBytes(destination), tail];
}

/** What happens to bytes on bad days. `repair` makes the checksum right again, of one kind or the other. */
const damage = fc.record({
  edits: fc.array(
    fc.oneof(
      fc.record({ kind: fc.constant('set' as const), at: fc.nat(24), value: fc.nat(255) }),
      // Fields of the header, two bytes at a time: an interval is zero only as a whole.
      fc.record({ kind: fc.constant('zero' as const), at: fc.nat(5), value: fc.constant(0) }),
      fc.record({ kind: fc.constant('flip' as const), at: fc.nat(1100), value: fc.nat(7) }),
      fc.record({ kind: fc.constant('cut' as const), at: fc.nat(60), value: fc.constant(0) }),
      fc.record({ kind: fc.constant('append' as const), at: fc.nat(20), value: fc.nat(255) }),
    ),
    { maxLength: 4 },
  ),
  repair: fc.constantFrom('no' as const, 'message' as const, 'pseudo-header' as const),
});

type Damage = typeof damage extends fc.Arbitrary<infer T> ? T : never;

function damaged(message: Uint8Array, { edits, repair }: Damage, envelope: Envelope): Uint8Array {
  let bytes = message;
  for (const { kind, at, value } of edits) {
    const index = at % Math.max(1, bytes.length);
    if (kind === 'cut') bytes = bytes.slice(0, at % (bytes.length + 1));
    else if (kind === 'append') bytes = Uint8Array.of(...bytes, ...new Uint8Array(at).fill(value));
    else if (bytes.length > 0) {
      bytes = bytes.slice();
      if (kind === 'zero') bytes.fill(0, index, index + 2);
      else bytes[index] = kind === 'set' ? value : (bytes[index] ?? 0) ^ (1 << value);
    }
  }
  if (repair === 'no') return bytes;
  return repair === 'message' ? repaired(bytes) : repaired(bytes, envelope);
}

/** With a right checksum over the message alone, or with the pseudo-header of an envelope. */
function repaired(bytes: Uint8Array, envelope?: Envelope): Uint8Array {
  if (bytes.length < 8) return bytes;
  const whole = bytes.slice();
  whole[6] = 0;
  whole[7] = 0;
  const value = 0xffff - onesComplementSum(...(envelope ? pseudoHeader(envelope, whole.length) : []), whole);
  whole[6] = value >>> 8;
  whole[7] = value & 0xff;
  return whole;
}

/** Random but for the head, a count that fits and the checksum: what is wrong with them lies deeper. */
const nearlyRight = fc
  .tuple(
    fc.uint8Array({ minLength: 24, maxLength: 64 }),
    fc.constantFrom(0x21, 0x31),
    fc.nat(2),
    fc.constantFrom(undefined, ipv4Envelope),
  )
  .map(([bytes, head, count, pseudo]) => {
    const length = 8 + 4 * count + (head === 0x21 ? 8 : 0);
    const message = bytes.slice(0, length);
    message[0] = head;
    message[3] = count;
    return { message: repaired(message, pseudo), envelope: ipv4Envelope };
  });

/** Bytes with how they came: random ones, nearly right ones, and right messages that were damaged. */
export const wire: fc.Arbitrary<{ readonly message: Uint8Array; readonly envelope: Envelope }> = fc.oneof(
  {
    weight: 1,
    arbitrary: fc.record({
      message: fc.uint8Array({ maxLength: 64 }),
      envelope: fc.constantFrom(ipv4Envelope, ipv6Envelope),
    }),
  },
  { weight: 3, arbitrary: nearlyRight },
  {
    weight: 4,
    arbitrary: fc.tuple(advertisement, checksumKind, damage).map(([sent, checksum, how]) => {
      const envelope = envelopeOf(sent.family);
      return {
        message: damaged(encodeAdvertisement(sent, { ...envelope, checksum }), how, envelope),
        envelope,
      };
    }),
  },
);
