/** Running directors whose log cannot be written: the pair serves on, fails over and obeys. */
import t from 'tap';
import { Bench, FILE_LIMIT_MS, stop, test } from '../daemon-helpers.js';
import { becomes, TROUBLES, troubled } from './log-troubles.js';

t.jobs = 2;
t.setTimeout(FILE_LIMIT_MS);

for (const [name, shell] of Object.entries(TROUBLES)) {
  test(`the log of both goes to ${name}`, async (t) => {
    const bench = await Bench.open(t);
    const lb1 = await troubled(bench, 'lb1', shell);
    await becomes(lb1, 'master');
    const lb2 = await troubled(bench, 'lb2', shell);
    await becomes(lb2, 'backup');
    await bench.heldBy('lb1');
    t.match(await stop(lb1), { status: 0, signal: null }, 'it hands over and leaves');
    await becomes(lb2, 'master');
    await bench.heldBy('lb2');
    t.match(await stop(lb2), { status: 0, signal: null });
    await bench.heldBy(undefined);
  });
}
