/** The shell around the election, on a fake host: order of effects, guardian, sockets, interfaces, tracked objects. */
import t from 'tap';
import type { TrackedObject, VrrpInstance } from '../../../src/config/model.js';
import { settled } from '../hand-clock.js';
import { directorConfig, virtualRoute, virtualRule, vrrpInstance } from '../vrrp/instances.js';
import { FakeHost, PEER } from './vrrp-service-bench.js';

/** Master_Down_Interval at priority 100 and 1 s: 3000 + 156/256 * 1000. */
const DOWN_MS = 3610;

async function master(instance: VrrpInstance = vrrpInstance()): Promise<FakeHost> {
  const host = new FakeHost();
  await host.start(directorConfig({ instances: [instance] }));
  await host.clock.advance(DOWN_MS);
  return host;
}

void t.test('the guardian knows of an address before it comes, and until it is gone', async (t) => {
  const host = await master();
  t.strictSame(host.heard().slice(1), [
    'outside is backup',
    'guard',
    'guard 51',
    'add 192.0.2.1',
    'announce 192.0.2.1',
    'send 51 priority 100',
    'outside is master',
  ]);
  let answer = (): void => {};
  host.kernel = new Promise((resolve) => (answer = resolve));
  host.advertise({ priority: 200 });
  await host.clock.advance(0);
  t.strictSame(
    host.heard(),
    ['send 51 priority 100', 'outside is backup'],
    'the kernel has not answered: the orders stay',
  );
  answer();
  await settled();
  await host.clock.advance(0);
  t.strictSame(host.heard(), ['remove 192.0.2.1', 'guard']);
});

void t.test('what waits behind address work is dropped when the role has gone', async (t) => {
  const host = new FakeHost();
  await host.start(directorConfig({ instances: [vrrpInstance()] }));
  let answer = (): void => {};
  host.kernel = new Promise((resolve) => (answer = resolve));
  await host.clock.advance(DOWN_MS);
  host.advertise({ priority: 200 });
  host.heard();
  answer();
  await settled();
  await host.clock.advance(0);
  const work = host.heard().filter((one) => !one.startsWith('outside is'));
  t.strictSame(work, ['add 192.0.2.1', 'remove 192.0.2.1', 'guard'], 'neither advertisement nor ARP');
});

void t.test('a process that stood still past its lease does not speak', async (t) => {
  const host = await master();
  host.heard();
  // No timer ran for four seconds: the lease of three was over.
  const late = host.clock.nowMs() + 4000;
  host.clock.nowMs = () => late;
  host.advertise({ priority: 90 });
  await host.clock.advance(4000);
  const said = host.heard();
  t.ok(said.includes('outside is backup'), said.join());
  t.notOk(
    said.some((one) => one.startsWith('send')),
    'it does not answer the weaker master',
  );
  t.equal(host.role('outside'), 'backup');
});

void t.test('instances that speak alike share a socket, and each hears its own', async (t) => {
  const host = new FakeHost();
  const second = vrrpInstance({
    name: 'second',
    virtualRouterId: 52,
    addresses: [{ address: '192.0.2.2', prefixLength: 24, interface: 'eth0' }],
  });
  const elsewhere = vrrpInstance({
    name: 'elsewhere',
    interface: 'eth1',
    addresses: [{ address: '10.0.0.1', prefixLength: 24, interface: 'eth1' }],
  });
  await host.start(directorConfig({ instances: [vrrpInstance(), second, elsewhere] }));
  t.strictSame(
    host.transports.map(({ channel }) => channel.interface),
    ['eth0', 'eth1'],
  );
  host.advertise({ vrid: 52, addresses: ['192.0.2.2'] });
  host.advertise({ vrid: 77 });
  const status = new Map(host.service.status().map((one) => [one.name, one]));
  t.equal(status.get('second')?.master, PEER);
  t.equal(status.get('outside')?.master, null);
  t.equal(status.get('outside')?.counters['discarded_unknown_vrid'], 1);
  t.equal(
    status.get('elsewhere')?.counters['discarded_unknown_vrid'],
    undefined,
    'it is of another interface',
  );
  await host.service.stop();
  t.ok(host.transports.every(({ closed }) => closed));
});

