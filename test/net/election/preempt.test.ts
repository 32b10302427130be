/** `preempt: { after: synced }` on two directors whose tables nobody compares: it says what it waits for, and at_most ends it. */
import t from 'tap';
import {
  Bench,
  directorYaml,
  FILE_LIMIT_MS,
  INSIDE,
  inState,
  instanceOf,
  OUTSIDE,
  settled,
  stop,
  test,
  VIP,
} from '../daemon-helpers.js';

t.jobs = 3;
t.setTimeout(FILE_LIMIT_MS);

const AT_MOST_MS = 15_000;

test('a director that returns says what it waits for, and takes over after at_most', async (t) => {
  const bench = await Bench.open(t);
  const yaml = directorYaml({
    instances: [OUTSIDE, INSIDE],
    preempt: `{ after: synced, at_most: ${AT_MOST_MS}ms }`,
  });
  const lb2 = await bench.start('lb2', yaml);
  await inState(lb2, 'master');
  const lb1 = await bench.start('lb1', yaml);
  const startedMs = performance.now();
  await settled('it waits', async () => (await instanceOf(lb1)).awaits_sync !== null);
  const { awaits_sync: awaited, state } = await instanceOf(lb1);
  t.equal(state, 'backup');
  t.match(awaited, { text: 'nothing is synchronised', at_most_s: Number });
  const { output } = await bench.command('lb1', ['status', '--runtime-dir', lb1.runtimeDirectory]);
  t.match(
    output.join('\n'),
    /outside takes over when the connection table is complete, in at most \d+s: nothing/,
  );
  await inState(lb1, 'master');
  t.ok(performance.now() - startedMs > AT_MOST_MS);
  await bench.heldBy('lb1', VIP);
  const { awaits_sync: over, counters } = await instanceOf(lb1);
  t.equal(over, null);
  t.equal(counters['awaited_sync'], 1);
});

for (const [what, leave] of [
  ['is stopped', async (_: Bench, lb2: Parameters<typeof stop>[0]) => void (await stop(lb2))],
  [
    'hands over',
    async (bench: Bench, lb2: Parameters<typeof stop>[0]) => {
      const told = await bench.command('lb2', ['failover', '--runtime-dir', lb2.runtimeDirectory]);
      if (told.status !== 0) throw new Error(told.errors.join('\n'));
    },
  ],
] as const) {
  test(`a master that ${what} is not waited for`, async (t) => {
    const bench = await Bench.open(t);
    const yaml = directorYaml({ preempt: '{ after: synced, at_most: 1h }' });
    const lb2 = await bench.start('lb2', yaml);
    await inState(lb2, 'master');
    const lb1 = await bench.start('lb1', yaml);
    await settled('it waits', async () => (await instanceOf(lb1)).awaits_sync !== null);
    await leave(bench, lb2);
    await inState(lb1, 'master');
    await bench.heldBy('lb1', VIP);
    t.equal((await instanceOf(lb1)).awaits_sync, null);
  });
}
