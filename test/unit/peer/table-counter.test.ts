/** How many connections are too young to be known elsewhere. */
import t from 'tap';
import { TableCounter } from '../../../src/runtime/services/peer/table-counter.js';
import { HandClock } from '../hand-clock.js';

void t.test('fresh are those of the last seconds', async (t) => {
  const clock = new HandClock();
  let made = 100;
  let fails = false;
  const counter = new TableCounter(
    clock,
    async () => {
      if (fails) throw new Error('no');
      return { connections: 80, lasting: 70, established: 60, made };
    },
    () => {},
  );
  counter.turn(true);
  await clock.advance(1000);
  t.match(
    counter.last,
    { connections: 80, lasting: 70, established: 60, fresh: 60 },
    'all may be of just now',
  );
  await clock.advance(9000);
  t.match(counter.last, { fresh: 0 });
  made += 30;
  await clock.advance(2000);
  t.match(counter.last, { fresh: 30 });
  await clock.advance(4000);
  t.match(counter.last, { fresh: 30 }, 'a count that is five seconds old is the one that counts');
  await clock.advance(2000);
  t.match(counter.last, { fresh: 0 });
  made = 0;
  await clock.advance(2000);
  t.match(counter.last, { fresh: 0 }, 'a virtual server went, and its number with it');
  fails = true;
  await clock.advance(2000);
  t.equal(counter.last, undefined);
});

void t.test('a count that costs much is made seldom, and one that had to wait is none', async (t) => {
  const clock = new HandClock();
  const waits = [3000, 3000, 100, 3000];
  let counts = 0;
  let costMs = 0;
  const counter = new TableCounter(
    clock,
    () =>
      new Promise((resolve) => {
        const waitMs = costMs > 0 ? costMs : (waits[counts] ?? 100);
        counts += 1;
        clock.at(clock.nowMs() + waitMs, () =>
          resolve({ connections: 0, lasting: 0, established: 0, made: 0 }),
        );
      }),
    () => {},
  );
  counter.turn(true);
  await clock.advance(120_000);
  t.ok(counts > 50, `${counts} counts in two minutes`);
  costMs = 1000;
  await clock.advance(60_000);
  const before = counts;
  await clock.advance(120_000);
  t.ok(counts - before <= 7, `${counts - before} counts in two minutes`);
});

void t.test('somebody waits for a count', async (t) => {
  const clock = new HandClock();
  const begun: number[] = [];
  let answer: () => void = () => {};
  const counter: TableCounter = new TableCounter(
    clock,
    () => {
      begun.push(clock.nowMs());
      return new Promise((_, reject) => {
        answer = () => reject(new Error('the kernel does not tell'));
      });
    },
    // He asks again and again.
    () => counter.countNow(),
  );
  counter.countNow();
  t.equal(begun.length, 0, 'there is no table');
  counter.turn(true);
  counter.countNow();
  t.equal(begun.length, 1, 'one is under way');
  answer();
  await clock.advance(0);
  t.equal(begun.length, 1, 'one that fails is not tried again in the same moment');
  await clock.advance(600);
  counter.countNow();
  t.equal(begun.length, 2, 'sooner than its turn');
  answer();
  await clock.advance(2100);
  t.equal(begun.length, 3);
  answer();
  await clock.advance(0);
  counter.turn(false);
  await clock.advance(10_000);
  t.equal(begun.length, 3, 'and one at a time');
});
