import fc from 'fast-check';
import t from 'tap';
import { ipv4Payload } from '../../../src/vrrp/ipv4-header.js';

function packet(first: number, totalLength: number, size: number): Uint8Array {
  const bytes = Uint8Array.from({ length: size }, (_, i) => i);
  bytes[0] = first;
  bytes[2] = totalLength >> 8;
  bytes[3] = totalLength & 0xff;
  return bytes;
}

void t.test('the payload begins behind the options and ends at the total length', async (t) => {
  t.same(ipv4Payload(packet(0x45, 23, 23)), Uint8Array.of(20, 21, 22));
  t.same(ipv4Payload(packet(0x46, 26, 40)), Uint8Array.of(24, 25), 'with options and trailing bytes');
  t.same(ipv4Payload(packet(0x45, 20, 20)), new Uint8Array());
});

void t.test('a header that is not sound has no payload', async (t) => {
  t.equal(ipv4Payload(new Uint8Array(19)), undefined, 'too short');
  t.equal(ipv4Payload(packet(0x65, 40, 40)), undefined, 'not IPv4');
  t.equal(ipv4Payload(packet(0x44, 40, 40)), undefined, 'IHL below 5');
  t.equal(ipv4Payload(packet(0x4f, 40, 40)), undefined, 'IHL beyond the total length');
  t.equal(ipv4Payload(packet(0x45, 41, 40)), undefined, 'total length beyond the packet');
});

void t.test('any bytes at any offset: no exception, never more than came', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat(8), (bytes, offset) => {
      const shifted = new Uint8Array(offset + bytes.length);
      shifted.set(bytes, offset);
      const payload = ipv4Payload(shifted.subarray(offset));
      return payload === undefined || payload.length <= bytes.length - 20;
    }),
  );
});
