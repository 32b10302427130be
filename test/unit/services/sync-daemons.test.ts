/** Sync daemons as desired state: a fake kernel, and somebody who tampers with it. */
import t from 'tap';
import { groupMembers, senderAddresses } from '../../../src/io/host/sync-interfaces.js';
import type { DumpedSyncDaemon, StartedSyncDaemon, SyncDaemon } from '../../../src/ipvs/model.js';
import { planDaemons } from '../../../src/ipvs/plan-daemons.js';
import type { Log } from '../../../src/runtime/ports.js';
import { SYNC_FLUSH_MS, SyncDaemonKeeper } from '../../../src/runtime/services/keepers/sync-daemon-keeper.js';
import { WorkCounts } from '../../../src/runtime/services/work-counts.js';
import { HandClock } from '../hand-clock.js';

const MASTER: SyncDaemon = { state: 'master', interface: 'eth1', syncid: 51 };
const BACKUP: SyncDaemon = { state: 'backup', interface: 'eth1', syncid: 51 };
const WANTED = [MASTER, BACKUP];
const BOTH = ['master', 'backup'];

/** A kernel as ip_vs_sync.c is: one daemon of each kind, by name, whatever becomes of the interface. */
function lab(started: readonly StartedSyncDaemon[] = []) {
  const kernel = {
    running: [] as DumpedSyncDaemon[],
    indexes: new Map([['eth1', 3]]),
    refuses: undefined as Error | undefined,
    socketFault: undefined as string | undefined,
    stopped: [] as string[],
    saved: [...started] as readonly StartedSyncDaemon[],
    lines: [] as string[],
  };
  const clock = new HandClock();
  const counts = new WorkCounts();
  const say = (_fields: object, message: string): void => void kernel.lines.push(message);
  const log: Log = { debug: say, info: say, warn: say, error: say };
  const keeper = new SyncDaemonKeeper(started, {
    clock,
    log,
    counts,
    interfaces: { index: (name) => kernel.indexes.get(name), socketFault: () => kernel.socketFault },
    save: async (daemons) => {
      kernel.saved = daemons;
    },
    ipvs: {
      syncDaemons: async () => [...kernel.running],
      startSyncDaemon: async ({ state, interface: name, syncid }) => {
        if (kernel.refuses !== undefined) throw kernel.refuses;
        kernel.running.push({ state, interface: name, syncid });
      },
      stopSyncDaemon: async (state) => {
        kernel.stopped.push(state);
        kernel.running = kernel.running.filter((daemon) => daemon.state !== state);
      },
    },
  });
  return { kernel, clock, keeper, repairs: () => counts.report(clock.nowMs()).syncRepairs };
}

async function running() {
  const made = lab();
  made.keeper.configure(WANTED);
  await made.keeper.reconcile();
  return made;
}

void t.test('a daemon that somebody stopped runs again, and it is told once', async (t) => {
  const { kernel, keeper, repairs } = await running();
  t.equal(repairs(), 0, 'a first start is none');
  t.same(keeper.status, { daemons: BOTH, faults: [] });
  kernel.lines.length = 0;
  kernel.running = kernel.running.filter(({ state }) => state !== 'master');
  await keeper.reconcile();
  await keeper.reconcile();
  t.same(kernel.running.map(({ state }) => state).toSorted(), ['backup', 'master']);
  t.same(kernel.lines, ['the master sync daemon on eth1 with syncid 51 does not run: started']);
  t.equal(repairs(), 1);
});

void t.test('an interface that was made anew: both are stopped and started', async (t) => {
  const { kernel, keeper } = await running();
  kernel.indexes.set('eth1', 9);
  await keeper.reconcile();
  t.same(kernel.stopped, BOTH, 'the kernel lists them all the same');
  t.same(keeper.status, { daemons: BOTH, faults: [] });
  t.same(
    kernel.saved.map(({ interfaceIndex }) => interfaceIndex),
    [9, 9],
  );
  await keeper.reconcile();
  t.equal(kernel.stopped.length, 2, 'once');
});

void t.test(
  'a process that comes after knows by the state file with which index they were started',
  async (t) => {
    const before = await running();
    const left = before.kernel.saved;
    for (const [index, stops] of [
      [3, []],
      [4, BOTH],
    ] as const) {
      const { kernel, keeper } = lab(left);
      kernel.running = [...before.kernel.running];
      kernel.indexes.set('eth1', index);
      keeper.configure(WANTED);
      await keeper.reconcile();
      t.same(kernel.stopped, stops);
      t.same(keeper.status.daemons, BOTH);
    }
  },
);

void t.test('a missing interface is a fault that stops nothing and heals', async (t) => {
  const { kernel, keeper } = await running();
  keeper.configure(WANTED.map((daemon) => ({ ...daemon, interface: 'eth9' })));
  await keeper.reconcile();
  t.same(kernel.stopped, []);
  t.same(keeper.status, {
    daemons: BOTH,
    faults: BOTH.map(
      (state) => `there is no interface eth9 for the ${state} sync daemon: the one on eth1 goes on`,
    ),
  });
  kernel.indexes.set('eth9', 12);
  await keeper.reconcile();
  t.same(keeper.status, { daemons: BOTH, faults: [] });
  t.same(
    kernel.running.map((daemon) => daemon.interface),
    ['eth9', 'eth9'],
  );
  kernel.indexes.delete('eth9');
  await keeper.reconcile();
  t.same(
    keeper.status.daemons,
    [],
    'a daemon whose interface is gone does not count, though the kernel lists it',
  );
  t.same(kernel.stopped.length, 2);
});

