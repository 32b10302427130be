/** The IPVS sync protocol: what is written is read again, and garbage is a value with a reason. */
import fc from 'fast-check';
import t from 'tap';
import {
  decodeMessage,
  MessageWriter,
  MIN_MESSAGE_BYTES,
  type SyncConnection,
} from '../../src/sync/message.js';
import { HEADER_BYTES } from '../../src/sync/uapi.js';
import { syncConnection } from './sync-arbitraries.js';

function written(connections: readonly SyncConnection[], syncid: number, maxBytes: number): Uint8Array[] {
  const writer = new MessageWriter(syncid, maxBytes);
  return [...connections.map((connection) => writer.add(connection)), writer.flush()].filter(
    (message) => message !== undefined,
  );
}

/** Bytes alone compare: one may be a view of a message. */
const copied = (connection: SyncConnection) =>
  Object.fromEntries(
    Object.entries(connection).map(([name, value]) => [
      name,
      value instanceof Uint8Array ? [...value] : value,
    ]),
  );

void t.test('what is written is read again, in messages within their bound', async (t) => {
  fc.assert(
    fc.property(
      fc.array(syncConnection, { maxLength: 300, size: 'max' }),
      fc.integer({ min: 1, max: 255 }),
      fc.constantFrom(0, MIN_MESSAGE_BYTES, 1452, 65_507),
      (connections, syncid, maxBytes) => {
        const messages = written(connections, syncid, maxBytes);
        const read = messages.map((message) => decodeMessage(message));
        for (const [index, { fault, version, entries }] of read.entries()) {
          t.equal(fault, undefined);
          t.equal(version, 1);
          t.ok(entries >= 1 && entries <= 255);
          t.ok((messages[index]?.length ?? 0) <= Math.max(maxBytes, MIN_MESSAGE_BYTES));
        }
        t.ok(read.every((message) => message.syncid === syncid));
        t.same(read.flatMap((message) => message.connections).map(copied), connections.map(copied));
      },
    ),
    { numRuns: 60 },
  );
});

const someMessage = fc
  .array(syncConnection, { minLength: 1, maxLength: 5 })
  .map((connections) => written(connections, 51, 65_507)[0] ?? new Uint8Array());

void t.test('damaged and cut messages', async (t) => {
  fc.assert(
    fc.property(
      someMessage,
      fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 8 }),
      fc.option(fc.nat(), { nil: undefined }),
      fc.boolean(),
      (message, changes, cut, isSizeTrue) => {
        const damaged = message.slice(0, cut === undefined ? message.length : cut % (message.length + 1));
        for (const [at, value] of changes) if (damaged.length > 0) damaged[at % damaged.length] = value;
        if (isSizeTrue && damaged.length >= 4) new DataView(damaged.buffer).setUint16(2, damaged.length);
        const { connections, entries, fault } = decodeMessage(damaged);
        if (damaged.length < 4) t.equal(fault, 'short header');
        t.ok(entries <= 255 && connections.length <= entries);
        // Every entry has its fixed part in the message.
        t.ok(connections.length * 36 + HEADER_BYTES <= Math.max(damaged.length, HEADER_BYTES));
        for (const { clientAddress, destinationAddress } of connections) {
          t.ok(clientAddress.length === 4 || clientAddress.length === 16);
          t.equal(destinationAddress.length, clientAddress.length);
        }
      },
    ),
    { numRuns: 2000 },
  );
});

void t.test('garbage', async (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (garbage) => {
      const { fault } = decodeMessage(garbage);
      const isSizeTrue = garbage.length >= 4 && new DataView(garbage.buffer).getUint16(2) === garbage.length;
      if (!isSizeTrue) t.not(fault, undefined);
    }),
    { numRuns: 2000 },
  );
});