void t.test('a packet that is ignored is told once with what to do, then counted', async (t) => {
  const host = new FakeHost();
  await host.start(directorConfig({ instances: [vrrpInstance()] }));
  for (let i = 0; i < 3; i++) host.advertise({ ttl: 64 });
  const told = host.log.filter(({ event }) => event === 'discarded');
  t.equal(told.length, 1);
  t.match(told[0], { level: 'warn', message: /min_ttl/ });
  t.equal(host.service.status()[0]?.counters['discarded_bad_ttl'], 3);
  await host.clock.advance(600_001);
  host.advertise({ ttl: 64 });
  t.equal(host.log.filter(({ event }) => event === 'discarded').length, 2, 'and again after ten minutes');
});

void t.test('where another channel hears the same packets, what is not for one is no fault', async (t) => {
  const host = new FakeHost();
  const unicast = vrrpInstance({
    name: 'unicast',
    virtualRouterId: 60,
    transport: { kind: 'unicast', local: '192.0.2.11', peers: [PEER], minTtl: 255 },
  });
  await host.start(directorConfig({ instances: [vrrpInstance(), unicast] }));
  t.equal(host.transports.length, 2);
  host.advertise({ vrid: 60 });
  t.notOk(host.service.status()[0]?.counters['discarded_unknown_vrid']);
});

void t.test('another cluster is named, with a virtual router identifier that is free', async (t) => {
  const host = new FakeHost();
  await host.start(directorConfig({ instances: [vrrpInstance()] }));
  host.advertise({ vrid: 52, addresses: ['192.0.2.99'] });
  host.advertise({ priority: 200, addresses: ['192.0.2.77'] });
  await host.clock.advance(0);
  const error = host.log.find(({ level }) => level === 'error');
  t.equal(error?.event, 'other-cluster');
  t.match(error?.message, PEER);
  t.match(error?.message, '192.0.2.77');
  t.match(error?.message, '53 is free here');
  t.equal(host.service.status()[0]?.master, null, 'it does not hold us in backup');
});

void t.test('a device that is made anew gets a new socket; one without an address is a fault', async (t) => {
  const host = await master();
  host.heard();
  host.up.delete('eth0');
  host.indexes.delete('eth0');
  host.held.delete('eth0 192.0.2.11');
  host.service.linkChanged('eth0');
  await settled();
  t.equal(host.role('outside'), 'fault');
  t.ok(host.transports[0]?.closed);

  host.up.add('eth0');
  host.indexes.set('eth0', 9);
  host.service.linkChanged('eth0');
  await settled();
  t.equal(host.role('outside'), 'fault', 'it has no address yet');
  t.strictSame(host.service.status()[0]?.faults.length, 1);

  host.held.add('eth0 192.0.2.11');
  host.service.addressChanged({ address: '192.0.2.11', interface: 'eth0', added: true, dadFailed: false });
  await settled();
  t.equal(host.transports.length, 2);
  t.equal(host.role('outside'), 'backup');
  await host.clock.advance(DOWN_MS);
  t.equal(host.role('outside'), 'master');
});

void t.test('an address or a route that somebody removed comes back, and only then is it told', async (t) => {
  const host = await master(vrrpInstance({ routes: [virtualRoute()], rules: [virtualRule()] }));
  const warnings = () => host.log.filter(({ level }) => level === 'warn').map(({ message }) => message);
  const remove = (address: string) => {
    host.service.addressChanged({ address, interface: 'eth0', added: false, dadFailed: false });
    return host.clock.advance(30);
  };
  host.heard();
  host.lost.push('default dev eth0');
  host.service.routingLost({ kind: 'route', table: 254, destination: '0.0.0.0', prefixLength: 0 });
  await host.clock.advance(30);
  t.strictSame(host.heard(), ['route 0.0.0.0 1000']);
  t.strictSame(warnings(), ['outside: somebody removed default dev eth0: put back']);
  host.service.routingLost({ kind: 'route', table: 100, destination: '0.0.0.0', prefixLength: 0 });
  host.service.routingLost({ kind: 'rule', family: 'ipv6', priority: 1000 });
  await host.clock.advance(30);
  t.strictSame(host.heard(), [], 'of another table, or family: not ours');
  host.gone.add('192.0.2.1');
  await remove('192.0.2.1');
  t.strictSame(host.heard(), ['restore 192.0.2.1', 'route 0.0.0.0 1000', 'announce 192.0.2.1']);
  t.equal(warnings().length, 2);
  await host.clock.advance(1000);
  await remove('192.0.2.1');
  t.strictSame(
    host.heard().filter((one) => one.startsWith('restore')),
    [],
    'it is there: our own doing',
  );
  t.equal(warnings().length, 2);
  await remove('192.0.2.5');
  t.strictSame(host.heard(), [], "somebody else's is his own affair");
});

