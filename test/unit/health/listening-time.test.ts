import { setImmediate } from 'node:timers/promises';
import t from 'tap';
import { afterListening } from '../../../src/io/checks/listening-time.js';

const sleeping = new Int32Array(new SharedArrayBuffer(4));

/** Turns of an event loop that stands still for at least `turnMs` in each, until a time-out is over. */
async function turnsUntilExpired(timeoutMs: number, turnMs: number): Promise<number> {
  const over = new AbortController();
  afterListening(timeoutMs, () => over.abort());
  let turns = 0;
  while (!over.signal.aborted) {
    Atomics.wait(sleeping, 0, 0, turnMs);
    turns += 1;
    await setImmediate();
  }
  return turns;
}

await t.test('long turns do not make a time-out longer than it is', async (t) => {
  // A turn may last longer than it should, never shorter.
  const turns = await turnsUntilExpired(80, 15);
  t.ok(turns <= 6, `${turns} turns of 15 ms for 80 ms`);
});

await t.test('a standstill does not use a time-out up', async (t) => {
  const turns = await turnsUntilExpired(40, 80);
  t.ok(turns >= 4, `${turns} turns of 80 ms for 40 ms`);
});

await t.test('a time-out that is cancelled never comes', async (t) => {
  let came = 0;
  const cancel = afterListening(1, () => {
    came += 1;
  });
  cancel();
  await turnsUntilExpired(2, 2);
  t.equal(came, 0);
});
