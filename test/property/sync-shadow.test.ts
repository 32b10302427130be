/** The shadow table does what a Map would, whatever comes and goes. */
import fc from 'fast-check';
import t from 'tap';
import { DigestBuilder } from '../../src/sync/digest.js';
import type { SyncConnection } from '../../src/sync/message.js';
import { ShadowTable } from '../../src/sync/shadow-table.js';
import { CONN_F } from '../../src/sync/uapi.js';
import { hexText } from '../../src/util/hex.js';
import { syncConnection } from './sync-arbitraries.js';

const isTemplate = ({ flags }: SyncConnection) => (flags & CONN_F.TEMPLATE) !== 0;

function keyOf(one: SyncConnection): string {
  const addresses = [one.clientAddress, one.virtualAddress].map((bytes) => hexText(bytes));
  return [one.protocol, isTemplate(one), ...addresses, one.clientPort, one.virtualPort].join(' ');
}

function textOf(one: SyncConnection): string {
  return JSON.stringify(
    Object.entries(one)
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => [name, value instanceof Uint8Array ? hexText(value) : value])
      .map((pair) => JSON.stringify(pair))
      .sort(),
  );
}

/** Few keys, so that they meet again, and states as they are. */
const connection = fc
  .tuple(syncConnection, fc.integer({ min: 0, max: 30 }), fc.integer({ min: 1, max: 40 }))
  .map(([one, which, timeoutSeconds]): SyncConnection => {
    const length = one.clientAddress.length;
    const { persistenceEngine, persistenceData, ...rest } = one;
    return {
      ...rest,
      state: one.state % 11,
      protocol: which % 3 === 0 ? 6 : 17,
      clientAddress: new Uint8Array(length).fill(which),
      virtualAddress: new Uint8Array(length).fill(1),
      clientPort: which * 1000,
      virtualPort: 80,
      timeoutSeconds,
      // A name without data is nobody's.
      ...(persistenceData === undefined ? {} : { persistenceData, persistenceEngine }),
    };
  });
const step = fc.oneof(
  { weight: 9, arbitrary: connection },
  { weight: 1, arbitrary: fc.integer({ min: 1, max: 10 }) },
);

void t.test('hears, forgets, tells and digests as a Map', async (t) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400, size: 'max' }), (steps) => {
      const table = new ShadowTable();
      const model = new Map<string, { one: SyncConnection; endsAt: number }>();
      let now = 1000;
      for (const one of steps) {
        if (typeof one === 'number') {
          now += one;
          table.expire(now);
          for (const [key, { endsAt }] of model) if (endsAt <= now) model.delete(key);
        } else {
          table.hear(one, now);
          model.set(keyOf(one), { one, endsAt: now + one.timeoutSeconds });
        }
      }
      const expected = [...model.values()].map(({ one, endsAt }) =>
        isTemplate(one) ? one : { ...one, timeoutSeconds: endsAt - now },
      );
      t.equal(table.size, model.size);
      t.same([...table.connections(now)].map(textOf).sort(), expected.map(textOf).sort());
      const builder = new DigestBuilder();
      for (const one of expected) builder.add(one);
      t.same(table.digest(now), builder.digest());
    }),
    { numRuns: 60 },
  );
});

void t.test('a hundred thousand, of which half go, and as many come', async (t) => {
  const table = new ShadowTable();
  const numbered = (number: number, timeoutSeconds: number): SyncConnection => ({
    protocol: 6,
    flags: 0,
    state: 1,
    clientAddress: Uint8Array.of(10, number >>> 24, number >>> 16, number >>> 8),
    clientPort: number & 0xff,
    virtualAddress: Uint8Array.of(192, 168, 1, 253),
    virtualPort: 80,
    destinationAddress: Uint8Array.of(10, 10, 10, 2),
    destinationPort: 80,
    fwmark: 0,
    timeoutSeconds,
  });
  for (let number = 0; number < 100_000; number++)
    table.hear(numbered(number, number % 2 === 0 ? 10 : 900), 1);
  t.equal(table.size, 100_000);
  table.expire(11);
  t.equal(table.size, 50_000);
  for (let number = 100_000; number < 150_000; number++) table.hear(numbered(number, 900), 11);
  t.equal(table.size, 100_000);
  t.equal([...table.connections(12)].length, 100_000);
  t.equal(table.lost, 0);
});