void t.test('an address that somebody gives a backup goes, and only then is it told', async (t) => {
  const host = new FakeHost();
  const config = vrrpInstance();
  await host.start(directorConfig({ instances: [config] }));
  const warnings = () => host.log.filter(({ level }) => level === 'warn').map(({ message }) => message);
  const add = (address: string, device = 'eth0') => {
    host.service.addressChanged({ address, interface: device, added: true, dadFailed: false });
    return host.clock.advance(30);
  };
  await host.clock.advance(30);
  t.equal(host.role('outside'), 'backup');
  host.heard();
  await add('192.0.2.1');
  t.strictSame(host.heard(), [], 'it is not there: our own doing, undone meanwhile');
  host.strays.add('192.0.2.1');
  await add('192.0.2.1', 'eth1');
  await add('192.0.2.5');
  t.strictSame(host.heard(), [], 'elsewhere it may have another purpose, and others are no affair of ours');
  await add('192.0.2.1');
  t.strictSame(host.heard(), ['evict 192.0.2.1']);
  t.strictSame(warnings(), ["outside: somebody added 192.0.2.1/24 on eth0, which is the master's: removed"]);

  host.strays.add('192.0.2.1');
  await add('192.0.2.1');
  host.strays.add('192.0.2.1');
  await add('192.0.2.1');
  t.strictSame(host.heard(), ['evict 192.0.2.1'], 'somebody who goes on is waited for');

  // A reload that names what is there already.
  const more = { address: '192.0.2.9', prefixLength: 24, interface: 'eth0' };
  host.strays.clear();
  host.strays.add(more.address);
  await host.service.reconfigure(
    directorConfig({ instances: [{ ...config, addresses: [...config.addresses, more] }] }),
  );
  await host.clock.advance(3000);
  t.ok(host.heard().includes('evict 192.0.2.9'));

  await host.clock.advance(DOWN_MS);
  t.equal(host.role('outside'), 'master');
  host.strays.add('192.0.2.1');
  host.heard();
  await add('192.0.2.1');
  t.strictSame(host.heard(), []);
});

void t.test('who becomes master while the kernel is asked for such an address has it', async (t) => {
  const host = new FakeHost();
  await host.start(directorConfig({ instances: [vrrpInstance()] }));
  host.strays.add('192.0.2.1');
  let answer = () => {};
  host.kernel = new Promise((resolve) => {
    answer = resolve;
  });
  host.service.addressChanged({ address: '192.0.2.1', interface: 'eth0', added: true, dadFailed: false });
  await host.clock.advance(DOWN_MS);
  t.equal(host.role('outside'), 'master');
  host.heard();
  answer();
  await settled();
  t.same(
    host.heard().filter((one) => /^(evict|add) /.test(one)),
    ['add 192.0.2.1'],
  );
});

void t.test("an address owner's addresses are its host's, whatever its role", async (t) => {
  const host = new FakeHost();
  host.up.delete('eth0');
  await host.start(directorConfig({ instances: [vrrpInstance({ priority: 255 })] }));
  t.equal(host.role('outside'), 'fault');
  host.strays.add('192.0.2.1');
  host.service.addressChanged({ address: '192.0.2.1', interface: 'eth0', added: true, dadFailed: false });
  await host.clock.advance(30);
  t.ok(host.strays.has('192.0.2.1'));
});

