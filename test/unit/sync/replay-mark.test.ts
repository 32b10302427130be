import t from 'tap';
import { markFilter } from '../../../src/io/sync/replay-listener.js';
import { decodeMessage, MessageWriter, type SyncConnection } from '../../../src/sync/message.js';
import { MARK_BYTES, markMessage, markOf } from '../../../src/sync/replay-mark.js';
import { PROTOCOLS } from '../../../src/sync/uapi.js';
import { run } from '../io/bpf-machine.js';

const CONNECTION: SyncConnection = {
  protocol: PROTOCOLS.TCP,
  flags: 0,
  state: 1,
  clientAddress: Uint8Array.of(192, 0, 2, 1),
  clientPort: 40_000,
  virtualAddress: Uint8Array.of(192, 0, 2, 51),
  virtualPort: 80,
  destinationAddress: Uint8Array.of(10, 0, 0, 2),
  destinationPort: 80,
  fwmark: 0,
  timeoutSeconds: 900,
};

function messageOf(): Uint8Array {
  const writer = new MessageWriter(51, 1452);
  writer.add(CONNECTION);
  return writer.flush() ?? new Uint8Array();
}

void t.test('a kernel reads a message with a mark like one without', (t) => {
  const plain = messageOf();
  const marked = markMessage(plain, 0xfedc_ba98);
  t.equal(marked.length, plain.length + MARK_BYTES);
  t.strictSame(decodeMessage(marked), decodeMessage(plain));
  t.equal(decodeMessage(marked).fault, undefined);
  t.equal(markOf(marked), 0xfedc_ba98);
  t.equal(markOf(plain), undefined);
  for (let length = 0; length < MARK_BYTES; length++) t.equal(markOf(new Uint8Array(length)), undefined);
  t.end();
});

void t.test('the filter takes what has a mark', (t) => {
  const plain = messageOf();
  const udp = (payload: Uint8Array) => Uint8Array.of(...new Uint8Array(8), ...payload);
  const taken = (bytes: Uint8Array) => run(markFilter(), { bytes, dataAt: 0 });
  t.ok(taken(udp(markMessage(plain, 7))) > 0);
  t.equal(taken(udp(plain)), 0);
  for (let length = 0; length < 24; length++) t.equal(taken(new Uint8Array(length)), 0);
  t.end();
});
