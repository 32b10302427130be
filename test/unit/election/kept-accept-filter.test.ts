/** Who takes the filter of accept_mode: false away, over a fake filter. */
import t from 'tap';
import { KeptAcceptFilter } from '../../../src/runtime/kept-accept-filter.js';
import { LOOK_MS } from '../../../src/runtime/looks.js';
import { HandClock } from '../hand-clock.js';

const VIPS = ['10.1.1.7', 'fd01::7'];

function open() {
  const clock = new HandClock();
  const said: string[] = [];
  const say = (_fields: object, words: string) => void said.push(words);
  const kernel = {
    addresses: [] as readonly string[],
    programs: 0,
    refusal: undefined as Error | undefined,
    drop: async (addresses: readonly string[]) => {
      kernel.programs += 1;
      if (kernel.refusal !== undefined) throw kernel.refusal;
      kernel.addresses = addresses;
    },
    find: async () => {
      if (kernel.addresses.length === 0) throw new Error('ENOENT');
    },
  };
  const log = { debug: () => {}, info: () => {}, warn: say, error: say };
  return {
    clock,
    said,
    kernel,
    kept: new KeptAcceptFilter({ filter: kernel, find: kernel.find, clock, log }),
  };
}

void t.test('a filter that is gone is made anew, and one that is there is left alone', async (t) => {
  const { clock, said, kernel, kept } = open();
  await kept.drop(VIPS);
  await clock.advance(10 * LOOK_MS);
  t.equal(kernel.programs, 1);
  kernel.addresses = [];
  await clock.advance(LOOK_MS + 1);
  t.strictSame(kernel.addresses, VIPS);
  t.match(said, [/somebody removed the filter of accept_mode: false/]);
});

void t.test('against a rival who goes on, less and less', async (t) => {
  const { clock, said, kernel, kept } = open();
  await kept.drop(VIPS);
  for (let second = 0; second < 600; second += 1) {
    kernel.addresses = [];
    await clock.advance(1000);
  }
  t.ok(kernel.programs < 30, `${kernel.programs} programs in ten minutes`);
  t.ok(said.length < 8, `${said.length} lines`);
});

void t.test('what the kernel refuses is told and tried again; without addresses nobody looks', async (t) => {
  const { clock, said, kernel, kept } = open();
  await kept.drop(VIPS);
  kernel.addresses = [];
  kernel.refusal = new Error('no');
  await clock.advance(LOOK_MS + 1);
  t.match(said, [/could not be made anew/]);
  kernel.refusal = undefined;
  await clock.advance(60_000);
  t.strictSame(kernel.addresses, VIPS);
  await kept.drop([]);
  const { programs } = kernel;
  await clock.advance(60_000);
  t.equal(kernel.programs, programs);
});

void t.test('an order that fails leaves none to be kept', async (t) => {
  const { clock, kernel, kept } = open();
  await kept.drop(VIPS);
  kernel.refusal = new Error('no');
  await t.rejects(kept.drop(['10.1.1.8']), { message: 'no' });
  kernel.refusal = undefined;
  kernel.addresses = [];
  await clock.advance(60_000);
  t.strictSame(kernel.addresses, []);
});
