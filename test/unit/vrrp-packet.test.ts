import fc from 'fast-check';
import t from 'tap';
import { decodeAdvertisement, encodeAdvertisement } from '../../src/vrrp/packet.js';

const envelope = { source: '192.168.1.11', destination: '224.0.0.18', ttl: 255 };
const advertisement = {
  virtualRouterId: 51,
  priority: 150,
  advertisementIntervalMs: 1000,
  addresses: ['192.168.1.253'],
};

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

await t.test('bytes of RFC 9568 section 5.2, both checksums summed by hand', async (t) => {
  // 3133 + 9601 + 0064 + c0a8 + 01fd = 18a3d, folded 8a3e, complement 75c1
  t.equal(hex(encodeAdvertisement(advertisement, 'rfc9568', envelope.source)), '31339601006475c1c0a801fd');
  // the pseudo-header adds c0a8 + 010b + e000 + 0012 + 0070 + 000c = 1a241: 32c7e, folded 2c81, complement d37e
  t.equal(hex(encodeAdvertisement(advertisement, 'rfc5798', envelope.source)), '313396010064d37ec0a801fd');
});

await t.test('either checksum is accepted, a wrong one is not', async (t) => {
  for (const kind of ['rfc5798', 'rfc9568'] as const) {
    const message = encodeAdvertisement(advertisement, kind, envelope.source);
    t.same(decodeAdvertisement(message, envelope), { ok: true, advertisement });
    message[7] = (message[7] ?? 0) ^ 1;
    t.same(decodeAdvertisement(message, envelope), { ok: false, reason: 'bad-checksum' });
  }
});

await t.test('discards, by RFC 9568 section 7.1', async (t) => {
  const good = () => encodeAdvertisement(advertisement, 'rfc9568', envelope.source);
  const reason = (message: Uint8Array, from = envelope) => {
    const result = decodeAdvertisement(message, from);
    return result.ok ? 'accepted' : result.reason;
  };
  const patched = (index: number, value: number) => {
    const message = good();
    message[index] = value;
    return message;
  };
  t.equal(reason(good()), 'accepted');
  t.equal(reason(good(), { ...envelope, ttl: 254 }), 'bad-ttl');
  t.equal(reason(patched(0, 0x21)), 'bad-version');
  t.equal(reason(patched(0, 0x32)), 'bad-type');
  t.equal(reason(good().subarray(0, 7)), 'bad-length');
  t.equal(reason(good().subarray(0, 11)), 'bad-length');
  t.equal(reason(patched(3, 2)), 'bad-length');
  t.equal(reason(patched(3, 0)), 'bad-length');
  t.equal(reason(new Uint8Array()), 'bad-length');
  const zeroInterval = good();
  zeroInterval.set([0, 0, 0x76, 0x25], 4);
  t.equal(reason(zeroInterval), 'bad-interval');
});

await t.test('what is encoded decodes to itself', async (t) => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 255 }),
      fc.integer({ min: 0, max: 255 }),
      fc.integer({ min: 1, max: 4095 }),
      fc.array(fc.ipV4(), { minLength: 1, maxLength: 255 }),
      fc.constantFrom('rfc5798' as const, 'rfc9568' as const),
      (virtualRouterId, priority, intervalCs, addresses, kind) => {
        const sent = { virtualRouterId, priority, advertisementIntervalMs: intervalCs * 10, addresses };
        const result = decodeAdvertisement(encodeAdvertisement(sent, kind, envelope.source), envelope);
        t.same(result, { ok: true, advertisement: sent });
      },
    ),
    { numRuns: 100 },
  );
});

await t.test('no bytes make the decoder throw', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      t.type(decodeAdvertisement(bytes, envelope).ok, 'boolean');
    }),
    { numRuns: 500 },
  );
});
