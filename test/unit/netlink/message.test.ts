import fc from 'fast-check';
import t from 'tap';
import { NetlinkError, verdictOf } from '../../../src/io/netlink/netlink-error.js';
import {
  addressPayload,
  decodeAddress,
  decodeLink,
  deleteAddressMessage,
  setDownMessage,
} from '../../../src/netlink/address-messages.js';
import { AttributeWriter, decodeAttributes, optionalText } from '../../../src/netlink/attributes.js';
import {
  decodeDatagram,
  decodeVerdict,
  encodeMessage,
  type NetlinkFrame,
  NLM_F_ACK_TLVS,
  NLM_F_CAPPED,
  NLMSG_DONE,
  NLMSG_ERROR,
} from '../../../src/netlink/message.js';
import { addressText, canonicalAddress, knownAddressBytes } from '../../../src/util/ip-address.js';

/** These tests name bytes in little-endian order. */
const bigEndianHost = new Uint8Array(new Uint16Array([1]).buffer)[0] === 0;
const skip = bigEndianHost ? 'the expected bytes are little-endian' : false;

function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(/\s/g, ''), 'hex'));
}
function frame(type: number, flags: number, payload: Uint8Array): NetlinkFrame {
  return { type, flags, sequence: 1, payload };
}

await t.test('the guardian gets exactly these bytes', { skip }, async (t) => {
  t.same(
    deleteAddressMessage('192.168.1.253', 24, 3, 7),
    hex(`28000000 1500 0500 07000000 00000000
         02 18 00 00 03000000
         0800 0200 c0a801fd
         0800 0100 c0a801fd`),
  );
  t.same(
    setDownMessage(3, 7),
    hex(`20000000 1000 0500 07000000 00000000
         00 00 0000 03000000 00000000 01000000`),
  );
});

await t.test('messages and attributes survive the way there and back', async () => {
  const bytes = fc.uint8Array({ maxLength: 40 });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.integer({ min: 0, max: 0x3fff }), bytes), { maxLength: 8 }), (parts) => {
      const datagram = Buffer.concat(
        parts.map(([type, payload], index) => encodeMessage(type, 5, index, payload)),
      );
      const { frames, malformed } = decodeDatagram(datagram);
      const writer = new AttributeWriter();
      for (const [type, payload] of parts) writer.bytes(type, payload);
      const attributes = decodeAttributes(writer.finish());
      const last = new Map(parts);
      return (
        !malformed &&
        frames.length === parts.length &&
        frames.every(
          ({ type, flags, sequence, payload }, index) =>
            flags === 5 &&
            sequence === index &&
            type === parts[index]?.[0] &&
            Buffer.compare(payload, parts[index]?.[1] ?? new Uint8Array()) === 0,
        ) &&
        attributes.size === last.size &&
        [...attributes].every(
          ([type, payload]) => Buffer.compare(payload, last.get(type) ?? Buffer.of(1)) === 0,
        )
      );
    }),
  );
});

await t.test('no bytes make the decoders throw or read beyond the end', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), (bytes) => {
      const inside = (part: Uint8Array): boolean =>
        part.byteOffset >= bytes.byteOffset &&
        part.byteOffset + part.length <= bytes.byteOffset + bytes.length;
      decodeAddress(bytes);
      decodeLink(bytes);
      for (const flags of [0, NLM_F_ACK_TLVS, NLM_F_ACK_TLVS | NLM_F_CAPPED]) {
        decodeVerdict(frame(NLMSG_ERROR, flags, bytes));
        decodeVerdict(frame(NLMSG_DONE, flags, bytes));
      }
      return (
        decodeDatagram(bytes).frames.every(({ payload }) => inside(payload)) &&
        [...decodeAttributes(bytes).values()].every(inside)
      );
    }),
  );
});

await t.test('lengths that do not fit', { skip }, async (t) => {
  const good = encodeMessage(20, 0, 1, new Uint8Array(4));
  t.match(decodeDatagram(good), { malformed: false, frames: { length: 1 } });
  t.match(decodeDatagram(good.subarray(0, 19)), { malformed: true, frames: [] });
  t.match(decodeDatagram(Buffer.concat([good, hex('0f000000 1400 0000 00000000 00000000')])), {
    malformed: true,
    frames: { length: 1 },
  });
  t.match(decodeDatagram(Buffer.concat([good, hex('000000')])), { malformed: true, frames: { length: 1 } });
  t.equal(decodeAttributes(hex('0300 0100')).size, 0);
  t.equal(decodeAttributes(hex('0800 0100 00')).size, 0);
  t.equal(decodeAttributes(hex('0400 0180')).has(1), true, 'NLA_F_NESTED is no part of the type');
});