void t.test('an address that moves between instances in a reload stays where it is', async (t) => {
  const [moving, staying] = ['192.0.2.1', '192.0.2.2'].map((address) => ({
    address,
    prefixLength: 24,
    interface: 'eth0',
  }));
  const [third, fourth] = ['192.0.2.3', '192.0.2.4'].map((address) => ({
    address,
    prefixLength: 24,
    interface: 'eth0',
  }));
  if (!moving || !staying || !third || !fourth) throw new Error('no address');
  const one = vrrpInstance({ name: 'one', virtualRouterId: 51, addresses: [moving, staying] });
  const two = vrrpInstance({ name: 'two', virtualRouterId: 52, addresses: [third, fourth] });
  for (const [from, to] of [
    [one, two],
    [two, one],
  ] as const) {
    const host = new FakeHost();
    await host.start(directorConfig({ instances: [one, two] }));
    await host.clock.advance(DOWN_MS);
    host.heard();
    const [moved, ...rest] = from.addresses;
    if (moved === undefined) throw new Error('no address');
    const changed = [
      { ...from, addresses: rest },
      { ...to, addresses: [...to.addresses, moved] },
    ];
    changed.sort((a, b) => a.name.localeCompare(b.name));
    await host.service.reconfigure(directorConfig({ instances: changed }));
    await settled();
    const said = host.heard();
    t.ok(said.includes(`add ${moved.address}`));
    t.notOk(said.some((words) => words.startsWith('remove ') && words.includes(moved.address)));
  }
});

void t.test('an address that another host holds is a fault', async (t) => {
  const host = await master();
  host.heard();
  host.service.addressChanged({ address: '192.0.2.1', interface: 'eth0', added: true, dadFailed: true });
  await settled();
  t.equal(host.role('outside'), 'fault');
  t.match(host.log.find(({ level }) => level === 'error')?.message, 'another host holds 192.0.2.1');
});

void t.test('tracked interfaces: link and address, a change counts when it has lasted', async (t) => {
  const uplink: TrackedObject = {
    name: 'uplink',
    kind: { type: 'interface', interface: 'eth2', address: undefined },
    intervalMs: 1000,
    rise: 1,
    fall: 1,
    debounceMs: 500,
  };
  const host = new FakeHost();
  const instance = vrrpInstance({ track: [{ object: 'uplink', weight: undefined }] });
  await host.start(directorConfig({ instances: [instance], tracked: [uplink] }));
  await host.clock.advance(DOWN_MS);
  t.equal(host.role('outside'), 'master');
  host.up.delete('eth2');
  host.service.linkChanged('eth2');
  await host.clock.advance(400);
  host.up.add('eth2');
  host.service.linkChanged('eth2');
  await host.clock.advance(1000);
  t.equal(host.role('outside'), 'master', 'it was back in time');
  host.up.delete('eth2');
  host.service.linkChanged('eth2');
  await host.clock.advance(501);
  t.equal(host.role('outside'), 'fault');
});

void t.test('what an instance needs is made before the election and gone after it', async (t) => {
  const host = new FakeHost();
  const instance = vrrpInstance({ virtualMacInterface: 'vrrp4-51', acceptMode: false });
  await host.start(directorConfig({ instances: [instance] }));
  await host.clock.advance(0);
  const told = host.heard().filter((one) => one !== 'guard');
  t.strictSame(told, [
    'devices vrrp4-51 over eth0 with 00:00:5e:00:01:33',
    'filter 192.0.2.1',
    'outside is backup',
  ]);
  host.service.linkChanged('eth0');
  await host.clock.advance(200);
  t.strictSame(host.heard(), ['devices vrrp4-51 over eth0 with 00:00:5e:00:01:33'], 'its parent changed');
  await host.service.stop();
  t.strictSame(host.heard(), ['disarm', 'devices', 'filter ']);
});

void t.test('maintenance before the start holds from the start on', async (t) => {
  const host = new FakeHost();
  host.service.maintenance(['outside'], true);
  await host.start(directorConfig({ instances: [vrrpInstance()] }));
  t.equal(host.service.status()[0]?.effective_priority, 1);
  host.service.maintenance(['outside'], false);
  t.equal(host.service.status()[0]?.effective_priority, 100);
});

