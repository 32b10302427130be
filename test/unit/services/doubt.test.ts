import t from 'tap';
import { DOUBT_MS, Doubt } from '../../../src/runtime/services/doubt.js';
import type { RoleReport } from '../../../src/runtime/services/services-messages.js';
import { HandClock } from '../hand-clock.js';

const role = (state: RoleReport['state']): RoleReport => ({ state, settled: true });

function doubt() {
  const clock = new HandClock();
  const lines: string[] = [];
  const say = (_: object, words: string): void => void lines.push(words);
  let overs = 0;
  const one = new Doubt({
    clock,
    log: { debug: say, info: say, warn: say, error: say },
    over: () => void (overs += 1),
  });
  return { clock, lines, one, overs: () => overs };
}

void t.test('it lasts from the last sign on, and is told once', async (t) => {
  const { clock, lines, one, overs } = doubt();
  t.notOk(one.isOpen([role('master')]));
  t.ok(one.raise());
  await clock.advance(DOUBT_MS - 1);
  t.ok(one.isOpen([role('master')]));
  t.notOk(one.raise());
  await clock.advance(DOUBT_MS - 1);
  t.ok(one.isOpen([]));
  t.equal(overs(), 0);
  await clock.advance(1);
  t.notOk(one.isOpen([]));
  t.equal(overs(), 1);
  t.equal(lines.length, 1);
});

void t.test('a director whose instances are in fault forwards nothing, and knows nothing', async (t) => {
  const { one } = doubt();
  t.ok(one.isOpen([role('fault'), role('backup')]));
  t.notOk(one.isOpen([role('fault'), role('master')]), 'one that forwards goes by its checks');
  t.notOk(one.isOpen([role('backup'), undefined]));
});
