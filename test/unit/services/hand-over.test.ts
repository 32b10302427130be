/** Who tells and who waits when the master changes, over a fake nft. */
import t from 'tap';
import { HAND_OVER_REMOVAL } from '../../../src/planning/hand-over.js';
import { LOOK_MS } from '../../../src/runtime/looks.js';
import type { Log } from '../../../src/runtime/ports.js';
import { SWEEP_MS } from '../../../src/runtime/services/closed-sweep.js';
import { AGAIN_MS, HandOver, TELL_LIMIT_MS, WAIT_MS } from '../../../src/runtime/services/hand-over.js';
import type { Roles } from '../../../src/runtime/services/services-messages.js';
import type { VrrpState } from '../../../src/vrrp/group-types.js';
import { onPort, realServer, virtualServer } from '../config/servers.js';
import { HandClock, settled } from '../hand-clock.js';
import { directorConfig, vrrpInstance } from '../vrrp/instances.js';

const WEB = virtualServer({ realServers: [realServer('10.0.0.2')] });
const CONFIG = directorConfig({
  instances: [vrrpInstance({ addresses: [{ address: '192.0.2.51', prefixLength: 24, interface: 'eth0' }] })],
  virtualServers: [WEB],
  connectionSync: { interface: 'eth1', id: 51 },
});

function open({ left }: { left?: string } = {}) {
  const clock = new HandClock();
  const kernel = {
    table: left,
    sets: 0,
    /** Timeout of what was put into the gate. */
    gates: [] as number[],
    replays: 0,
    limits: [] as number[],
    /** Virtual addresses whose closed connections it was to forget. */
    forgotten: [] as string[],
    refusal: '',
  };
  const refuseWithoutTable = (): void => {
    if (kernel.table === undefined) throw new Error('ENOENT: no such file or directory');
  };
  const lines: string[] = [];
  const say = (_: object, words: string): void => void lines.push(words);
  const log: Log = { debug: () => {}, info: () => {}, warn: say, error: say };
  const part = new HandOver({
    clock,
    log,
    nft: {
      set: async (ruleset) => {
        if (kernel.refusal !== '') throw new Error(kernel.refusal);
        kernel.sets += 1;
        kernel.table = ruleset === HAND_OVER_REMOVAL ? undefined : ruleset;
      },
      list: async () => kernel.table,
    },
    nftSets: {
      change: async (elements) => {
        refuseWithoutTable();
        kernel.gates.push(...elements.map(({ timeoutMs }) => timeoutMs));
      },
      find: async () => refuseWithoutTable(),
    },
    tellYoung: async (limitMs) => {
      if (limitMs === 0) return 0;
      kernel.replays += 1;
      kernel.limits.push(limitMs);
      return 3;
    },
    forgetClosed: async (virtualAddresses) => {
      kernel.forgotten.push([...virtualAddresses].join());
      return 5;
    },
    ownAddresses: () => ['192.0.2.11'],
  });
  const become = async (state: VrrpState): Promise<void> => {
    const roles: Roles = { outside: { state, settled: true } };
    part.roles(roles);
    for (let turn = 0; turn < 5; turn++) await settled();
  };
  return { part, kernel, clock, lines, become };
}

void t.test('a backup waits, a new master still does, an old one does not', async (t) => {
  const { part, kernel, clock, become } = open();
  await become('backup');
  await part.configure(CONFIG);
  t.match(kernel.table, /elements = \{ tcp \}/);
  await become('master');
  t.strictSame(kernel.gates, [WAIT_MS], 'its predecessor may not have told of all');
  await clock.advance(60_000);
  const { sets } = kernel;
  await part.configure(CONFIG);
  t.equal(kernel.sets, sets, 'a reload that changes nothing does nothing');
  t.equal(kernel.replays, 0, 'it has told nobody');
  await become('backup');
  t.strictSame(kernel.gates, [WAIT_MS, Number.POSITIVE_INFINITY], 'it waits again');
  t.equal(kernel.sets, sets, 'a role starts no program');
  await become('master');
  await part.configure({ ...CONFIG, virtualServers: [onPort(WEB, 81)] });
  t.match(
    kernel.table,
    /elements = \{ tcp timeout 5000ms \}[^]*192\.0\.2\.51 \. 81/,
    'a reload keeps what waits',
  );
  await part.close();
  t.equal(kernel.table, undefined);
});

