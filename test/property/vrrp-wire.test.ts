/** Bytes from the wire: nothing makes the decoder throw, and it accepts what it should and no more. */
import fc from 'fast-check';
import t from 'tap';
import { gratuitousArp } from '../../src/vrrp/gratuitous-arp.js';
import { ipv4Payload } from '../../src/vrrp/ipv4-header.js';
import { unsolicitedNeighbourAdvertisement } from '../../src/vrrp/neighbour-advertisement.js';
import {
  type Advertisement,
  decodeAdvertisement,
  type Envelope,
  encodeAdvertisement,
} from '../../src/vrrp/packet.js';
import {
  advertisement,
  checksumKind,
  envelopeOf,
  onesComplementSum,
  pseudoHeader,
  wire,
} from './vrrp-arbitraries.js';

/** A failure prints its seed and path: `fc.assert(property, { seed, path })` replays it. */
const MANY = { numRuns: 20_000 };
const SOME = { numRuns: 2_000 };

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

function lengthOf({ version, family, addresses }: Advertisement): number {
  return 8 + addresses.length * (family === 'ipv6' ? 16 : 4) + (version === 2 ? 8 : 0);
}

/** RFC 9568 section 5.2 and RFC 3768 section 5.3 as one yes or no, without a glance at the codec. */
function isGood(message: Uint8Array, envelope: Envelope): boolean {
  const ipv6 = envelope.source.includes(':');
  const [head, vrid, , count, high, low] = message;
  if (message.length < 8 || count === undefined || high === undefined || low === undefined) return false;
  const length = 8 + count * (ipv6 ? 16 : 4) + (head === 0x21 ? 8 : 0);
  if (message.length < length || vrid === 0) return false;
  const body = message.subarray(0, length);
  const alone = onesComplementSum(body) === 0;
  if (head === 0x21) return !ipv6 && alone && high === 0 && low > 0;
  if (head !== 0x31 || count === 0 || (high % 16) * 256 + low === 0) return false;
  return (!ipv6 && alone) || onesComplementSum(...pseudoHeader(envelope, length), body) === 0;
}

/** Without what receivers ignore: reserved bits, authentication data, the kind of checksum, what lies behind. */
function essence(message: Uint8Array, length: number): string {
  const bytes = message.slice(0, length);
  if (bytes[0] === 0x31) bytes[4] = (bytes[4] ?? 0) & 0x0f;
  if (bytes[0] === 0x21) bytes.fill(0, length - 8);
  bytes.fill(0, 6, 8);
  return hex(bytes);
}

await t.test('what is encoded decodes to itself', async () => {
  fc.assert(
    fc.property(advertisement, checksumKind, (sent, checksum) => {
      const envelope = envelopeOf(sent.family);
      const message = encodeAdvertisement(sent, { ...envelope, checksum });
      const result = decodeAdvertisement(message, envelope);
      if (!result.ok) throw new Error(result.reason);
      return JSON.stringify(sorted(result.advertisement)) === JSON.stringify(sorted(sent));
    }),
    SOME,
  );
});

function sorted(value: object): [string, unknown][] {
  return Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
}

await t.test(
  'any bytes: accepted if and only if they are good, and then they say what was read',
  async (t) => {
    let accepted = 0;
    const reasons = new Set<string>();
    fc.assert(
      fc.property(wire, ({ message, envelope }) => {
        const before = hex(message);
        const result = decodeAdvertisement(message, envelope);
        if (hex(message) !== before) throw new Error('the decoder wrote into its input');
        if (result.ok !== isGood(message, envelope)) throw new Error(result.ok ? 'accepted' : result.reason);
        if (!result.ok) {
          reasons.add(result.reason);
          return;
        }
        accepted += 1;
        const length = lengthOf(result.advertisement);
        const again = encodeAdvertisement(result.advertisement, { ...envelope, checksum: 'rfc9568' });
        if (essence(again, length) !== essence(message, length)) throw new Error('it says something else');
      }),
      MANY,
    );
    t.ok(accepted > MANY.numRuns / 100, `the test is not vacuous: ${accepted} accepted`);
    const expected = ['authentication', 'checksum', 'interval', 'length', 'type', 'version', 'vrid'];
    t.same(
      [...reasons].sort(),
      expected.map((reason) => `bad-${reason}`),
      'every reason but the TTL came up',
    );
  },
);

