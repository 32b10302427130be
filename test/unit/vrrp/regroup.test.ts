/** Reloads that change which instances there are and how they form groups, on a fake host without a peer. */
import t from 'tap';
import type { SyncGroup, TrackedObject, VrrpInstance } from '../../../src/config/model.js';
import { FakeHost } from '../election/vrrp-service-bench.js';
import { settled } from '../hand-clock.js';
import { directorConfig, vrrpInstance } from './instances.js';

/** Master_Down_Interval at priority 100 and 1 s: 3000 + 156/256 * 1000. */
const DOWN_MS = 3610;
/** How long a master that says farewell waits for its successor at 1 s. */
const HOLD_MS = 1250;

function instance(name: string, virtualRouterId: number, last = virtualRouterId): VrrpInstance {
  const addresses = [{ address: `192.0.2.${last}`, prefixLength: 24, interface: 'eth0' }];
  return vrrpInstance({ name, virtualRouterId, addresses });
}

const [A, B, C] = [instance('a', 1), instance('b', 2), instance('c', 3)];

function pair(...instances: readonly string[]): SyncGroup[] {
  return [{ name: 'pair', instances, track: [] }];
}

interface File {
  readonly instances: readonly VrrpInstance[];
  readonly syncGroups?: readonly SyncGroup[];
  readonly tracked?: readonly TrackedObject[];
}

/** A lone director with the first file, master of everything, then the second file. */
async function reloaded(
  before: File,
  after: File,
  during: (host: FakeHost) => Promise<void> = () => Promise.resolve(),
): Promise<FakeHost> {
  const host = new FakeHost();
  await host.start(directorConfig(before));
  await host.clock.advance(DOWN_MS);
  for (const { name } of before.instances) t.equal(host.role(name), 'master', `${name} is master`);
  host.heard();
  const done = host.service.reconfigure(directorConfig(after));
  await settled();
  await during(host);
  await done;
  await settled();
  return host;
}

function states(host: FakeHost): Record<string, string> {
  return Object.fromEntries(host.service.status().map(({ name, state }) => [name, state]));
}

const removals = (said: readonly string[]) => said.filter((words) => /^remove ./.test(words));
const farewells = (said: readonly string[]) => said.filter((words) => words.endsWith('priority 0'));
const waitHold = (host: FakeHost) => host.clock.advance(HOLD_MS);

void t.test('a member added to a master is master with it', async (t) => {
  const host = await reloaded({ instances: [A] }, { instances: [A, B], syncGroups: pair('a', 'b') });
  t.strictSame(states(host), { a: 'master', b: 'master' });
  const said = host.heard();
  t.ok(said.indexOf('add 192.0.2.2') < said.indexOf('send 2 priority 100'), 'the address, then the word');
  t.strictSame([removals(said), farewells(said)], [[], []]);
  await host.clock.advance(10_000);
  t.strictSame(states(host), { a: 'master', b: 'master' });
  t.ok(host.heard().filter((words) => words === 'send 2 priority 100').length >= 9, 'and goes on');
});

void t.test('a member taken out goes in silence: a farewell would take its group along', async (t) => {
  const group = { instances: [A, B], syncGroups: pair('a', 'b') };
  const host = await reloaded(group, { instances: [A] });
  t.strictSame(states(host), { a: 'master' });
  const said = host.heard();
  t.strictSame([removals(said), farewells(said)], [['remove 192.0.2.2'], []]);
  t.notOk(said.includes('announce 192.0.2.1'), 'the other one is as it was');
  host.advertise({ vrid: 2, addresses: ['192.0.2.2'] });
  await host.clock.advance(5000);
  t.strictSame(states(host), { a: 'master' });
});

void t.test('a group dissolved, and instances united: nobody is away', async (t) => {
  const [group, alone] = [{ instances: [A, B], syncGroups: pair('a', 'b') }, { instances: [A, B] }];
  for (const [before, after] of [
    [group, alone],
    [alone, group],
  ] as const) {
    const host = await reloaded(before, after);
    t.strictSame(states(host), { a: 'master', b: 'master' });
    const said = host.heard();
    t.strictSame([removals(said), farewells(said)], [[], []]);
    t.notOk(said.some((words) => words.startsWith('add ')));
    await host.clock.advance(5000);
    t.strictSame(states(host), { a: 'master', b: 'master' });
  }
});

