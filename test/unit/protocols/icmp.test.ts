import t from 'tap';
import { decodeEchoReply, encodeEchoRequest } from '../../../src/protocols/icmp.js';
import { hexText } from '../../../src/util/hex.js';

const ECHO = { identifier: 0x1234, sequence: 0xfffe, payload: Uint8Array.of(1, 2, 3) };
const HEADER = Uint8Array.of(0x45, ...new Uint8Array(19));

/** The answer to a request: type 0, with the sum that is 8 more in the first byte. */
function replyTo(request: Uint8Array): Uint8Array {
  const reply = request.slice();
  reply[0] = 0;
  const view = new DataView(reply.buffer);
  const sum = view.getUint16(2) + 0x0800;
  view.setUint16(2, (sum & 0xffff) + (sum >>> 16));
  return reply;
}

void t.test('a request has the checksum of RFC 1071 under IPv4, and none yet under IPv6', async (t) => {
  // 0800 + 1234 + fffe + 0102 + 0300 = 11e34, folded 1e35; its complement is e1ca.
  t.equal(hexText(encodeEchoRequest('ipv4', ECHO)), '0800e1ca1234fffe010203');
  t.equal(hexText(encodeEchoRequest('ipv6', ECHO)), '800000001234fffe010203');
});

void t.test('replies', async (t) => {
  const reply = Uint8Array.of(...HEADER, ...replyTo(encodeEchoRequest('ipv4', ECHO)));
  t.strictSame(decodeEchoReply('ipv4', reply), ECHO);
  const reply6 = encodeEchoRequest('ipv6', ECHO);
  t.equal(decodeEchoReply('ipv6', reply6), undefined, 'a request is no reply');
  reply6[0] = 129;
  t.strictSame(decodeEchoReply('ipv6', reply6), ECHO);
  for (let at = 20; at < reply.length; at += 1) {
    const damaged = reply.slice();
    damaged[at] = (damaged[at] ?? 0) ^ 0x10;
    t.equal(decodeEchoReply('ipv4', damaged), undefined, `byte ${at}`);
  }
  for (let length = 0; length < 28; length += 1) {
    t.equal(decodeEchoReply('ipv4', reply.subarray(0, length)), undefined);
  }
  for (let length = 0; length < 8; length += 1) {
    t.equal(decodeEchoReply('ipv6', reply6.subarray(0, length)), undefined);
  }
});
