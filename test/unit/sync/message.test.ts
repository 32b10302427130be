/** The bytes of ip_vs_sync.c, and what a backup's kernel makes of wrong ones. */
import t from 'tap';
import { decodeMessage, MessageWriter } from '../../../src/sync/message.js';
import { hexText } from '../../../src/util/hex.js';

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ''), 'hex'));

/** Two entries: the first has a parameter that ends at an odd place, so that padding stands behind it. */
const HEADER = '00 33 0054 02 01 0000';
const FIRST = `00 06 0027 00000080 0001 d431 0050 1f40 00000007 00000384
  c0a80102 c0a801fd 0a0a0a02 43 01 aa 00`;
const SECOND = '00 11 0024 00000100 0000 d432 0035 0035 00000000 0000012c c0a80103 c0a801fd 0a0a0a03';
const MESSAGE = bytes(`${HEADER}${FIRST}${SECOND}`);

const changed = (at: number, value: number): Uint8Array => {
  const copy = MESSAGE.slice();
  copy[at] = value;
  return copy;
};

void t.test('a message', async (t) => {
  const { version, syncid, entries, fault, connections } = decodeMessage(MESSAGE);
  t.strictSame([version, syncid, entries, fault], [1, 0x33, 2, undefined]);
  t.match(connections[0], {
    protocol: 6,
    flags: 0x80,
    state: 1,
    clientPort: 54_321,
    virtualPort: 80,
    destinationPort: 8000,
    fwmark: 7,
    timeoutSeconds: 900,
  });
  t.strictSame([...(connections[0]?.destinationAddress ?? [])], [10, 10, 10, 2]);
  t.match(connections[1], { protocol: 17, flags: 0x100, clientPort: 54_322, timeoutSeconds: 300 });
});

void t.test('is written with the same bytes', async (t) => {
  const writer = new MessageWriter(0x33, 1452);
  for (const connection of decodeMessage(MESSAGE).connections) writer.add(connection);
  const plain = changed(44, 0x03);
  t.equal(hexText(writer.flush() ?? new Uint8Array()), hexText(plain), 'no bit that lets it be passed over');
  t.equal(writer.flush(), undefined, 'and the next one begins empty');
});

void t.test('nr_conns has eight bits, however long messages may be', async (t) => {
  const [connection] = decodeMessage(MESSAGE).connections;
  const writer = new MessageWriter(1, 65_507);
  const full = Array.from({ length: 256 }, () => connection && writer.add(connection)).filter(
    (message) => message !== undefined,
  );
  t.equal(full.length, 1);
  t.equal(decodeMessage(full[0] ?? new Uint8Array()).connections.length, 255);
});

void t.test('what is wrong ends the message there', async (t) => {
  const ends = (message: Uint8Array) => {
    const { entries, fault } = decodeMessage(message);
    return [entries, fault];
  };
  t.strictSame(ends(bytes('003300')), [0, 'short header']);
  t.strictSame(ends(MESSAGE.subarray(0, 60)), [0, 'wrong size']);
  t.strictSame(ends(changed(4, 3)), [2, 'short entry'], 'more are announced than there are');
  t.strictSame(ends(changed(4, 1)), [1, undefined], 'less are');
  t.strictSame(ends(changed(8, 2)), [0, 'unknown entry type']);
  t.strictSame(ends(changed(8, 1)), [0, 'short entry'], 'of IPv6, and too short for it');
  t.strictSame(ends(changed(10, 0x10)), [0, 'unknown entry version']);
  t.strictSame(ends(changed(11, 0x20)), [0, 'short entry'], 'a size below its own fields');
  t.strictSame(ends(changed(11, 0xff)), [0, 'short entry'], 'a size beyond the message');
  t.strictSame(ends(changed(45, 0)), [0, 'bad parameter'], 'of no length');
  t.strictSame(ends(changed(45, 2)), [0, 'bad parameter'], 'longer than its entry');
  t.strictSame(ends(changed(44, 1)), [0, 'bad parameter'], 'sequence numbers are 24 bytes');
});

void t.test('an unknown parameter', async (t) => {
  t.equal(decodeMessage(changed(44, 0x44)).connections.length, 2, 'that may be passed over');
  const { connections, entries, fault } = decodeMessage(changed(44, 0x04));
  t.equal(connections[0]?.protocol, 17, 'that may not: its entry is, and the next one is taken');
  t.strictSame([entries, fault], [2, undefined]);
});

void t.test('version 0 is told from version 1, and counted', async (t) => {
  const entry = '00 06 d431 0050 1f40 c0a80102 c0a801fd 0a0a0a02 0100 0001';
  const withSequences = `${entry.replace('0100 0001', '0200 0001')} ${'00'.repeat(24)}`;
  const { version, syncid, entries, fault } = decodeMessage(bytes(`02 33 004c ${entry} ${withSequences}`));
  t.strictSame([version, syncid, entries, fault], [0, 0x33, 2, undefined]);
  t.equal(
    decodeMessage(bytes(`02 33 0034 ${entry} ${entry.replace('0100 0001', '0200 0001')}`)).fault,
    'short entry',
  );
});