void t.test('how late deadlines were is counted', async (t) => {
  const host = await master();
  const { count, over_20_ms } = host.service.lateness.summary();
  t.ok(count >= 1);
  t.equal(over_20_ms, 0);
});

void t.test("the guardian's word after a stall that is known already withdraws nothing twice", async (t) => {
  const host = await master();
  const begin = host.clock.nowMs();
  host.clock.nowMs = () => begin + 4000;
  host.advertise({ priority: 90 });
  t.equal(host.role('outside'), 'backup');
  const since = host.service.status()[0]?.counters['released_master'];
  host.service.withdrawn();
  t.equal(host.service.status()[0]?.counters['released_master'], since);
  host.clock.nowMs = () => begin + 4000 + 1500;
  await host.clock.advance(4000 + 1500);
  host.clock.nowMs = () => begin + 4000 + DOWN_MS + 900;
  await host.clock.advance(DOWN_MS + 900 - 1500);
  t.equal(host.role('outside'), 'master');
  host.service.withdrawn();
  t.equal(host.role('outside'), 'backup', 'later it is news');
});

void t.test('a stop says whether somebody has succeeded', async (t) => {
  for (const successor of [true, false]) {
    const host = new FakeHost();
    await host.start(directorConfig({ instances: [vrrpInstance()] }));
    await host.clock.advance(5000);
    t.equal(host.service.status()[0]?.state, 'master');
    const stopped = host.service.stop();
    await host.clock.advance(10);
    if (successor) host.advertise({});
    await host.clock.advance(5000);
    t.equal(await stopped, successor);
  }
});

void t.test(
  'who waits for the connection table says so, and goes when it is told that it is complete',
  async (t) => {
    const host = new FakeHost();
    const preempt = { mode: 'synced', delayMs: 0, atMostMs: 60_000 } as const;
    const outside = vrrpInstance({ priority: 200, preempt });
    // What is told before there is a group is for all that begin later.
    host.service.syncProgress(
      { complete: false, text: '1 of 2 connections is here' },
      Number.NEGATIVE_INFINITY,
    );
    await host.start(directorConfig({ instances: [outside] }));
    const status = () => host.service.status()[0];
    t.equal(status()?.awaits_sync, null);
    host.advertise({ priority: 100 });
    t.strictSame(status()?.awaits_sync, { text: '1 of 2 connections is here', at_most_s: 60 });
    await host.clock.advance(1000);
    t.strictSame(status()?.awaits_sync?.at_most_s, 59);
    t.ok(host.service.report().instances[0]?.awaitsSync);
    t.equal(host.service.status()[0]?.counters['awaited_sync'], 1);
    host.advertise({ priority: 100 });
    host.service.syncProgress({ complete: true, text: 'all connections are here' }, Number.NEGATIVE_INFINITY);
    t.equal(status()?.awaits_sync, null);
    for (let seconds = 0; seconds < 3; seconds++) {
      await host.clock.advance(1000);
      host.advertise({ priority: 100 });
    }
    await host.clock.advance(1000);
    t.equal(host.role('outside'), 'master');
    t.strictSame(
      host.log
        .filter(({ event }) => String(event).endsWith('-sync'))
        .map(({ level, event }) => [level, event]),
      [
        ['info', 'awaits-sync'],
        ['info', 'awaited-sync'],
      ],
    );
  },
);

void t.test('addresses whose turn comes when the role has gone are not added', async (t) => {
  const host = new FakeHost();
  const [one, two] = [vrrpInstance({ name: 'one' }), vrrpInstance({ name: 'two', virtualRouterId: 52 })];
  const syncGroups = [{ name: 'both', instances: ['one', 'two'], track: [] }];
  await host.start(directorConfig({ instances: [one, two], syncGroups }));
  let answer: () => void = () => {};
  host.kernel = new Promise((resolve) => {
    answer = resolve;
  });
  await host.clock.advance(3610);
  t.equal(host.role('two'), 'master');
  host.advertise({ priority: 200 });
  t.equal(host.role('two'), 'backup');
  answer();
  await settled();
  const said = host.heard();
  t.equal(said.filter((words) => words.startsWith('add ')).length, 1, said.join());
  t.equal(said.filter((words) => words.startsWith('remove ')).length, 2);
});
