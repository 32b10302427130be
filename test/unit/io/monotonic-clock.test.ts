import { spawnSync } from 'node:child_process';
import t from 'tap';
import { monotonicClock } from '../../../src/io/host/clock.js';

const CLOCK = new URL('../../../src/io/host/clock.js', import.meta.url).href;

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

void t.test('many deadlines, in their order, with others cancelled in between', async (t) => {
  const begin = monotonicClock.nowMs();
  const done: number[] = [];
  const cancels: (() => void)[] = [];
  const wanted: number[] = [];
  for (let i = 0; i < 500; i++) {
    // Far enough ahead that none is due before all are set.
    const after = ((i * 7919) % 500) / 20 + 500;
    const cancel = monotonicClock.at(begin + after, () => done.push(after));
    if (i % 3 === 0) cancels.push(cancel);
    else wanted.push(after);
  }
  for (const cancel of cancels) cancel();
  for (const cancel of cancels) cancel();
  await new Promise<void>((resolve) => monotonicClock.at(begin + 530, resolve));
  t.strictSame(
    done,
    wanted.toSorted((a, b) => a - b),
  );
});

void t.test('one that throws does not stop the others; none that waits lets the process end', async (t) => {
  const script = `
    const { monotonicClock: clock } = await import(${JSON.stringify(CLOCK)});
    process.on('uncaughtException', (error) => console.log(error.message));
    const now = clock.nowMs();
    clock.at(now + 500, () => { throw new Error('first'); });
    clock.at(now + 510, () => console.log('second'));
    clock.at(now + 1e6, () => console.log('never'))();
  `;
  const options = { encoding: 'utf8', timeout: 60_000 } as const;
  const { stdout, status } = spawnSync(process.execPath, ['--input-type=module', '-e', script], options);
  t.equal(stdout, 'first\nsecond\n');
  t.equal(status, 0);
});
