import t from 'tap';
import { BoundedLooks } from '../../../src/io/host/bounded-looks.js';

const SOON_MS = 20;

/** Work that ends when it is told. */
function hanging() {
  let end = (_value: string): void => {};
  let begun = 0;
  const work = () => {
    begun += 1;
    return new Promise<string>((resolve) => {
      end = resolve;
    });
  };
  return { work, begun: () => begun, end: (value: string) => end(value) };
}

void t.test(
  'looks that do not come back hold so many threads and no more, and only for themselves',
  async (t) => {
    const looks = new BoundedLooks<string>(2, SOON_MS);
    const hung = [hanging(), hanging(), hanging()];
    const outcomes = await Promise.all(hung.map(({ work }, n) => looks.look(`hung ${n}`, work)));
    t.same(
      outcomes.map((outcome) => outcome.type === 'late' && outcome.reason),
      ['no answer within 20 ms', 'no answer within 20 ms', '2 other looks do not come back'],
    );
    t.same(
      hung.map(({ begun }) => begun()),
      [1, 1, 0],
    );
    t.match(await looks.look('hung 0', hung[0]?.work ?? fail), {
      reason: 'an earlier look has not come back',
    });
    hung[0]?.end('at last');
    t.same(
      await looks.look('other', async () => 'well'),
      { type: 'done', value: 'well' },
      'a thread is free again',
    );
    t.same(await looks.look('hung 0', async () => 'well'), { type: 'done', value: 'well' });
  },
);

void t.test('at the same time, one look serves all; its failure is told to all', async (t) => {
  const looks = new BoundedLooks<string>(2, 60_000);
  const { work, begun, end } = hanging();
  const both = [looks.look('file', work), looks.look('file', work)];
  end('once');
  t.same(await Promise.all(both), [
    { type: 'done', value: 'once' },
    { type: 'done', value: 'once' },
  ]);
  t.equal(begun(), 1);
  await t.rejects(looks.look('file', fail), { message: 'no such file' });
  t.match(await looks.look('file', async () => 'there'), { value: 'there' });
});

async function fail(): Promise<string> {
  throw new Error('no such file');
}
