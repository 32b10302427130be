/** Datagrams of the peer channel as bytes. */
import t from 'tap';
import {
  HEADER_BYTES,
  MAC_BYTES,
  MAX_DATAGRAM_BYTES,
  openDatagram,
  sealDatagram,
} from '../../../src/peer/wire.js';
import { hello, macOf, message } from './helloes.js';

const KEY = macOf('0123456789abcdef0123456789abcdef');

/** A good datagram with some bytes others. */
function changed(at: number, ...values: number[]): Uint8Array {
  const bytes = sealDatagram(message(), undefined);
  bytes.set(values, at);
  return bytes;
}

void t.test('what is said is heard', async (t) => {
  const whole = message({
    session: 0xffff_ffff_ffff_ffffn,
    sequence: Number.MAX_SAFE_INTEGER,
    answer: 3n,
    hello: hello({
      echo: { stampUs: 12, heldUs: 34 },
      gateway: 'silent',
      isComplete: false,
      asks: 0xffff_ffff,
      answer: { request: 9, state: 'failed', sent: 1_000_000 },
    }),
  });
  const bare = message({ hello: hello({ sections: {}, roles: [], table: undefined }) });
  for (const said of [whole, bare]) {
    for (const mac of [undefined, KEY]) {
      const bytes = sealDatagram(said, mac);
      t.same(openDatagram(bytes, mac), { ok: true, message: said });
    }
  }
});

void t.test('the largest that a director can say fits', async (t) => {
  const sections = Object.fromEntries(
    Array.from({ length: 40 }, (_, i) => [`${i}${'s'.repeat(30)}`, '0123456789abcdef']),
  );
  const largest = message({
    hello: hello({
      director: 'd'.repeat(100),
      version: 'v'.repeat(100),
      sections,
      roles: Array.from({ length: 300 }, () => 'fault' as const),
      echo: { stampUs: 1, heldUs: 1 },
      answer: { request: 9, state: 'done', sent: 1 },
    }),
  });
  const bytes = sealDatagram(largest, KEY);
  t.ok(bytes.length <= MAX_DATAGRAM_BYTES, `${bytes.length} bytes`);
  const heard = openDatagram(bytes, KEY);
  t.ok(heard.ok && Object.keys(heard.message.hello.sections).length === 16);
  t.ok(heard.ok && heard.message.hello.roles.length === 256);
});

void t.test('why one is not taken', async (t) => {
  const reasonOf = (bytes: Uint8Array, mac = undefined as typeof KEY | undefined) => {
    const result = openDatagram(bytes, mac);
    return result.ok ? 'taken' : result.reason;
  };
  t.equal(reasonOf(new Uint8Array()), 'bad-length');
  t.equal(reasonOf(new Uint8Array(MAX_DATAGRAM_BYTES + 1)), 'bad-length');
  t.equal(reasonOf(changed(0, 0)), 'bad-magic');
  t.equal(reasonOf(changed(4, 2)), 'bad-version');
  t.equal(reasonOf(changed(6, 0, HEADER_BYTES - 1)), 'bad-length');
  t.equal(reasonOf(changed(6, 0xff, 0xff)), 'bad-length');
  t.equal(reasonOf(changed(8, 0, 0, 0, 0, 0, 0, 0, 0)), 'bad-field', 'session 0');
  t.equal(reasonOf(changed(16, 0xff)), 'bad-field', 'a sequence beyond 2^53');
  t.equal(reasonOf(changed(HEADER_BYTES + 1, 0xff)), 'bad-field', 'a field beyond the end');
  t.equal(reasonOf(changed(HEADER_BYTES, 99)), 'bad-field', 'without a name');
  const sealed = sealDatagram(message(), KEY);
  t.equal(reasonOf(sealed), 'sealed');
  t.equal(reasonOf(sealDatagram(message(), undefined), KEY), 'unsealed');
  t.equal(reasonOf(sealed, macOf('another key, of as many bytes as it')), 'bad-mac');
  t.equal(reasonOf(sealed.subarray(0, -1), KEY), 'bad-length');
  for (let at = 5; at < sealed.length; at++) {
    const one = Uint8Array.from(sealed);
    one[at] = (one[at] ?? 0) ^ 1;
    if (reasonOf(one, KEY) === 'taken') t.fail(`byte ${at} is not covered`);
  }
  t.ok(sealed.length > HEADER_BYTES + MAC_BYTES);
});

void t.test('a later version may say more', async (t) => {
  const bytes = sealDatagram(message(), undefined);
  const more = Uint8Array.of(...bytes, 200, 0, 3, 1, 2, 3);
  new DataView(more.buffer).setUint16(6, more.length);
  t.same(openDatagram(more, undefined), { ok: true, message: message() });
});
