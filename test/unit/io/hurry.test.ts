import { getPriority } from 'node:os';
import t from 'tap';
import { inHurry } from '../../../src/io/host/real-time.js';

/** Root may hurry, and others go on as usual. */
const HURRIED = process.getuid?.() === 0 ? -14 : getPriority();

void t.test('work in a hurry, and the end of it', async (t) => {
  const usual = getPriority();
  let finish = (): void => {};
  const first = inHurry(async () => {
    await new Promise<void>((resolve) => {
      finish = resolve;
    });
    return getPriority();
  });
  t.equal(await inHurry(async () => getPriority()), HURRIED);
  t.equal(getPriority(), HURRIED, 'the first one is still under way');
  finish();
  t.equal(await first, HURRIED);
  t.equal(getPriority(), usual);
  await t.rejects(
    inHurry(async () => {
      throw new Error('refused');
    }),
    /refused/,
  );
  t.equal(getPriority(), usual, 'also after work that fails');
});
