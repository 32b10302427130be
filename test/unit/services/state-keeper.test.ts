import t from 'tap';
import type { Log, StateFile } from '../../../src/runtime/ports.js';
import {
  ATTEMPT_LIMIT_MS,
  FIRST_RETRY_MS,
  LAST_RETRY_MS,
  StateKeeper,
} from '../../../src/runtime/state-keeper.js';
import { HandClock } from '../hand-clock.js';

/** A file whose operations end when the test says so. */
function bench() {
  const clock = new HandClock();
  const told: string[] = [];
  const tell = (_fields: object, message: string) => void told.push(message);
  const log: Log = { debug: () => {}, info: tell, warn: tell, error: tell };
  const calls: { what: string; done(error?: string): void }[] = [];
  const operation = <T>(what: string, value: T): Promise<T> =>
    new Promise((resolve, reject) => {
      const done = (error?: string) => (error === undefined ? resolve(value) : reject(new Error(error)));
      calls.push({ what, done });
    });
  const file: StateFile<string> = {
    load: () => operation('load', 'what was left'),
    save: (state) => operation(`save ${state}`, undefined),
    remove: () => operation('remove', undefined),
  };
  const keeper = new StateKeeper({ clock, log, file, name: 'the file', empty: 'nothing' });
  return { clock, told, calls, keeper, whats: () => calls.map(({ what }) => what) };
}

/** What a promise has come to; undefined while it waits. */
function outcome<T>(promise: Promise<T>): () => T | 'resolved' | undefined {
  let value: T | 'resolved' | undefined;
  void promise.then((result) => {
    value = result ?? 'resolved';
  });
  return () => value;
}

void t.test('what was left is loaded', async (t) => {
  const { keeper, calls, told, clock } = bench();
  const loaded = outcome(keeper.load());
  calls[0]?.done();
  await clock.advance(10 * ATTEMPT_LIMIT_MS);
  t.equal(loaded(), 'what was left');
  t.same(told, []);
});

void t.test('a file that cannot be read is told, and a start goes on', async (t) => {
  const { keeper, calls, told, clock } = bench();
  const loaded = outcome(keeper.load());
  calls[0]?.done('EIO: i/o error, read');
  await clock.advance(0);
  t.equal(loaded(), 'nothing');
  t.match(told, [/^the file cannot be read \(EIO: .*starting without it/]);
});

void t.test('a file that does not come is not waited for', async (t) => {
  const { keeper, calls, told, clock, whats } = bench();
  const loaded = outcome(keeper.load());
  await clock.advance(ATTEMPT_LIMIT_MS - 1);
  t.equal(loaded(), undefined);
  await clock.advance(1);
  t.equal(loaded(), 'nothing');
  t.match(told, [/no answer within 2000 ms/]);
  const saved = outcome(keeper.save('a'));
  await clock.advance(0);
  t.equal(saved(), 'resolved', 'nor is a save behind it');
  t.same(whats(), ['load'], 'no second thread is held');
  calls[0]?.done();
  await clock.advance(0);
  t.same(whats(), ['load', 'save a'], 'which is made up for');
  t.equal(told.length, 1);
});

void t.test(
  'a save that hangs holds nobody up for longer than its limit, and the newest is written then',
  async (t) => {
    const { keeper, calls, told, clock, whats } = bench();
    const first = outcome(keeper.save('a'));
    const behind = outcome(keeper.save('b'));
    await clock.advance(ATTEMPT_LIMIT_MS);
    t.same([first(), behind()], ['resolved', 'resolved']);
    const later = [outcome(keeper.save('c')), outcome(keeper.remove()), outcome(keeper.save('d'))];
    await clock.advance(0);
    t.same(
      later.map((one) => one()),
      ['resolved', 'resolved', 'resolved'],
    );
    t.match(told, [/cannot be written \(no answer within 2000 ms\)/]);
    calls[0]?.done();
    await clock.advance(0);
    t.same(whats(), ['save a', 'save d']);
    t.match(told[1], /can be written again, after 1 failures/);
    calls[1]?.done();
    const last = outcome(keeper.remove());
    await clock.advance(0);
    calls[2]?.done();
    await clock.advance(0);
    t.equal(last(), 'resolved');
    t.same(whats(), ['save a', 'save d', 'remove']);
  },
);

void t.test('a save that fails is tried again at a pace, told once, and once when it works', async (t) => {
  const { keeper, calls, told, clock } = bench();
  const saved = outcome(keeper.save('a'));
  calls[0]?.done('ENOSPC: no space left on device, write');
  await clock.advance(0);
  t.equal(saved(), 'resolved', 'whoever waits goes on');
  let waitMs = FIRST_RETRY_MS;
  for (let attempt = 1; attempt < 10; attempt += 1) {
    await clock.advance(waitMs - 1);
    t.equal(calls.length, attempt);
    await clock.advance(1);
    t.equal(calls.length, attempt + 1);
    calls[attempt]?.done('ENOSPC: no space left on device, write');
    await clock.advance(0);
    waitMs = Math.min(2 * waitMs, LAST_RETRY_MS);
  }
  t.equal(told.length, 1);
  const newer = outcome(keeper.save('b'));
  t.equal(calls[10]?.what, 'save b', 'a newer state is tried at once');
  calls[10]?.done();
  await clock.advance(10 * LAST_RETRY_MS);
  t.equal(newer(), 'resolved');
  t.match(told[1], /can be written again, after 10 failures/);
  t.equal(calls.length, 11, 'and the older one is not written after it');
});

void t.test('what fails while a newer state waits leaves the newer one to be tried', async (t) => {
  const { keeper, calls, clock, whats } = bench();
  const both = [outcome(keeper.save('a')), outcome(keeper.save('b'))];
  calls[0]?.done('EROFS: read-only file system, open');
  await clock.advance(0);
  t.same(
    both.map((one) => one()),
    ['resolved', 'resolved'],
  );
  await clock.advance(FIRST_RETRY_MS);
  t.same(whats(), ['save a', 'save b']);
});
