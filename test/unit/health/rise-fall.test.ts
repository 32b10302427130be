import fc from 'fast-check';
import t from 'tap';
import { INITIAL, provisional, type RiseFallState, step } from '../../../src/health/rise-fall.js';

/** Outcomes as text, + and -, to verdicts as text: U up, D down, ? unknown. */
function run(state: RiseFallState, outcomes: string, rise: number, fall: number): string {
  let verdicts = '';
  for (const outcome of outcomes) {
    state = step(state, outcome === '+', { rise, fall });
    verdicts += { up: 'U', down: 'D', unknown: '?' }[state.verdict];
  }
  return verdicts;
}

await t.test('timelines', async (t) => {
  t.equal(run(INITIAL, '+', 3, 3), 'U', 'a first success decides');
  t.equal(run(INITIAL, '---', 3, 3), '??D', 'a first failure counts as any other');
  t.equal(run(INITIAL, '--+', 3, 3), '??U', 'until there is a verdict, a success decides');
  t.equal(run(INITIAL, '+---', 2, 3), 'UUUD', 'fall in a row');
  t.equal(run(INITIAL, '+--+--+---', 2, 3), 'UUUUUUUUUD', 'a success starts the count anew');
  t.equal(run(INITIAL, '---+-++', 2, 3), '??DDDDU', 'rise in a row');
  t.equal(run(INITIAL, '+-+', 1, 1), 'UDU');
  t.equal(run(provisional('up'), '---', 2, 3), 'UUD', 'a provisional verdict falls like any other');
  t.equal(run(provisional('down'), '+', 2, 3), 'U', 'and rises at the first success');
  t.equal(run(provisional('down'), '-+', 2, 3), 'DD', 'unless the new check has confirmed it');
  t.equal(run(provisional('up'), '+--', 2, 3), 'UUU');
});

await t.test('the verdict turns only after rise or fall outcomes in a row against it', async () => {
  fc.assert(
    fc.property(
      fc.array(fc.boolean(), { minLength: 1, maxLength: 60 }),
      fc.integer({ min: 1, max: 5 }),
      fc.integer({ min: 1, max: 5 }),
      (outcomes, rise, fall) => {
        let state = INITIAL;
        for (const [index, ok] of outcomes.entries()) {
          const before = state.verdict;
          state = step(state, ok, { rise, fall });
          const needed = ok ? rise : fall;
          const row = outcomes.slice(Math.max(0, index + 1 - needed), index + 1);
          const decides = ok && before === 'unknown';
          const turned = decides || (row.length === needed && row.every((each) => each === ok));
          const expected = turned ? (ok ? 'up' : 'down') : before;
          if (state.verdict !== expected) {
            return false;
          }
        }
        return true;
      },
    ),
  );
});
