/** Reloads of the shell around the election, on a fake host. */
import t from 'tap';
import type { TrackedObject } from '../../../src/config/model.js';
import { settled } from '../hand-clock.js';
import { directorConfig, vrrpInstance } from '../vrrp/instances.js';
import { FakeHost } from './vrrp-service-bench.js';

/** Master_Down_Interval at priority 100 and 1 s: 3000 + 156/256 * 1000. */
const DOWN_MS = 3610;

const address = (text: string) => ({ address: text, prefixLength: 24, interface: 'eth0' });

const DISK: TrackedObject = {
  name: 'disk',
  kind: { type: 'script', command: ['/x'], user: undefined, timeoutMs: 1000 },
  intervalMs: 1000,
  rise: 1,
  fall: 1,
  debounceMs: 0,
};

void t.test('a group that begins to track knows the verdicts there are', async (t) => {
  const host = new FakeHost();
  const [one, two] = [
    vrrpInstance({ name: 'one', track: [{ object: 'disk', weight: undefined }] }),
    vrrpInstance({ name: 'two', virtualRouterId: 52 }),
  ];
  await host.start(directorConfig({ instances: [one, two], tracked: [DISK] }));
  host.service.tracked('disk', 'down');
  await host.clock.advance(DOWN_MS);
  t.equal(host.role('two'), 'master');
  const tracking = { ...two, track: one.track };
  await host.service.reconfigure(directorConfig({ instances: [one, tracking], tracked: [DISK] }));
  await settled();
  t.equal(host.role('two'), 'fault', 'as one that was there from the start');
});

void t.test('an end during a reload is the end: nothing of the new file begins', async (t) => {
  const host = new FakeHost();
  await host.start(directorConfig({ instances: [vrrpInstance()] }));
  await host.clock.advance(DOWN_MS);
  const fresh = vrrpInstance({ name: 'fresh', virtualRouterId: 60 });
  const reloaded = host.service.reconfigure(directorConfig({ instances: [fresh] }));
  const stopped = host.service.stop();
  await host.clock.advance(DOWN_MS);
  await Promise.all([reloaded, stopped]);
  t.equal(host.role('fresh'), undefined);
  t.strictSame(host.service.status(), []);
  t.equal(host.heard().filter((words) => words.startsWith('remove ')).length, 1, 'the address is gone');
});

void t.test('what has come is read before a reload forms groups', async (t) => {
  const host = new FakeHost();
  const [one, two] = [vrrpInstance({ name: 'one' }), vrrpInstance({ name: 'two', virtualRouterId: 52 })];
  await host.start(directorConfig({ instances: [one, two] }));
  await host.clock.advance(1000);
  host.advertise({ vrid: 52, priority: 200 });
  await host.clock.advance(DOWN_MS - 500);
  t.equal(host.role('one'), 'master');
  t.equal(host.role('two'), 'backup');
  // A busy moment: Master_Down_Timer runs out in it, and nobody has come to that or to the message yet.
  host.clock.standStill(1000);
  host.advertise({ vrid: 52, priority: 200, unread: true });
  host.heard();
  const syncGroups = [{ name: 'both', instances: ['one', 'two'], track: [] }];
  await host.service.reconfigure(directorConfig({ instances: [one, two], syncGroups }));
  await settled();
  t.equal(host.role('two'), 'backup', 'its group belongs to whom it hears');
  t.notOk(host.heard().includes('two is master'));
});

void t.test(
  'an instance that gets another name stays in maintenance, and one that gets its name is not',
  async (t) => {
    const host = new FakeHost();
    const [one, two] = [vrrpInstance({ name: 'one' }), vrrpInstance({ name: 'two', virtualRouterId: 52 })];
    await host.start(directorConfig({ instances: [one, two] }));
    await host.clock.advance(DOWN_MS);
    host.service.maintenance(['one'], true);
    const instances = [
      { ...one, name: 'two' },
      { ...two, name: 'one' },
    ];
    await host.service.reconfigure(directorConfig({ instances }));
    await settled();
    const priorities = () => host.service.states().map(({ config, priority }) => [config.name, priority]);
    t.strictSame(Object.fromEntries(priorities()), { two: 1, one: 100 });
    t.strictSame(host.renamed, [
      [
        ['one', 'two'],
        ['two', 'one'],
      ],
    ]);
    await host.service.reconfigure(
      directorConfig({ instances: [{ ...one, name: 'third' }, instances[1]].flatMap((i) => i ?? []) }),
    );
    await settled();
    t.strictSame(Object.fromEntries(priorities()), { third: 1, one: 100 });
    host.service.maintenance(['third'], false);
    t.strictSame(Object.fromEntries(priorities()), { third: 100, one: 100 });
  },
);

void t.test('an end waits for what leaves by a reload, when the guardian was there first, too', async (t) => {
  const host = new FakeHost();
  await host.start(directorConfig({ instances: [vrrpInstance()] }));
  await host.clock.advance(DOWN_MS);
  t.equal(host.role('outside'), 'master');
  const reloaded = host.service.reconfigure(directorConfig({ instances: [] }));
  await settled();
  host.heard();
  let answer: () => void = () => {};
  host.kernel = new Promise((resolve) => {
    answer = resolve;
  });
  host.service.withdrawn();
  let hasStopped = false;
  const stopped = host.service.stop().then(() => {
    hasStopped = true;
  });
  await settled();
  t.notOk(hasStopped, 'the kernel has not taken the addresses away yet');
  answer();
  await Promise.all([stopped, reloaded]);
  t.ok(host.heard().some((words) => words.startsWith('remove ')));
});

void t.test(
  "an address that a reload takes from a master is the guardian's until the kernel has let it go",
  async (t) => {
    const [first, second] = [address('192.0.2.1'), address('192.0.2.2')];
    const both = vrrpInstance({ addresses: [first, second], advertised: [first.address, second.address] });
    const fewer = { ...both, addresses: [first], advertised: [first.address] };
    for (const after of [fewer, { ...fewer, name: 'renamed' }]) {
      const host = new FakeHost();
      await host.start(directorConfig({ instances: [both] }));
      await host.clock.advance(DOWN_MS);
      let answer = (): void => {};
      host.kernel = new Promise((resolve) => (answer = resolve));
      const guarded = () =>
        host.orders?.farewells.map(({ addresses }) => addresses.map((one) => one.address));
      t.same(guarded(), [['192.0.2.1', '192.0.2.2']]);
      const reloaded = host.service.reconfigure(directorConfig({ instances: [after] }));
      await host.clock.advance(100);
      t.equal(host.role(after.name), 'master');
      t.same(guarded(), [['192.0.2.1', '192.0.2.2']], 'it may be there');
      answer();
      await reloaded;
      await host.clock.advance(100);
      t.ok(host.heard().includes('remove 192.0.2.2'));
      t.same(guarded(), [['192.0.2.1']], 'it is gone');
    }
  },
);
