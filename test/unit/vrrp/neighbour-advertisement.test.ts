import t from 'tap';
import { addressBytes } from '../../../src/util/ip-address.js';
import { unsolicitedNeighbourAdvertisement } from '../../../src/vrrp/neighbour-advertisement.js';

const MAC = Uint8Array.of(0x02, 0, 0, 0, 0, 0x0a);

function bytesOf(address: string): Uint8Array {
  return addressBytes(address) ?? new Uint8Array();
}

await t.test('the frame, byte by byte', async (t) => {
  const frame = unsolicitedNeighbourAdvertisement(MAC, bytesOf('fe80::7:253'));
  const expected = [
    '333300000001 02000000000a 86dd',
    // version 6, class c0, 32 bytes of payload, ICMPv6, hop limit 255
    '6c000000 0020 3a ff',
    'fe800000000000000000000000070253',
    'ff020000000000000000000000000001',
    // type 136, code 0. keepalived sends checksum 52e0 with flag O alone (20): R adds 80 to the sum's high byte
    '88 00 d2df a0000000',
    'fe800000000000000000000000070253',
    '02 01 02000000000a',
  ];
  t.equal(Buffer.from(frame).toString('hex'), expected.join('').replaceAll(' ', ''));
});

await t.test('the checksum folds', async (t) => {
  for (const address of ['::', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff', '2001:db8::1']) {
    const frame = unsolicitedNeighbourAdvertisement(
      Uint8Array.of(255, 255, 255, 255, 255, 255),
      bytesOf(address),
    );
    const view = new DataView(frame.buffer);
    let sum = 32 + 58;
    for (let at = 22; at < frame.length; at += 2) sum += view.getUint16(at);
    t.equal(sum % 0xffff, 0, address);
  }
});

await t.test('lengths that are none', async (t) => {
  t.throws(() => unsolicitedNeighbourAdvertisement(MAC.subarray(1), bytesOf('fe80::1')), RangeError);
  t.throws(() => unsolicitedNeighbourAdvertisement(MAC, bytesOf('192.0.2.1')), RangeError);
});
