/** Messages taken from the wire between ipvsadm 1.31 and Linux 6.1, without their netlink headers. */
import t from 'tap';
import { decodeDestination, decodeInfo, decodeService } from '../../../src/ipvs/decode.js';
import { decodeDestinationStats, decodeServiceStats } from '../../../src/ipvs/decode-stats.js';
import { encodeOp } from '../../../src/ipvs/encode.js';
import { NO_TRAFFIC, type Service } from '../../../src/ipvs/model.js';

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

void t.test('the counters of a fresh service and a fresh destination are read', async (t) => {
  t.same(decodeServiceStats(DUMPED_SERVICE), {
    ok: true,
    value: { key: service.key, stats: NO_TRAFFIC, destinations: [] },
  });
  t.same(decodeDestinationStats(DUMPED_DESTINATION, 'ipv4'), {
    ok: true,
    value: { address: '10.10.10.2', port: 80, weight: 2, ...counters, stats: NO_TRAFFIC },
  });
});

/** `message` with `values` in its counters, each told to be `bytes` long: those are nested 1 to 10 in the attribute `type`. */
function counting(message: Uint8Array, type: number, bytes: 4 | 8, values: readonly bigint[]): Uint8Array {
  const counted = Uint8Array.from(message);
  const view = new DataView(counted.buffer);
  // What stands before the nest of counters: its length, its type, then the first counter's length and type.
  for (let at = 0; at + 8 <= counted.length; at += 4) {
    const isNest = view.getUint16(at + 2, true) === type && view.getUint16(at + 6, true) === 1;
    if (!isNest || view.getUint16(at + 4, true) !== bytes + 4) continue;
    let place = at + 4;
    for (const value of values) {
      const length = view.getUint16(place, true);
      if (length === 12) view.setBigUint64(place + 4, value, true);
      else view.setUint32(place + 4, Number(value), true);
      place += length;
    }
    return counted;
  }
  throw new Error(`no counters of ${bytes} bytes in it`);
}

const IN_ORDER = [1n, 2n, 3n, 4n, 5n, 6n, 7n, 8n, 9n, 10n];
const COUNTED = {
  connections: 1,
  incomingPackets: 2,
  outgoingPackets: 3,
  incomingBytes: 4,
  outgoingBytes: 5,
  connectionsPerSecond: 6,
  incomingPacketsPerSecond: 7,
  outgoingPacketsPerSecond: 8,
  incomingBytesPerSecond: 9,
  outgoingBytesPerSecond: 10,
};

void t.test('each counter is what the kernel says it is, of 64 bits', async (t) => {
  t.match(decodeServiceStats(counting(DUMPED_SERVICE, 12, 8, IN_ORDER)), {
    ok: true,
    value: { stats: COUNTED },
  });
  t.match(decodeDestinationStats(counting(DUMPED_DESTINATION, 12, 8, IN_ORDER), 'ipv4'), {
    ok: true,
    value: { stats: COUNTED },
  });
  const long = IN_ORDER.map((value) => value * 0x1_0000_0001n);
  t.match(decodeServiceStats(counting(DUMPED_SERVICE, 12, 8, long)), {
    ok: true,
    value: { stats: { connections: 0x1_0000_0001, outgoingBytesPerSecond: 0xa_0000_000a } },
  });
});

void t.test('a kernel that has no 64 bits is read all the same', async (t) => {
  // Its message ends before IPVS_SVC_ATTR_STATS64.
  const end = DUMPED_SERVICE.length - 124;
  const old = counting(DUMPED_SERVICE, 10, 4, IN_ORDER).slice(0, end);
  new DataView(old.buffer).setUint16(4, end - 4, true);
  t.match(decodeServiceStats(old), { ok: true, value: { stats: COUNTED } });
});

void t.test('cut anywhere, counters are a fault', async (t) => {
  for (let length = 0; length < DUMPED_SERVICE.length; length++) {
    if (decodeServiceStats(DUMPED_SERVICE.subarray(0, length)).ok)
      t.fail(`a service cut to ${length} bytes was taken`);
  }
  for (let length = 0; length < DUMPED_DESTINATION.length; length++) {
    if (decodeDestinationStats(DUMPED_DESTINATION.subarray(0, length), 'ipv4').ok)
      t.fail(`a destination cut to ${length} bytes was taken`);
  }
  t.pass();
});