await t.test('every prefix of a message is too short, every extension says the same', async () => {
  fc.assert(
    fc.property(advertisement, checksumKind, fc.uint8Array({ maxLength: 32 }), (sent, checksum, more) => {
      const envelope = envelopeOf(sent.family);
      const message = encodeAdvertisement(sent, { ...envelope, checksum });
      for (let length = 0; length < message.length; length += 1 + (length >>> 3)) {
        const result = decodeAdvertisement(message.subarray(0, length), envelope);
        if (result.ok || result.reason !== 'bad-length') throw new Error(`${length} bytes`);
      }
      return decodeAdvertisement(Uint8Array.of(...message, ...more), envelope).ok;
    }),
    { numRuns: 500 },
  );
});

await t.test('one flipped bit of a message is never accepted', async () => {
  fc.assert(
    fc.property(advertisement, checksumKind, fc.nat(), (sent, checksum, where) => {
      const envelope = envelopeOf(sent.family);
      const message = encodeAdvertisement(sent, { ...envelope, checksum });
      const bit = where % (message.length * 8);
      // A smaller count covers other bytes with the checksum, which may be right by chance.
      fc.pre(bit >>> 3 !== 3);
      message[bit >>> 3] = (message[bit >>> 3] ?? 0) ^ (1 << (bit & 7));
      return !decodeAdvertisement(message, envelope).ok;
    }),
    SOME,
  );
});

await t.test('a TTL below the least is the first reason, one that is not told is none', async () => {
  fc.assert(
    fc.property(wire, fc.nat(255), fc.integer({ min: 1, max: 255 }), ({ message, envelope }, ttl, minTtl) => {
      const result = decodeAdvertisement(message, { ...envelope, ttl, minTtl });
      const untold = decodeAdvertisement(message, { ...envelope, ttl: undefined, minTtl });
      if (ttl < minTtl) return !result.ok && result.reason === 'bad-ttl';
      return JSON.stringify(result) === JSON.stringify(untold);
    }),
    SOME,
  );
});

await t.test('the payload of an IPv4 packet: never throws, and is within the packet', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.boolean(), (bytes, likely) => {
      const packet = likely ? Uint8Array.of(0x45, 0, 0, bytes.length + 4, ...bytes) : bytes;
      const payload = ipv4Payload(packet);
      return (
        payload === undefined || (payload.buffer === packet.buffer && payload.length <= packet.length - 20)
      );
    }),
    SOME,
  );
});

const mac = fc.uint8Array({ minLength: 6, maxLength: 6 });

await t.test(
  'gratuitous ARP says the address twice and the hardware address twice, whatever they are',
  async () => {
    fc.assert(
      fc.property(mac, fc.uint8Array({ minLength: 4, maxLength: 4 }), (hardware, address) => {
        const [m, a] = [hex(hardware), hex(address)];
        const expected = `ffffffffffff${m}080600010800060400 01${m}${a}000000000000${a}${'00'.repeat(18)}`;
        return hex(gratuitousArp(hardware, address)) === expected.replace(' ', '');
      }),
      SOME,
    );
  },
);

await t.test('a Neighbour Advertisement has a right checksum, whatever it says', async () => {
  fc.assert(
    fc.property(mac, fc.uint8Array({ minLength: 16, maxLength: 16 }), (hardware, address) => {
      const frame = unsolicitedNeighbourAdvertisement(hardware, address);
      const [m, a, allNodes] = [hex(hardware), hex(address), `ff02${'00'.repeat(13)}01`];
      const head = `333300000001${m}86dd6c00000000203aff${a}${allNodes}8800`;
      const rest = `a0000000${a}0201${m}`;
      const pseudo = [address, Buffer.from(allNodes, 'hex'), Uint8Array.of(0, 32, 0, 58)];
      if (onesComplementSum(...pseudo, frame.subarray(54)) !== 0) throw new Error('checksum');
      return hex(frame.subarray(0, 56)) === head && hex(frame.subarray(58)) === rest;
    }),
    SOME,
  );
});
