import t from 'tap';
import { Discards } from '../../../src/runtime/election/reception/discards.js';
import {
  MAX_LINES,
  NEXT_LINE_MS,
  StrangerBudget,
} from '../../../src/runtime/election/reception/stranger-budget.js';
import type { Log } from '../../../src/runtime/ports.js';

function bench() {
  const lines: string[] = [];
  const say = (_fields: object, message: string): void => void lines.push(message);
  const log: Log = { debug: say, info: say, warn: say, error: say };
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, at: () => () => {} };
  const budget = new StrangerBudget(clock, log);
  return { lines, budget, discards: new Discards(clock, log, budget), wait: (ms: number) => (nowMs += ms) };
}

void t.test('a flood from sources without number costs a few lines, and every packet counts', (t) => {
  const { lines, discards, wait } = bench();
  for (let n = 0; n < 100_000; n += 1) {
    discards.discard('eth0', 'bad-checksum', `10.${n >> 16}.${(n >> 8) & 255}.${n & 255}`, 255);
  }
  t.equal(lines.length, MAX_LINES);
  t.same(discards.counters('eth0'), { discarded_bad_checksum: 100_000 });
  discards.discard('eth0', 'bad-ttl', '10.0.0.1', 254);
  t.equal(lines.length, MAX_LINES + 1, 'another kind of trouble is still heard of');
  wait(NEXT_LINE_MS);
  discards.discard('eth0', 'bad-checksum', '192.0.2.1', 255);
  t.match(lines.slice(-2), [/^99992 more lines of this kind were left out/, /192\.0\.2\.1/]);
  t.end();
});

void t.test('it fills again, and never beyond its limit', (t) => {
  const { budget, wait } = bench();
  const spend = () => {
    let lines = 0;
    while (budget.allows('x')) lines += 1;
    return lines;
  };
  t.equal(spend(), MAX_LINES);
  wait(3 * NEXT_LINE_MS - 1);
  t.equal(spend(), 2);
  wait(1);
  t.equal(spend(), 1, 'what is left of an interval is not lost');
  wait(1000 * NEXT_LINE_MS);
  t.equal(spend(), MAX_LINES);
  t.end();
});
