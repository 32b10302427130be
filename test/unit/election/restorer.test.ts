/** What others take away comes back, at a pace. */
import t from 'tap';
import {
  FIRST_WAIT_MS,
  GIVE_UP_MS,
  LAST_WAIT_MS,
  LOOK_PAUSE_MS,
  QUIET_MS,
  RETRY_MS,
  Restorer,
  TAKEN_RETRY_MS,
} from '../../../src/runtime/election/repairs/restorer.js';
import { HandClock, settled } from '../hand-clock.js';

/** A kernel that has lost something, or refuses to take it. */
class World {
  readonly clock = new HandClock();
  readonly warnings: string[] = [];
  readonly atMs: number[] = [];
  readonly givenUp: string[] = [];
  missing = false;
  refusal: Error | undefined;
  /** Takes it away again whenever it was put back. */
  rival = false;
  readonly restorer: Restorer;

  constructor() {
    const silent = () => {};
    this.restorer = new Restorer({
      clock: this.clock,
      log: { debug: silent, info: silent, warn: (_, text) => this.warnings.push(text), error: silent },
      event: 'restored',
      words: (what) => `somebody removed ${what}: put back`,
      restore: async () => {
        this.atMs.push(this.clock.nowMs());
        if (this.refusal !== undefined) throw this.refusal;
        if (!this.missing) return [];
        this.missing = false;
        if (this.rival) queueMicrotask(() => this.take());
        return ['192.0.2.1/24 on eth0'];
      },
      onGivenUp: (instance) => this.givenUp.push(instance),
    });
  }

  take(): void {
    this.missing = true;
    this.restorer.lost('outside');
  }
}

function refusal(code: string): Error {
  return Object.assign(new Error(`refused: ${code}`), { code });
}

await t.test('at once, and told once it was really missing', async (t) => {
  const world = new World();
  world.take();
  await settled();
  t.equal(world.missing, false);
  t.same(world.warnings, ['outside: somebody removed 192.0.2.1/24 on eth0: put back']);
  world.restorer.lost('outside');
  await world.clock.advance(LOOK_PAUSE_MS);
  t.equal(world.atMs.length, 2);
  t.equal(world.warnings.length, 1, 'nothing was missing');
  await world.clock.advance(1000);
  world.take();
  await settled();
  t.equal(world.missing, false, 'the second time at once, too');
});

await t.test('a rival who never ends is met ever more slowly, and told of ever less', async (t) => {
  const world = new World();
  world.rival = true;
  world.take();
  await world.clock.advance(10_000);
  t.ok(world.atMs.length <= 12, `${world.atMs.length} times in the first 10 s`);
  const before = world.atMs.length;
  await world.clock.advance(100_000);
  const times = world.atMs.length - before;
  t.ok(times <= 100_000 / LAST_WAIT_MS + 1, `${times} times in 100 s`);
  t.ok(times >= 100_000 / LAST_WAIT_MS - 2, 'but never given up');
  t.ok(world.warnings.length <= 7, `${world.warnings.length} lines`);
  world.rival = false;
  await world.clock.advance(LAST_WAIT_MS + QUIET_MS + 1);
  const atMs = world.clock.nowMs();
  world.take();
  await settled();
  t.equal(world.atMs.at(-1), atMs, 'after a while of quiet at once again');
});

await t.test('a flood of losses while one is being put back makes one look more', async (t) => {
  const world = new World();
  for (let n = 0; n < 1000; n++) world.take();
  await settled();
  t.ok(world.atMs.length <= 2, `${world.atMs.length} looks`);
});

await t.test('what others remove and put back themselves, on and on, is looked at with pauses', async (t) => {
  const world = new World();
  for (let ms = 0; ms < 1000; ms++) {
    world.restorer.lost('outside');
    await world.clock.advance(1);
  }
  t.ok(world.atMs.length <= 1000 / LOOK_PAUSE_MS + 1, `${world.atMs.length} looks in a second`);
  t.same(world.warnings, []);
});

await t.test('what the kernel refuses is tried again, and in the end given up', async (t) => {
  const world = new World();
  world.refusal = refusal('ENETUNREACH');
  world.take();
  await settled();
  t.equal(world.restorer.troubleOf('outside'), 'refused: ENETUNREACH');
  await world.clock.advance(GIVE_UP_MS / 2);
  t.same(world.givenUp, []);
  t.same(world.warnings, ['outside: refused: ENETUNREACH'], 'told once');
  world.refusal = undefined;
  await world.clock.advance(RETRY_MS);
  t.equal(world.missing, false, 'in time');
  t.equal(world.restorer.troubleOf('outside'), undefined);
  world.refusal = refusal('ENETUNREACH');
  world.take();
  await world.clock.advance(2 * GIVE_UP_MS);
  t.same(world.givenUp, ['outside']);
});

await t.test('a place that somebody else has taken is waited for, however long', async (t) => {
  const world = new World();
  world.refusal = refusal('ERR_FOREIGN_ROUTE');
  world.take();
  await world.clock.advance(100 * TAKEN_RETRY_MS);
  t.same(world.givenUp, []);
  t.ok(world.atMs.length <= 102);
  world.refusal = undefined;
  world.restorer.lost('outside');
  await world.clock.advance(FIRST_WAIT_MS);
  t.equal(world.missing, false, 'an event is faster than the wait');
  world.refusal = refusal('ERR_FOREIGN_ROUTE');
  world.take();
  await world.clock.advance(FIRST_WAIT_MS);
  world.restorer.forget('outside');
  const looks = world.atMs.length;
  await world.clock.advance(10 * TAKEN_RETRY_MS);
  t.equal(world.atMs.length, looks, 'not for one that ought to hold nothing any more');
});
