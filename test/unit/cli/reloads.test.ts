import t from 'tap';
import { Reloads } from '../../../src/cli/processes/reloads.js';

async function turns(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

void t.test('ten wishes during a reload are one more, and none comes after the end', async (t) => {
  const ends: (() => void)[] = [];
  const reloads = new Reloads(() => new Promise((resolve) => ends.push(resolve)));
  for (let n = 0; n < 10; n += 1) reloads.request();
  t.equal(ends.length, 1);
  ends[0]?.();
  await turns();
  t.equal(ends.length, 2);
  ends[1]?.();
  await turns();
  t.equal(ends.length, 2, 'all are served');
  reloads.request();
  t.equal(ends.length, 3, 'a later one begins at once');
  reloads.request();
  reloads.close();
  ends[2]?.();
  await turns();
  reloads.request();
  await turns();
  t.equal(ends.length, 3);
});
