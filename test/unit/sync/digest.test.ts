import fc from 'fast-check';
import t from 'tap';
import { BUCKETS, bucketOf, DigestBuilder } from '../../../src/sync/digest.js';
import type { SyncConnection } from '../../../src/sync/message.js';
import { syncConnection } from '../../property/sync-arbitraries.js';

function digestOf(connections: readonly SyncConnection[]) {
  const builder = new DigestBuilder();
  for (const connection of connections) builder.add(connection);
  const { counts, sums } = builder.digest();
  return { counts: [...counts], sums: [...sums] };
}

/** UDP: every one of it is compared. */
const udp = syncConnection.map((connection) => ({ ...connection, protocol: 17 }));

void t.test('the order plays no part; what is missing or goes elsewhere shows in its bucket', async (t) => {
  fc.assert(
    fc.property(fc.array(udp, { minLength: 1, maxLength: 50 }), fc.nat(), (connections, which) => {
      const whole = digestOf(connections);
      t.same(digestOf(connections.toReversed()), whole);
      const index = which % connections.length;
      const one = connections[index];
      if (one === undefined) return;
      const bucket = bucketOf(one);
      const missing = digestOf(connections.toSpliced(index, 1));
      t.equal(missing.counts[bucket], (whole.counts[bucket] ?? 0) - 1);
      const elsewhere = { ...one, destinationPort: one.destinationPort ^ 1 };
      const other = digestOf(connections.with(index, elsewhere));
      t.same(other.counts, whole.counts, 'the same bucket');
      t.not(other.sums[bucket], whole.sums[bucket]);
      const later = { ...one, timeoutSeconds: 1, flags: one.flags ^ 0x100, state: 0 };
      t.same(digestOf(connections.with(index, later)), whole, 'neither state nor timer count');
    }),
    { numRuns: 100 },
  );
});

void t.test('half open and closing connections are not compared', async (t) => {
  const [one] = fc.sample(syncConnection, { numRuns: 1, seed: 1 });
  if (one === undefined) throw new Error('no sample');
  const counted = (change: Partial<SyncConnection>) =>
    digestOf([{ ...one, flags: 0, ...change }]).counts.reduce((sum, count) => sum + count, 0);
  t.equal(counted({ protocol: 6, state: 1 }), 1, 'ESTABLISHED');
  t.equal(counted({ protocol: 6, state: 3 }), 0, 'SYN_RECV');
  t.equal(counted({ protocol: 6, state: 4 }), 0, 'FIN_WAIT');
  t.equal(counted({ protocol: 6, state: 0, flags: 0x1000 }), 1, 'a template');
  t.equal(counted({ protocol: 132, state: 8 }), 1, 'SCTP ESTABLISHED');
  t.equal(counted({ protocol: 132, state: 9 }), 0, 'SCTP SHUTDOWN_SENT');
});

void t.test('connections of one client spread over the buckets', async (t) => {
  const counts = digestOf(
    Array.from({ length: 50 * BUCKETS }, (_, index) => ({
      protocol: 6,
      flags: 0,
      state: 1,
      clientAddress: Uint8Array.of(10, 0, 0, 1),
      clientPort: 1024 + index,
      virtualAddress: Uint8Array.of(192, 168, 1, 253),
      virtualPort: 80,
      destinationAddress: Uint8Array.of(10, 10, 10, 2),
      destinationPort: 80,
      fwmark: 0,
      timeoutSeconds: 900,
    })),
  ).counts;
  t.equal(counts.length, BUCKETS);
  t.ok(
    Math.min(...counts) > 20 && Math.max(...counts) < 100,
    `${Math.min(...counts)} to ${Math.max(...counts)}`,
  );
});
