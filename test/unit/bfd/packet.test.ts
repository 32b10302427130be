/** RFC 5880 section 4.1, and what section 6.8.6 says of bytes alone. */
import fc from 'fast-check';
import t from 'tap';
import { BFD_STATES, type BfdPacket, decodeBfd, encodeBfd } from '../../../src/bfd/packet.js';

const PACKET: BfdPacket = {
  state: 'up',
  diagnostic: 3,
  poll: true,
  final: false,
  demand: false,
  multiplier: 3,
  discriminator: 0x01020304,
  yourDiscriminator: 0xa1a2a3a4,
  desiredMinTxUs: 15_000,
  requiredMinRxUs: 50_000,
};

void t.test('the bytes are those of the RFC', async (t) => {
  const bytes = Buffer.from(encodeBfd(PACKET)).toString('hex');
  t.equal(bytes, '23e0031801020304a1a2a3a400003a980000c35000000000');
  t.same(decodeBfd(encodeBfd(PACKET)), { ok: true, packet: PACKET });
});

/** A packet of which some bytes say something else. */
function changed(changes: Readonly<Record<number, number>>, length = 24): Uint8Array {
  const bytes = new Uint8Array(length);
  bytes.set(encodeBfd(PACKET).subarray(0, length));
  for (const [at, value] of Object.entries(changes)) bytes[Number(at)] = value;
  return bytes;
}

const UP = 0xc0;
const WRONG = {
  'version 0': [changed({ 0: 0x03 }), 'bad-version'],
  'version 2': [changed({ 0: 0x43 }), 'bad-version'],
  'nothing at all': [new Uint8Array(0), 'bad-length'],
  'a byte too few': [changed({}, 23), 'bad-length'],
  'a length below the header': [changed({ 3: 23 }), 'bad-length'],
  'a length beyond the payload': [changed({ 3: 25 }), 'bad-length'],
  'authentication without room for it': [changed({ 1: UP | 0x04 }), 'bad-length'],
  'a multiplier of 0': [changed({ 2: 0 }), 'bad-multiplier'],
  multipoint: [changed({ 1: UP | 0x01 }), 'multipoint'],
  'no discriminator': [changed({ 4: 0, 5: 0, 6: 0, 7: 0 }), 'bad-discriminator'],
  'up without ours': [changed({ 8: 0, 9: 0, 10: 0, 11: 0 }), 'bad-your-discriminator'],
  'init without ours': [changed({ 1: 0x80, 8: 0, 9: 0, 10: 0, 11: 0 }), 'bad-your-discriminator'],
  authentication: [changed({ 1: UP | 0x04, 3: 26 }, 26), 'authenticated'],
} as const;

for (const [name, [bytes, reason]] of Object.entries(WRONG)) {
  void t.test(`refused: ${name}`, async (t) => t.same(decodeBfd(bytes), { ok: false, reason }));
}

void t.test('down without ours is how a session begins', async (t) => {
  const bytes = changed({ 1: 0x40, 8: 0, 9: 0, 10: 0, 11: 0 });
  t.match(decodeBfd(bytes), { ok: true, packet: { state: 'down', yourDiscriminator: 0 } });
});

void t.test('what is drawn comes back, from the middle of a buffer too', async (t) => {
  const word = fc.integer({ min: 0, max: 0xffffffff });
  const packets = fc.record({
    state: fc.constantFrom(...BFD_STATES),
    diagnostic: fc.integer({ min: 0, max: 31 }),
    poll: fc.boolean(),
    final: fc.boolean(),
    demand: fc.boolean(),
    multiplier: fc.integer({ min: 1, max: 255 }),
    discriminator: fc.integer({ min: 1, max: 0xffffffff }),
    yourDiscriminator: fc.integer({ min: 1, max: 0xffffffff }),
    desiredMinTxUs: word,
    requiredMinRxUs: word,
  });
  fc.assert(
    fc.property(packets, fc.nat(9), (packet, offset) => {
      const buffer = new Uint8Array(60).fill(0xff);
      buffer.set(encodeBfd(packet), offset);
      const decoded = decodeBfd(buffer.subarray(offset, offset + 24));
      t.ok(decoded.ok);
      if (decoded.ok) t.same(decoded.packet, packet);
    }),
    { numRuns: 300 },
  );
});

void t.test('garbage is refused or taken, and never throws', async (t) => {
  let taken = 0;
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 40 }), fc.boolean(), (bytes, isNearly) => {
      if (isNearly && bytes.length > 3) bytes.set([0x20, UP, 3, 24]);
      const decoded = decodeBfd(bytes);
      if (decoded.ok) {
        taken += 1;
        t.ok(decoded.packet.discriminator > 0 && decoded.packet.multiplier > 0);
      }
    }),
    { numRuns: 3000, examples: [[changed({}), true]] },
  );
  t.ok(taken > 0);
});