void t.test('another VRID: the addresses stay while it is seen that nobody takes them', async (t) => {
  const moved = instance('a', 7, 1);
  const host = await reloaded({ instances: [A] }, { instances: [moved] }, async (during) => {
    t.strictSame(farewells(during.said), ['send 1 priority 0']);
    t.equal(during.role('a'), 'master', 'it serves');
    await waitHold(during);
  });
  const said = host.heard();
  t.equal(host.role('a'), 'master', 'and at once again');
  t.strictSame(removals(said), [], 'the address was there all the time');
  t.ok(said.includes('send 7 priority 100'));
  await host.clock.advance(5000);
  t.ok(host.heard().every((words) => !words.startsWith('send 1 ')));
});

void t.test('another VRID, and a peer that takes over: it listens first', async (t) => {
  const moved = instance('a', 7, 1);
  const host = await reloaded({ instances: [A] }, { instances: [moved] }, async (during) => {
    during.advertise({ vrid: 1, addresses: ['192.0.2.1'] });
    await waitHold(during);
  });
  t.equal(host.role('a'), 'backup');
  t.strictSame(removals(host.heard()), ['remove 192.0.2.1']);
});

void t.test('another VRID for a member: its group goes on, and it with it', async (t) => {
  const group = { instances: [A, B], syncGroups: pair('a', 'b') };
  const moved = { ...group, instances: [A, instance('b', 7, 2)] };
  const host = await reloaded(group, moved);
  t.strictSame(states(host), { a: 'master', b: 'master' });
  const said = host.heard();
  t.strictSame([removals(said), farewells(said)], [[], []]);
  t.ok(said.includes('send 7 priority 100'));
});

void t.test('another VRID for one that joins a group: the others serve meanwhile, and it, too', async (t) => {
  const host = await reloaded(
    { instances: [A, B] },
    { instances: [A, instance('b', 7, 2)], syncGroups: pair('a', 'b') },
    async (during) => {
      t.strictSame(states(during), { a: 'master', b: 'master' });
      await during.clock.advance(1000);
      t.ok(during.said.includes('send 1 priority 100'), 'a goes on');
      await waitHold(during);
    },
  );
  t.strictSame(states(host), { a: 'master', b: 'master' });
  t.strictSame(removals(host.heard()), []);
});

void t.test('a new name is a new name and nothing else, also where two swap theirs', async (t) => {
  const renamed = await reloaded({ instances: [A] }, { instances: [{ ...A, name: 'front' }] });
  t.strictSame(states(renamed), { front: 'master' });
  t.strictSame(
    renamed.heard().filter((words) => !words.startsWith('guard') && words !== 'send 1 priority 100'),
    [],
  );
  const swapped = await reloaded(
    { instances: [A, B] },
    {
      instances: [
        { ...A, name: 'b' },
        { ...B, name: 'a' },
      ],
    },
  );
  t.strictSame(states(swapped), { a: 'master', b: 'master' });
  const said = swapped.heard();
  t.strictSame([removals(said), farewells(said)], [[], []]);
  swapped.advertise({ vrid: 1, priority: 200, addresses: ['192.0.2.1'] });
  await settled();
  t.strictSame(states(swapped), { a: 'master', b: 'backup' }, 'each hears what is meant for it');
});

