/** The table of nftables over time: a fake nft that holds it, and somebody who flushes it. */
import t from 'tap';
import { SOURCE_NAT_REMOVAL } from '../../../src/planning/source-nat.js';
import type { Log } from '../../../src/runtime/ports.js';
import { SourceNatKeeper } from '../../../src/runtime/services/keepers/source-nat-keeper.js';
import { realServer, virtualServer } from '../config/servers.js';
import { HandClock } from '../hand-clock.js';

const NONE = { virtualServers: [], masquerades: [] };
const WEB = virtualServer({ realServers: [realServer('10.0.0.2', { forwarding: 'fullnat' })] });
const BOTH = { ...NONE, virtualServers: [WEB] };

interface Kernel {
  table: string | undefined;
  sets: number;
  refusal: string;
}

function keeper(made = false) {
  const clock = new HandClock();
  const lines: string[] = [];
  const saved: boolean[] = [];
  const say = (_: object, words: string): void => void lines.push(words);
  const log: Log = { debug: () => {}, info: say, warn: say, error: say };
  const kernel: Kernel = { table: made ? 'left' : undefined, sets: 0, refusal: '' };
  const nft = {
    set: async (ruleset: string) => {
      kernel.sets += 1;
      if (kernel.refusal !== '') throw new Error(kernel.refusal);
      kernel.table = ruleset === SOURCE_NAT_REMOVAL ? undefined : ruleset;
    },
    list: async () => kernel.table,
  };
  const ports = { clock, log, nft, save: async (one: boolean) => void saved.push(one) };
  const pass = async (ms: number): Promise<void> => {
    await clock.advance(ms);
    for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  };
  return { keeper: new SourceNatKeeper(made, ports), kernel, lines, saved, pass };
}

void t.test('nobody asks nft where nothing is to be translated', async (t) => {
  const { keeper: one, kernel, saved } = keeper();
  await one.apply({ ...NONE, virtualServers: [virtualServer()] });
  await one.restore();
  t.same([kernel.sets, saved], [0, []]);
});

void t.test(
  'it is known before it is there, the same file changes nothing, and it goes with the director',
  async (t) => {
    const { keeper: one, kernel, saved, lines } = keeper();
    await one.apply(BOTH);
    await one.apply(BOTH);
    t.match(kernel.table, '192.0.2.51 . 80 . 10.0.0.2 . 80');
    t.same([kernel.sets, saved], [1, [true]]);
    await one.restore();
    t.same([kernel.table, saved, lines], [undefined, [true, false], []]);
  },
);

void t.test('a reload without it takes it away, and so does the start after a crash', async (t) => {
  const first = keeper();
  await first.keeper.apply(BOTH);
  await first.keeper.apply(NONE);
  t.same([first.kernel.table, first.saved], [undefined, [true, false]]);
  const second = keeper(true);
  await second.keeper.apply(NONE);
  t.same([second.kernel.table, second.saved], [undefined, [false]]);
});

void t.test('who flushes the rules is told of, and they are put back', async (t) => {
  const { keeper: one, kernel, lines, pass } = keeper();
  await one.apply(BOTH);
  kernel.table = undefined;
  await pass(5000);
  t.match(kernel.table, '10.0.0.2');
  t.same(lines, ['somebody changed the table inet lvs_director_nat: repaired']);
  await pass(5000);
  t.equal(lines.length, 1);
  await one.restore();
  await pass(60_000);
  t.equal(kernel.table, undefined, 'not after the end');
});

void t.test('a refusal is told once, shown, and tried again', async (t) => {
  const { keeper: one, kernel, lines, pass } = keeper();
  kernel.refusal = 'forwarding: fullnat or masquerade needs the nft program (package nftables)';
  await one.apply(BOTH);
  t.equal(one.fault, kernel.refusal);
  await pass(5000);
  await pass(5000);
  t.equal(kernel.sets, 3);
  t.equal(lines.length, 1);
  kernel.refusal = '';
  await pass(5000);
  t.same([one.fault, lines.at(-1)], [undefined, 'the source translation is in force']);
});
