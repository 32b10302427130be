import t from 'tap';
import { LOOK_MS } from '../../../src/runtime/looks.js';
import type { Log } from '../../../src/runtime/ports.js';
import { SysctlKeeper } from '../../../src/runtime/services/keepers/sysctl-keeper.js';
import { HandClock } from '../hand-clock.js';

/** A kernel whose `readOnly` keys cannot be written. */
function kernel(values: Record<string, string>) {
  const clock = new HandClock();
  const said: string[] = [];
  const say = (_fields: object, text: string) => void said.push(text);
  const log: Log = { debug: () => {}, info: () => {}, warn: say, error: say };
  const readOnly = new Set<string>();
  const saved: Record<string, string>[] = [];
  const keeper = (before: Record<string, string>) =>
    new SysctlKeeper(before, {
      clock,
      log,
      dispensable: () => false,
      save: async (state) => void saved.push({ ...state }),
      sysctls: {
        read: async (key) => values[key],
        write: async (key, value) => {
          if (readOnly.has(key)) throw new Error('read-only file system');
          values[key] = value;
        },
      },
    });
  return { clock, said, values, readOnly, saved, keeper };
}

void t.test('what could not be put back is known to the next start, which tries again', async (t) => {
  const { values, readOnly, saved, keeper } = kernel({ a: '0', b: '0' });
  const first = keeper({});
  await first.apply(new Map(['a', 'b'].map((key) => [key, '1'])));
  readOnly.add('a');
  await t.rejects(first.restore(), { code: 'ERR_SYSCTLS_LEFT', message: 'not put back: a' });
  t.same(values, { a: '1', b: '0' });
  t.same(saved.at(-1), { a: '0' });
  readOnly.clear();
  await keeper({ a: '0' }).apply(new Map());
  t.same(values, { a: '0', b: '0' });
  t.same(saved.at(-1), {});
});

void t.test('one that went with its interface is put back', async (t) => {
  const { saved, keeper } = kernel({});
  await keeper({ 'net.ipv4.conf.eth9.arp_ignore': '0' }).restore();
  t.same(saved.at(-1), {});
});

void t.test('what somebody writes is put right, told of, and paced', async (t) => {
  const { clock, said, values, readOnly, keeper } = kernel({ a: '0', b: '1', c: '1\t2' });
  const kept = keeper({});
  await kept.apply(new Map(Object.entries({ a: '1', b: '1', c: '1 2', d: '1' })));
  t.same(said.splice(0), ['this kernel has no sysctl d']);
  await clock.advance(LOOK_MS);
  t.same(said, [], 'all is as it is to be');

  Object.assign(values, { a: '0', b: '7', d: '0' });
  await clock.advance(LOOK_MS);
  t.same(values, { a: '1', b: '1', c: '1\t2', d: '1' });
  t.same(said.splice(0), [
    'somebody set a to 0: repaired',
    'somebody set b to 7: repaired',
    'somebody set d to 0: repaired',
  ]);

  // Somebody who goes on.
  let repairs = 0;
  said.splice(0);
  for (let look = 0; look < 12; look += 1) {
    values['a'] = '0';
    await clock.advance(LOOK_MS);
    if (values['a'] === '1') repairs += 1;
  }
  t.ok(repairs >= 3 && repairs < 9, `${repairs} of 12`);
  t.ok(said.length > 0 && said.length < repairs, `told of ${said.length} times`);
  await clock.advance(120_000);
  said.splice(0);
  readOnly.add('a');
  values['a'] = '0';
  await clock.advance(5 * LOOK_MS);
  t.same(said.splice(0), ['read-only file system; it is tried again'], 'once');
  t.same(kept.faults, ['read-only file system']);
  readOnly.clear();
  await clock.advance(120_000);
  t.same(kept.faults, []);

  await kept.restore();
  t.same(values, { a: '0', b: '1', c: '1\t2', d: '0' }, 'as before us');
  values['b'] = '7';
  await clock.advance(10 * LOOK_MS);
  t.equal(values['b'], '7', 'nobody looks any more');
});
