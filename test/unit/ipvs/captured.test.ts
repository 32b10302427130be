/** Messages taken from the wire between ipvsadm 1.31 and Linux 6.1, without their netlink headers. */
import t from 'tap';
import { decodeDestination, decodeInfo, decodeService } from '../../../src/ipvs/decode.js';
import { encodeOp } from '../../../src/ipvs/encode.js';
import type { Service } from '../../../src/ipvs/model.js';

const bytes = (...hex: readonly string[]): Uint8Array => Uint8Array.from(Buffer.from(hex.join(''), 'hex'));

/** IPVS_CMD_NEW_SERVICE of `ipvsadm -A -t 192.168.1.253:80 -s rr -p 300 -M 255.255.255.0`. */
const NEW_SERVICE = bytes(
  '01010000540001800600010002000000060002000600000014000300c0a801fd000000000000000000000000',
  '060004000050000007000600727200000c00070001000000ffffffff080008002c01000008000900ffffff00',
);
/** The kernel's answer to IPVS_CMD_GET_SERVICE after it. */
const DUMPED_SERVICE = bytes(
  '010100002c0101000600010002000000060002000600000014000300c0a801fd000000000000000000000000',
  '060004000050000007000600727200000c00070003000000ffffffff080008002c01000008000900ffffff00',
  '5c000a000800010000000000080002000000000008000300000000000c00040000000000000000000c00050000000000',
  '00000000080006000000000008000700000000000800080000000000080009000000000008000a0000000000',
  '7c000c000c00010000000000000000000c00020000000000000000000c00030000000000000000000c000400',
  '00000000000000000c00050000000000000000000c00060000000000000000000c00070000000000000000000c000800',
  '00000000000000000c00090000000000000000000c000a000000000000000000',
);
/** IPVS_CMD_NEW_DEST of `ipvsadm -a -t 192.168.1.253:80 -r 10.10.10.2 -g -w 2 -x 100 -y 50`. */
const NEW_DESTINATION = bytes(
  '05010000540001800600010002000000060002000600000014000300c0a801fd00000000000000000000000006000400',
  '0050000005000600000000000c00070000000000ffffffff080008000000000008000900ffffffff',
  '6000028006000b0002000000140001000a0a0a02000000000000000000000000060002000050000008000300',
  '03000000080004000200000005000d000000000006000e000000000006000f000000000008000500640000000800060032000000',
);
/** The kernel's answer to IPVS_CMD_GET_DEST after it. */
const DUMPED_DESTINATION = bytes(
  '0501000050010200140001000a0a0a0200000000000000000000000006000200005000000800030003000000080004000200000005000d00',
  '0000000006000e000000000006000f000000000008000500640000000800060032000000080007000000000008000800',
  '00000000080009000000000006000b00020000005c000a000800010000000000080002000000000008000300000000000c000400',
  '00000000000000000c00050000000000000000000800060000000000080007000000000008000800000000000800090000000000',
  '08000a00000000007c000c000c00010000000000000000000c00020000000000000000000c00030000000000000000000c000400',
  '00000000000000000c00050000000000000000000c00060000000000000000000c00070000000000000000000c000800',
  '00000000000000000c00090000000000000000000c000a000000000000000000',
);
const INFO = bytes('0e01000008000100010201000800020000100000');

const service: Service = {
  key: { family: 'ipv4', protocol: 6, address: '192.168.1.253', port: 80 },
  scheduler: 'rr',
  flags: 1,
  timeoutSeconds: 300,
  netmask: '255.255.255.0',
  destinations: [],
};
const destination = {
  address: '10.10.10.2',
  port: 80,
  forwarding: 'droute',
  weight: 2,
  upperThreshold: 100,
  lowerThreshold: 50,
} as const;
const counters = { activeConnections: 0, inactiveConnections: 0, persistentConnections: 0 };

void t.test('a service goes out byte for byte as from ipvsadm', async (t) => {
  t.same(Buffer.from(encodeOp({ op: 'add-service', service })), Buffer.from(NEW_SERVICE));
});

void t.test('what the kernel dumps is read, statistics left out', async (t) => {
  t.same(decodeService(DUMPED_SERVICE), { ok: true, value: service });
  t.same(decodeDestination(DUMPED_DESTINATION, 'ipv4'), { ok: true, value: { ...destination, ...counters } });
  t.same(decodeInfo(INFO), { ok: true, value: { version: '1.2.1', connectionTableSize: 4096 } });
});

void t.test('a destination says the same as ipvsadm’s', async (t) => {
  const ours = encodeOp({ op: 'add-destination', key: service.key, destination });
  t.same(decodeDestination(ours, 'ipv4'), decodeDestination(NEW_DESTINATION, 'ipv4'));
  t.match(decodeDestination(ours, 'ipv4'), { ok: true, value: destination });
});

void t.test('cut anywhere, a dump is a fault', async (t) => {
  for (let length = 0; length < DUMPED_SERVICE.length; length++) {
    const result = decodeService(DUMPED_SERVICE.subarray(0, length));
    if (result.ok) t.fail(`a service cut to ${length} bytes was taken`);
  }
  t.pass();
});
