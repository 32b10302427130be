import t from 'tap';
import type { Log } from '../../../src/runtime/ports.js';
import { SysctlKeeper } from '../../../src/runtime/services/keepers/sysctl-keeper.js';

const LOG: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** A kernel whose `readOnly` keys cannot be written. */
function kernel(values: Record<string, string>) {
  const readOnly = new Set<string>();
  const saved: Record<string, string>[] = [];
  const keeper = (before: Record<string, string>) =>
    new SysctlKeeper(before, {
      log: LOG,
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
  return { values, readOnly, saved, keeper };
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
