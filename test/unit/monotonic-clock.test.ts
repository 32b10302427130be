import t from 'tap';
import { monotonicClock } from '../../src/io/clock.js';

void t.test('never early, once, and not at all when cancelled', async (t) => {
  const begin = monotonicClock.nowMs();
  const times: [due: number, at: number][] = [];
  let cancelled = 0;
  await new Promise<void>((resolve) => {
    for (let i = 0; i < 20; i++) {
      const due = begin + i + i / 7;
      monotonicClock.at(due, () => {
        times.push([due, monotonicClock.nowMs()]);
        if (times.length === 20) monotonicClock.at(monotonicClock.nowMs() + 5, resolve);
      });
    }
    monotonicClock.at(begin + 3, () => cancelled++)();
  });
  t.equal(times.length, 20);
  t.equal(cancelled, 0);
  t.ok(times.every(([due, at]) => at >= due));
});

void t.test('not early either when the turn of the event loop has lasted long', async (t) => {
  const begin = monotonicClock.nowMs();
  while (monotonicClock.nowMs() < begin + 20);
  const due = monotonicClock.nowMs() + 10;
  await new Promise<void>((resolve) => monotonicClock.at(due, resolve));
  t.ok(monotonicClock.nowMs() >= due);
});

void t.test('a time beyond the reach of setTimeout waits', async (t) => {
  let called = 0;
  const cancel = monotonicClock.at(monotonicClock.nowMs() + 3e9, () => called++);
  await new Promise((resolve) => setTimeout(resolve, 10));
  cancel();
  t.equal(called, 0);
});
