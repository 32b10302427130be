import t from 'tap';
import { StartGate } from '../../../src/io/processes/start-gate.js';
import { HandClock } from '../hand-clock.js';

const START_MS = 7;

/** Starts that take their time without giving up the event loop, as spawn(2) does. */
class SlowClock extends HandClock {
  #extraMs = 0;

  override nowMs(): number {
    return super.nowMs() + this.#extraMs;
  }

  override at(atMs: number, callback: () => void): () => void {
    return super.at(atMs - this.#extraMs, callback);
  }

  block(ms: number): void {
    this.#extraMs += ms;
  }
}

void t.test('one start a turn, in order, and as long a rest after each', async (t) => {
  const clock = new SlowClock();
  const gate = new StartGate(clock);
  const started: { which: number; atMs: number }[] = [];
  const firstMs = clock.nowMs();
  const all = Array.from({ length: 20 }, (_, which) =>
    gate.pass(() => {
      started.push({ which, atMs: clock.nowMs() - firstMs });
      clock.block(START_MS);
      return which;
    }),
  );
  t.equal(started.length, 1, 'the first at once, and it alone');
  for (let turns = 2; turns <= 20; turns += 1) {
    await clock.advance(START_MS);
    t.equal(started.length, turns);
  }
  t.same(
    started,
    all.map((_, which) => ({ which, atMs: 2 * START_MS * which })),
  );
  t.same(await Promise.all(all), [...all.keys()]);
  await clock.advance(START_MS);
  await gate.pass(() => t.pass('and who comes later does not wait'));
});

void t.test('what a start gives is not waited for, and one that fails holds up nobody', async (t) => {
  const clock = new HandClock();
  const gate = new StartGate(clock);
  void gate.pass(() => new Promise(() => {}));
  const broken = gate.pass(() => {
    throw new TypeError('no such thing');
  });
  const last = gate.pass(() => 'last');
  void broken.catch(() => {});
  await clock.advance(1);
  await t.rejects(broken, { message: 'no such thing' });
  t.equal(await last, 'last');
});
