import t from 'tap';
import { DRAWABLE, drawPauses, drawScenarios } from '../../../src/drill/scenarios/draw.js';

void t.test('the same seed draws the same, another one draws others', async (t) => {
  const lot = { count: 200, seed: 7 };
  const drawn = drawScenarios(lot, DRAWABLE);
  t.same(drawScenarios(lot, DRAWABLE), drawn);
  t.notSame(drawScenarios({ ...lot, seed: 8 }, DRAWABLE), drawn);
  t.same(new Set(drawn), new Set(DRAWABLE), 'every one has its turn');
  t.same(drawScenarios({ ...lot, count: 5 }, DRAWABLE), drawn.slice(0, 5), 'a longer one begins alike');
  t.same(new Set(drawScenarios(lot, ['crash'])), new Set(['crash']));
});

void t.test('faults come at any time', async (t) => {
  const pause = drawPauses({ count: 0, seed: 7 });
  const pauses = Array.from({ length: 1000 }, pause);
  t.ok(pauses.every((ms) => ms >= 0 && ms < 1500));
  t.ok(Math.min(...pauses) < 100 && Math.max(...pauses) > 1400);
});
