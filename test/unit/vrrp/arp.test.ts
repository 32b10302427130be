import t from 'tap';
import { gratuitousArp } from '../../../src/vrrp/gratuitous-arp.js';

void t.test('the frame is RFC 5227 section 2.3, byte for byte', async (t) => {
  const frame = gratuitousArp(Uint8Array.of(2, 0, 0, 0xaa, 0xbb, 0xcc), Uint8Array.of(192, 0, 2, 1));
  t.equal(
    Buffer.from(frame).toString('hex'),
    [
      'ffffffffffff', // Ethernet destination
      '020000aabbcc', // Ethernet source
      '0806', // ARP
      '0001', // ar$hrd Ethernet
      '0800', // ar$pro IPv4
      '06', // ar$hln
      '04', // ar$pln
      '0001', // ar$op request
      '020000aabbcc', // sender hardware address
      'c0000201', // sender protocol address
      '000000000000', // target hardware address
      'c0000201', // target protocol address
      '00'.repeat(18), // up to the shortest Ethernet frame
    ].join(''),
  );
});

void t.test('lengths are checked', async (t) => {
  t.throws(() => gratuitousArp(new Uint8Array(5), new Uint8Array(4)), RangeError);
  t.throws(() => gratuitousArp(new Uint8Array(6), new Uint8Array(16)), RangeError);
});