void t.test('a refusal is a fault, told once and tried again', async (t) => {
  const { kernel, keeper } = lab();
  kernel.refuses = new Error('ENODEV');
  keeper.configure(WANTED);
  for (let look = 0; look < 3; look += 1) await keeper.reconcile();
  const faults = BOTH.map((state) => `the ${state} sync daemon on eth1 with syncid 51 does not run (ENODEV)`);
  t.same(keeper.status, { daemons: [], faults });
  t.same(kernel.lines, [`connection sync: ${faults.join('; ')}`]);
  kernel.refuses = undefined;
  await keeper.reconcile();
  t.same(keeper.status, { daemons: BOTH, faults: [] });
});

void t.test('a rival who stops them again and again is met at a pace', async (t) => {
  const { kernel, clock, keeper } = await running();
  let repairs = 0;
  for (let second = 0; second < 600; second += 1) {
    await clock.advance(1000);
    kernel.running = [];
    await keeper.reconcile();
    if (kernel.running.length > 0) repairs += 1;
    else t.equal(keeper.status.daemons.length, 0, 'and the status does not claim that they run');
  }
  t.ok(repairs >= 20 && repairs <= 30, `${repairs} repairs in ten minutes`);
});

void t.test('stop ends ours and leaves the others', async (t) => {
  const { kernel, keeper } = await running();
  kernel.running = [MASTER, { state: 'backup', interface: 'eth5', syncid: 7 }];
  await keeper.stop(false);
  t.same(kernel.stopped, ['master']);
  t.same(kernel.saved, []);
});

void t.test('what the kernel has not told the successor yet is told before its daemon stops', async (t) => {
  const { kernel, clock, keeper } = await running();
  const stopped = keeper.stop(true);
  await clock.advance(SYNC_FLUSH_MS - 1);
  t.same(kernel.stopped, []);
  await clock.advance(1);
  await stopped;
  t.same(kernel.stopped.toSorted(), ['backup', 'master']);

  const without = await running();
  without.kernel.running = [{ ...MASTER, syncid: 7 }, BACKUP];
  await without.keeper.stop(true);
  t.same(without.kernel.stopped, ['backup'], 'nothing is waited for where the sender is not ours');
});

const FINE = {
  wanted: WANTED,
  running: WANTED,
  started: WANTED.map((daemon) => ({ ...daemon, interfaceIndex: 3 })),
  indexOf: () => 3,
  socketFault: () => undefined,
};

void t.test('what counts as another daemon', async (t) => {
  const reasons = (now: Partial<Parameters<typeof planDaemons>[0]>): string[] =>
    planDaemons({ ...FINE, ...now }).map(({ reason }) => reason);
  t.same(reasons({}), []);
  t.same(
    reasons({
      running: [
        { ...MASTER, group: '224.0.0.81', port: 8848, ttl: 1, maxLength: 1472 },
        { ...BACKUP, group: '224.0.0.81', port: 8848, ttl: 1, maxLength: 8972 },
      ],
    }),
    [],
    'what the kernel chooses by itself, at an MTU of 9000 too',
  );
  t.same(reasons({ running: [{ ...MASTER, syncid: 5 }, BACKUP] }), [
    'the master sync daemon runs on eth1 with syncid 5',
  ]);
  t.same(reasons({ running: [MASTER, { ...BACKUP, group: '224.0.0.99' }] }), [
    'the backup sync daemon uses 224.0.0.99 port 8848 with TTL 1',
  ]);
  t.same(
    reasons({
      running: [
        { ...MASTER, maxLength: 4000 },
        { ...BACKUP, maxLength: 1024 },
      ],
    }),
    [
      'the master sync daemon has messages of 4000 bytes',
      'the backup sync daemon has messages of 1024 bytes',
    ],
  );
  t.same(reasons({ started: [] }).length, 2, 'one that another program started may be deaf');
  t.same(reasons({ socketFault: ({ state }) => (state === 'backup' ? 'deaf' : undefined) }), ['deaf']);
  t.same(planDaemons({ ...FINE, wanted: [], started: [] }), [], "a stranger's is left alone");
});

void t.test('what procfs tells of their sockets', async (t) => {
  const igmp = `Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter
1\tlo        :     1      V3
\t\t\t\t010000E0     1 0:00000000\t\t0
3\teth1-with-long:     2      V3
\t\t\t\t510000E0     1 0:00000000\t\t0
\t\t\t\t010000E0     1 0:00000000\t\t0
`;
  t.same([...groupMembers(igmp)], ['eth1-with-long']);
  const udp = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
  101: 0B0A0A0A:8AE2 510000E0:2290 01 00000000:00000000 00:00000000 00000000     0        0 0 2 0000000000000000 0
  102: 510000E0:2290 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 0 2 0000000000000000 0
`;
  t.same(senderAddresses(udp), ['10.10.10.11']);
});

void t.test(
  'one that never ran and is not wanted any more is nobody’s: a stranger may start it',
  async (t) => {
    const { kernel, keeper } = lab();
    kernel.refuses = new Error('no memory');
    keeper.configure(WANTED);
    await keeper.reconcile();
    t.equal(kernel.saved.length, 2, 'known as ours before they run');
    keeper.configure([]);
    await keeper.reconcile();
    t.same(kernel.saved, []);
    kernel.running = [MASTER];
    await keeper.reconcile();
    t.same(kernel.stopped, [], 'and goes on');
  },
);
