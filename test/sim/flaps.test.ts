/** Real servers that come and go at random, over the services process and a simulated kernel: in the end its table and the state agree. */
import t from 'tap';
import { freshSeed } from './fresh-seed.js';
import { drawFlaps } from './services/draw.js';
import { History } from './services/history.js';

t.setTimeout(600_000);

const HISTORIES = 10;
/** In two minutes of each. */
const FLAPS = 1000;
/** Most flaps are over before a verdict falls; of these many the table has to hear in all. */
const LEAST_CHANGES = 500;

await t.test(`${HISTORIES * FLAPS} random flaps of a fresh seed`, async (t) => {
  const seed = freshSeed();
  const counts = new Map<string, number>();
  for (let number = 0; number < HISTORIES; number += 1) {
    const plan = drawFlaps(seed, number, FLAPS);
    const result = await new History(seed, number, undefined, plan).run();
    for (const [what, count] of result.counts) counts.set(what, (counts.get(what) ?? 0) + count);
    t.same(result.violation, undefined, `seed ${seed}, history ${number}`);
  }
  t.equal(counts.get('flap'), HISTORIES * FLAPS);
  for (const op of ['add-destination', 'edit-destination', 'delete-destination'])
    t.comment(`${op}: ${counts.get(op)}`);
  const changes = (counts.get('add-destination') ?? 0) + (counts.get('edit-destination') ?? 0);
  t.ok(changes > LEAST_CHANGES, `${changes} changes`);
});
