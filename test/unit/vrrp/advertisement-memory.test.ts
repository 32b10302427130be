import t from 'tap';
import { AdvertisementMemory } from '../../../src/vrrp/advertisement-memory.js';
import { type Advertisement, encodeAdvertisement } from '../../../src/vrrp/packet.js';

const ADVERTISEMENT: Advertisement = {
  version: 3,
  family: 'ipv4',
  virtualRouterId: 51,
  priority: 100,
  advertisementIntervalMs: 1000,
  addresses: ['192.0.2.1'],
};
const ENVELOPE = { source: '192.0.2.11', destination: '224.0.0.18', ttl: 255 };

function encode(change: Partial<Advertisement> = {}, envelope = ENVELOPE): Uint8Array {
  return encodeAdvertisement({ ...ADVERTISEMENT, ...change }, { checksum: 'rfc5798', ...envelope });
}

void t.test('the same bytes from the same sender are known again', async (t) => {
  const memory = new AdvertisementMemory();
  const first = memory.decode(encode(), ENVELOPE);
  t.match(first, { ok: true, advertisement: ADVERTISEMENT });
  t.equal(memory.decode(encode(), ENVELOPE), first, 'the very same answer');
});

void t.test('what differs in a byte or in the envelope is judged anew', async (t) => {
  const memory = new AdvertisementMemory();
  memory.decode(encode(), ENVELOPE);
  t.match(memory.decode(encode({ priority: 0 }), ENVELOPE), { advertisement: { priority: 0 } });
  memory.decode(encode(), ENVELOPE);
  const broken = encode();
  broken[2] = 200;
  t.match(memory.decode(broken, ENVELOPE), { reason: 'bad-checksum' });
  t.match(memory.decode(encode(), { ...ENVELOPE, ttl: 254 }), { reason: 'bad-ttl' });
  t.match(memory.decode(encode(), { ...ENVELOPE, ttl: 254, minTtl: 200 }), { ok: true });
  t.match(memory.decode(encode(), ENVELOPE), { ok: true });
  // Its checksum has the pseudo-header in it.
  t.match(memory.decode(encode(), { ...ENVELOPE, source: '192.0.2.12' }), { reason: 'bad-checksum' });
  t.match(memory.decode(encode(), { ...ENVELOPE, destination: '192.0.2.9' }), { reason: 'bad-checksum' });
  t.match(memory.decode(encode().subarray(0, 4), ENVELOPE), { reason: 'bad-length' });
});

void t.test('the bytes of the caller may change afterwards', async (t) => {
  const memory = new AdvertisementMemory();
  const bytes = encode();
  memory.decode(bytes, ENVELOPE);
  bytes.set(encode({ priority: 7 }));
  t.match(memory.decode(bytes, ENVELOPE), { advertisement: { priority: 7 } });
});

void t.test('a flood of senders is forgotten, and right all the same', async (t) => {
  const memory = new AdvertisementMemory();
  for (let i = 0; i < 1000; i++) {
    const envelope = { ...ENVELOPE, source: `10.0.${i >> 8}.${i & 0xff}` };
    t.ok(memory.decode(encode({}, envelope), envelope).ok);
  }
  t.match(memory.decode(encode(), ENVELOPE), { ok: true, advertisement: ADVERTISEMENT });
});