await t.test('verdicts', { skip }, async (t) => {
  const request = '14000000 1400 0506 01000000 00000000 aabbccdd';
  t.equal(verdictOf(frame(NLMSG_ERROR, 0, hex(`00000000 ${request}`))), undefined);
  t.equal(verdictOf(frame(NLMSG_DONE, 0, hex('00000000'))), undefined);
  t.equal(verdictOf(frame(NLMSG_DONE, 0, hex(''))), undefined);
  t.match(verdictOf(frame(NLMSG_ERROR, 0, hex(''))), { code: 'EPROTO' });
  t.match(verdictOf(frame(NLMSG_ERROR, 0, hex(`efffffff ${request}`))), {
    code: 'EEXIST',
    errno: 17,
    extendedAck: undefined,
    message: 'EEXIST: file already exists',
  });
  t.match(verdictOf(frame(NLMSG_ERROR, 0, hex('a1ffffff'))), { code: 'EOPNOTSUPP' });
  t.equal(new NetlinkError(5_000).code, 'E5000');

  const words = '0900 0100 6261642100 000000';
  const told = { code: 'EINVAL', extendedAck: 'bad!', message: 'EINVAL: invalid argument: bad!' };
  t.match(verdictOf(frame(NLMSG_ERROR, NLM_F_ACK_TLVS, hex(`eaffffff ${request} ${words}`))), told);
  const capped = hex(`eaffffff ${request.slice(0, -9)} ${words}`);
  t.match(verdictOf(frame(NLMSG_ERROR, NLM_F_ACK_TLVS | NLM_F_CAPPED, capped)), told);
  t.match(verdictOf(frame(NLMSG_DONE, NLM_F_ACK_TLVS, hex(`eaffffff ${words}`))), told);
  t.equal(optionalText(new Map([[1, hex('6500')]]), 1), 'e');
  t.equal(optionalText(new Map([[1, hex('65')]]), 1), 'e');
});

await t.test('addresses as text and as bytes', async (t) => {
  const cases: [text: string, canonical: string][] = [
    ['::', '::'],
    ['::1', '::1'],
    ['FE80:0:0:0::1', 'fe80::1'],
    ['2001:db8::', '2001:db8::'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2:3:4:5:6'],
    ['::ffff:10.0.0.1', '::ffff:10.0.0.1'],
    ['64:ff9b::192.0.2.1', '64:ff9b::c000:201'],
  ];
  for (const [text, canonical] of cases) {
    t.equal(canonicalAddress(text), canonical);
  }
  for (const bad of ['', '10.0.0', '10.0.0.256', '::g', 'fe80::1%eth0', '1::2::3']) {
    t.throws(() => canonicalAddress(bad), RangeError, bad);
  }
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 16, maxLength: 16 }), (bytes) => {
      const text = addressText(bytes);
      return text !== undefined && Buffer.compare(knownAddressBytes(text), bytes) === 0;
    }),
  );
  t.throws(() => addressPayload('new', '10.0.0.1', 33, 1), RangeError);
  t.throws(() => addressPayload('new', '::1', 129, 1), RangeError);
  t.throws(() => addressPayload('new', '10.0.0.1', -1, 1), RangeError);
});

await t.test('an address that was built is read back', async () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.ipV4(), fc.ipV6()),
      fc.integer({ min: 0, max: 32 }),
      fc.nat(),
      (address, prefixLength, interfaceIndex) => {
        const back = decodeAddress(addressPayload('new', address, prefixLength, interfaceIndex));
        return (
          back !== undefined &&
          back.address === canonicalAddress(address) &&
          back.prefixLength === prefixLength &&
          back.interfaceIndex === interfaceIndex &&
          back.family === (address.includes(':') ? 'ipv6' : 'ipv4')
        );
      },
    ),
  );
});