/** A master whose address is being put back when a reload gives it another name; `refusal`: the kernel refuses then. */
async function renamedWhileRestoring(): Promise<{
  host: FakeHost;
  answer: (refusal?: Error) => Promise<void>;
}> {
  const host = new FakeHost();
  await host.start(directorConfig({ instances: [A] }));
  await host.clock.advance(DOWN_MS);
  host.gone.add('192.0.2.1');
  let [done, refuse]: [() => void, (error: Error) => void] = [() => {}, () => {}];
  host.kernel = new Promise((resolve, reject) => {
    [done, refuse] = [resolve, reject];
  });
  host.service.addressChanged({
    address: '192.0.2.1',
    interface: 'eth0',
    added: false,
    dadFailed: false,
  });
  await settled();
  await host.service.reconfigure(directorConfig({ instances: [{ ...A, name: 'front' }] }));
  const answer = async (refusal?: Error): Promise<void> => {
    if (refusal === undefined) done();
    else refuse(refusal);
    host.kernel = Promise.resolve();
    await settled();
  };
  return { host, answer };
}

const noDevice = () => Object.assign(new Error('no such device'), { code: 'ENODEV' });

void t.test('what was being put back is put back under the new name', async (t) => {
  const { host, answer } = await renamedWhileRestoring();
  await answer(noDevice());
  await host.clock.advance(1000);
  t.equal(host.heard().filter((words) => words === 'restore 192.0.2.1').length, 1);
  t.equal(host.gone.size, 0);
});

void t.test('what was being put back is not put back any more when the new name yields', async (t) => {
  const { host, answer } = await renamedWhileRestoring();
  await answer(noDevice());
  host.gone.clear();
  host.advertise({ vrid: 1, priority: 200, addresses: ['192.0.2.1'] });
  await settled();
  t.strictSame(states(host), { front: 'backup' });
  host.heard();
  host.gone.add('192.0.2.1');
  await host.clock.advance(1000);
  t.notOk(host.heard().includes('restore 192.0.2.1'), 'a backup holds nothing');
});

void t.test('what could not be put back is put back when its group is torn apart', async (t) => {
  const host = new FakeHost();
  await host.start(directorConfig({ instances: [A, B], syncGroups: pair('a', 'b') }));
  await host.clock.advance(DOWN_MS);
  host.gone.add('192.0.2.1');
  host.kernel = Promise.reject(noDevice());
  host.service.addressChanged({
    address: '192.0.2.1',
    interface: 'eth0',
    added: false,
    dadFailed: false,
  });
  await settled();
  host.kernel = Promise.resolve();
  await host.service.reconfigure(directorConfig({ instances: [A] }));
  await host.clock.advance(1000);
  t.equal(host.gone.size, 0);
});

void t.test('what is put back when the new name has yielded is not announced', async (t) => {
  const { host, answer } = await renamedWhileRestoring();
  host.advertise({ vrid: 1, priority: 200, addresses: ['192.0.2.1'] });
  await settled();
  host.heard();
  await answer();
  t.notOk(host.heard().includes('announce 192.0.2.1'), 'by the old name, which is master of nothing');
});

void t.test('an address moves to an instance that is new', async (t) => {
  const [first, second] = [A.addresses, instance('x', 9).addresses];
  const both = { ...A, addresses: [...first, ...second], advertised: ['192.0.2.1', '192.0.2.9'] };
  const host = await reloaded({ instances: [both] }, { instances: [A, instance('fresh', 9)] });
  t.strictSame(states(host), { a: 'master', fresh: 'master' });
  t.strictSame(removals(host.heard()), []);
});

void t.test('a new instance with new addresses waits as any other', async (t) => {
  const host = await reloaded({ instances: [A] }, { instances: [A, C] });
  t.strictSame(states(host), { a: 'master', c: 'backup' });
  await host.clock.advance(DOWN_MS);
  t.strictSame(states(host), { a: 'master', c: 'master' });
});

void t.test(
  'by another way, in another version, with a MAC address of its own: the role stays',
  async (t) => {
    const changes: readonly [string, Partial<VrrpInstance>][] = [
      [
        'unicast',
        { transport: { kind: 'unicast', local: '192.0.2.11', peers: ['192.0.2.12'], minTtl: 255 } },
      ],
      ['VRRPv2', { version: 2 }],
      ['virtual MAC', { virtualMacInterface: 'vrrp4-1-eth0' }],
    ];
    for (const [what, change] of changes) {
      const host = await reloaded({ instances: [A] }, { instances: [{ ...A, ...change }] });
      t.strictSame(states(host), { a: 'master' }, what);
      const said = host.heard();
      t.strictSame([removals(said), farewells(said)], [[], []], what);
      await host.clock.advance(1000);
      t.ok(
        host.heard().some((words) => words.startsWith('send 1 priority')),
        `${what}: it goes on`,
      );
    }
  },
);