void t.test('a role that changes while nft runs is not forgotten', async (t) => {
  const { part, kernel, become } = open();
  await become('master');
  const configured = part.configure(CONFIG);
  await become('backup');
  await configured;
  t.ok(
    kernel.gates.at(-1) === Number.POSITIVE_INFINITY || /\{ tcp \}/.test(kernel.table ?? ''),
    'it waits in the end',
  );
});

void t.test('a table that somebody took away is made anew, at the latest when a role changes', async (t) => {
  const { part, kernel, clock, lines, become } = open();
  await become('backup');
  await part.configure(CONFIG);
  kernel.table = undefined;
  await clock.advance(LOOK_MS);
  t.match(kernel.table, /elements = \{ tcp \}/);
  t.match(lines, [/the table inet lvs_director_hand_over is made anew: ENOENT/]);
  kernel.table = undefined;
  await become('master');
  t.match(kernel.table, /tcp timeout 5000ms/);
  await part.close();
  await clock.advance(60_000);
  t.equal(kernel.table, undefined, 'not any more after the end');
});

void t.test('who lets go tells the peer, at once and once more', async (t) => {
  const { part, kernel, clock, become } = open();
  await become('master');
  await part.configure(CONFIG);
  t.equal(kernel.replays, 0);
  await become('backup');
  t.equal(kernel.replays, 1);
  await clock.advance(AGAIN_MS);
  t.equal(kernel.replays, 2);
  t.strictSame(kernel.limits, [TELL_LIMIT_MS, TELL_LIMIT_MS - AGAIN_MS], 'and not when it is old news');
  await become('backup');
  await clock.advance(60_000);
  t.equal(kernel.replays, 2);
  await become('master');
  await part.configure({ ...CONFIG, connectionSync: undefined });
  await become('initialize');
  await clock.advance(60_000);
  t.equal(kernel.replays, 2, 'there is nobody to tell without connection_sync');
  t.equal(kernel.table, undefined);
});

void t.test(
  'closed connections are forgotten by a backup, at leisure, and when it has told of the youngest',
  async (t) => {
    const { part, kernel, clock, become } = open();
    await part.configure(CONFIG);
    await clock.advance(SWEEP_MS);
    t.strictSame(kernel.forgotten, [], 'it may be master of all, for what this process knows');
    await become('backup');
    await clock.advance(SWEEP_MS);
    t.strictSame(kernel.forgotten, ['192.0.2.51', '192.0.2.51']);
    kernel.forgotten = [];
    await become('master');
    await clock.advance(60_000);
    t.strictSame(kernel.forgotten, [], 'a master forgets nothing');
    await become('backup');
    t.strictSame(kernel.forgotten, [], 'it tells first');
    await clock.advance(AGAIN_MS);
    t.strictSame(kernel.forgotten, ['192.0.2.51']);
    await part.configure({ ...CONFIG, connectionSync: undefined });
    await clock.advance(60_000);
    t.equal(kernel.forgotten.length, 1, 'there is no daemon to hear of it');
    await part.close();
  },
);

void t.test('a stop with a successor is a hand-over, too', async (t) => {
  const { part, kernel, become } = open();
  await become('master');
  await part.configure(CONFIG);
  await part.succeeded();
  t.equal(kernel.replays, 2, 'before the table goes');
});

void t.test('what an earlier process left goes, and a host without nft is told once', async (t) => {
  const old = open({ left: 'old' });
  await old.part.configure({ ...CONFIG, virtualServers: [] });
  t.equal(old.kernel.table, undefined);

  const { part, kernel, lines, become } = open();
  kernel.refusal = 'connection_sync needs the nft program (package nftables)';
  await part.configure(CONFIG);
  await part.configure(CONFIG);
  t.equal(lines.length, 1);
  t.match(lines[0], /needs the nft program .*; connections that are younger than two seconds may be reset/);
  await become('master');
  await part.close();
  t.equal(lines.length, 1, 'and nothing is left to take away');
});