/** Master of a, and backup of b, which have become a group: it hands a over. */
async function unitedWithAnothers(): Promise<FakeHost> {
  const host = new FakeHost();
  await host.start(directorConfig({ instances: [A, B] }));
  host.advertise({ vrid: 2, addresses: ['192.0.2.2'] });
  for (let at = 0; at < DOWN_MS; at += 500) {
    await host.clock.advance(500);
    host.advertise({ vrid: 2, addresses: ['192.0.2.2'] });
  }
  t.strictSame(states(host), { a: 'master', b: 'backup' });
  host.heard();
  await host.service.reconfigure(directorConfig({ instances: [A, B], syncGroups: pair('a', 'b') }));
  await settled();
  t.strictSame(farewells(host.heard()), ['send 1 priority 0']);
  t.strictSame(states(host), { a: 'master', b: 'backup' }, 'until somebody takes it');
  return host;
}

void t.test('united with one that has another master, a master hands over', async (t) => {
  const host = await unitedWithAnothers();
  host.advertise({ vrid: 1, addresses: ['192.0.2.1'] });
  host.advertise({ vrid: 2, addresses: ['192.0.2.2'] });
  await host.clock.advance(200);
  t.strictSame(states(host), { a: 'backup', b: 'backup' });
  t.strictSame(removals(host.heard()), ['remove 192.0.2.1']);
  await host.clock.advance(DOWN_MS);
  t.strictSame(states(host), { a: 'master', b: 'master' }, 'the other one is gone from both');
});

void t.test('a hand-over waits for who takes over, not for who is master of the rest already', async (t) => {
  const host = await unitedWithAnothers();
  host.advertise({ vrid: 1, addresses: ['192.0.2.1'] });
  await host.clock.advance(200);
  t.strictSame(
    removals(host.heard()),
    ['remove 192.0.2.1'],
    'an interval with two holders would be too long',
  );
  t.strictSame(states(host), { a: 'backup', b: 'backup' });
});

void t.test('that the rest has another master is no hand-over', async (t) => {
  const host = await unitedWithAnothers();
  host.advertise({ vrid: 2, addresses: ['192.0.2.2'] });
  await host.clock.advance(200);
  t.strictSame(states(host), { a: 'master', b: 'backup' });
  await waitHold(host);
  t.strictSame(states(host), { a: 'backup', b: 'backup' });
  t.ok(host.heard().includes('a notice no-successor'), 'and the operator is told');
});

void t.test('a host that refuses keeps everything as it was', async (t) => {
  const host = new FakeHost();
  await host.start(directorConfig({ instances: [A] }));
  await host.clock.advance(DOWN_MS);
  host.heard();
  host.refuses = new Error('nft says no');
  const changed = { ...instance('a', 7, 1), acceptMode: false };
  await t.rejects(host.service.reconfigure(directorConfig({ instances: [changed] })), /nft says no/);
  t.strictSame(states(host), { a: 'master' });
  t.strictSame(farewells(host.heard()), []);
  await host.clock.advance(1000);
  t.ok(host.heard().includes('send 1 priority 100'));
});

void t.test('maintenance stays with its instance', async (t) => {
  const host = new FakeHost();
  await host.start(directorConfig({ instances: [A, B], syncGroups: pair('a', 'b') }));
  host.service.maintenance(['a', 'b'], true);
  host.service.maintenance(['b'], false);
  await host.clock.advance(5000);
  await host.service.reconfigure(directorConfig({ instances: [A, B] }));
  await settled();
  const priorities = host.service.status().map((one) => [one.name, one.effective_priority]);
  t.strictSame(priorities, [
    ['a', 1],
    ['b', 100],
  ]);
});
