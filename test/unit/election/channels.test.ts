/** Sockets that come and go with interfaces and addresses. */
import t from 'tap';
import { Channels } from '../../../src/runtime/election/channels.js';
import type { LinkMonitor, VrrpTransport } from '../../../src/runtime/ports.js';
import { HandClock } from '../hand-clock.js';
import { vrrpInstance } from '../vrrp/instances.js';

class NoAddress extends Error {
  readonly code = 'ERR_NO_INTERFACE_ADDRESS';
}

/** An interface that has an address or not, and sockets that are counted. */
class World {
  source: string | undefined;
  readonly indices = new Map([
    ['eth0', 7],
    ['vrrp51', 8],
  ]);
  failure: Error = new NoAddress('no address yet');
  readonly clock = new HandClock();
  readonly warnings: string[] = [];
  readonly open = new Set<VrrpTransport>();
  readonly told: [string, string | undefined, string | undefined][] = [];
  readonly awaited: string[] = [];
  readonly channels: Channels;

  constructor(source: string | undefined) {
    this.source = source;
    const links: LinkMonitor = {
      isUp: () => true,
      index: (name) => this.indices.get(name),
      holds: (_, address) => address === this.source,
      catchUp: async () => {},
      close: () => {},
    };
    const silent = () => {};
    this.channels = new Channels({
      clock: this.clock,
      links,
      log: { debug: silent, info: silent, warn: (_, text) => this.warnings.push(text), error: silent },
      openTransport: () => this.#open(),
      onMessage: silent,
      onSource: (instance, address, fault) => this.told.push([instance, address, fault]),
      onAwaited: (instance) => this.awaited.push(instance),
    });
  }

  #open(): VrrpTransport {
    if (this.source === undefined) throw this.failure;
    const transport: VrrpTransport = {
      source: this.source,
      destinations: ['224.0.0.18'],
      send: () => {},
      drain: () => undefined,
      close: () => this.open.delete(transport),
    };
    this.open.add(transport);
    return transport;
  }
}

const first = vrrpInstance();
const second = vrrpInstance({ name: 'second', virtualRouterId: 52 });

await t.test(
  'without an address an instance joins all the same, and is told when there is one',
  async (t) => {
    const world = new World(undefined);
    t.equal(world.channels.join(first), undefined);
    t.equal(world.channels.join(second), undefined);
    t.equal(world.channels.transport(first.name), undefined);
    t.equal(world.channels.faultOf(first.name), 'no address yet');
    world.channels.refresh('eth0');
    t.same(world.told, [], 'no news');
    t.same(world.warnings, ['cannot speak on eth0: no address yet'], 'told once');
    world.source = '192.0.2.11';
    world.channels.refresh('eth0');
    t.same(world.told, [
      [first.name, '192.0.2.11', undefined],
      [second.name, '192.0.2.11', undefined],
    ]);
    t.equal(world.open.size, 1, 'one socket for both');
    t.equal(world.channels.transport(second.name)?.source, '192.0.2.11');
  },
);

await t.test('a later instance brings the channel up for the earlier one', async (t) => {
  const world = new World(undefined);
  world.channels.join(first);
  world.source = '192.0.2.11';
  t.equal(world.channels.join(second), '192.0.2.11');
  t.equal(world.channels.transport(first.name)?.source, '192.0.2.11');
  t.same(world.told, [[first.name, '192.0.2.11', undefined]]);
});

await t.test('an address that goes and comes back', async (t) => {
  const world = new World('192.0.2.11');
  t.equal(world.channels.join(first), '192.0.2.11');
  world.source = undefined;
  world.channels.refresh('eth0');
  await world.clock.advance(1000);
  t.same(world.told, [[first.name, undefined, 'no address yet']]);
  t.equal(world.open.size, 0);
  world.source = '192.0.2.12';
  world.channels.refresh('eth0');
  t.same(world.told.at(-1), [first.name, '192.0.2.12', undefined]);
  world.channels.leave(first.name);
  t.equal(world.open.size, 0, 'the last one closes the socket');
});

await t.test(
  'an address that goes for a moment is waited for, an interval and a second at most',
  async (t) => {
    for (const [advertisementIntervalMs, limitMs] of [
      [100, 100],
      [1000, 1000],
      [40_000, 1000],
    ] as const) {
      const world = new World('192.0.2.11');
      world.channels.join(vrrpInstance({ advertisementIntervalMs }));
      const { source } = world;
      world.source = undefined;
      world.channels.refresh('eth0');
      t.ok(world.channels.isAwaitingSource(first.name));
      await world.clock.advance(limitMs - 10);
      world.source = source;
      world.channels.refresh('eth0');
      t.notOk(world.channels.isAwaitingSource(first.name));
      await world.clock.advance(60_000);
      t.same(world.told, [], 'no fault');
      t.same(world.awaited.splice(0), [first.name]);
      world.source = undefined;
      world.channels.refresh('eth0');
      await world.clock.advance(limitMs / 2);
      world.channels.refresh('eth0');
      await world.clock.advance(limitMs / 2);
      t.same(world.told, [[first.name, undefined, 'no address yet']], 'another event makes it no longer');
      t.same(world.awaited, [first.name]);
    }
  },
);

await t.test('nothing is waited for by one that left, or on another device', async (t) => {
  const world = new World('192.0.2.11');
  world.channels.join(first);
  world.source = undefined;
  world.channels.refresh('eth0');
  world.channels.leave(first.name);
  await world.clock.advance(60_000);
  t.same([world.told, world.awaited, world.open.size], [[], [], 0]);
  world.source = '192.0.2.11';
  world.channels.join(first);
  world.source = undefined;
  world.channels.refresh('eth0');
  world.indices.delete('eth0');
  world.channels.refresh('eth0');
  t.same(world.told, [[first.name, undefined, 'interface eth0 is missing']]);
});

await t.test('a device that is missing is the fault of its instances, until it is there', async (t) => {
  const world = new World('192.0.2.11');
  world.indices.delete('eth0');
  t.equal(world.channels.join(first), undefined);
  t.equal(world.channels.faultOf(first.name), 'interface eth0 is missing');
  t.equal(world.open.size, 0);
  world.source = undefined;
  world.indices.set('eth0', 9);
  world.channels.refresh('eth0');
  t.same(world.told.splice(0), [[first.name, undefined, 'no address yet']], 'another reason is news');
  world.source = '192.0.2.11';
  world.channels.refresh('eth0');
  t.same(world.told.splice(0), [[first.name, '192.0.2.11', undefined]]);
  world.indices.delete('eth0');
  world.channels.refresh('eth0');
  t.same(world.told, [[first.name, undefined, 'interface eth0 is missing']]);
  t.equal(world.open.size, 0);
});

await t.test('what the kernel refuses is tried again by itself', async (t) => {
  const world = new World(undefined);
  world.failure = Object.assign(new Error('bind EADDRINUSE'), { code: 'EADDRINUSE' });
  t.equal(world.channels.join(first), undefined);
  await world.clock.advance(60_000);
  t.same(world.told, [], 'no news');
  t.equal(world.warnings.length, 1);
  world.source = '192.0.2.11';
  await world.clock.advance(10_000);
  t.same(world.told, [[first.name, '192.0.2.11', undefined]]);
  world.channels.leave(first.name);
  world.source = undefined;
  world.channels.join(first);
  world.channels.leave(first.name);
  world.source = '192.0.2.11';
  await world.clock.advance(60_000);
  t.equal(world.open.size, 0, 'not for one that left');
});

await t.test('a broken invariant is no fault of an instance', async (t) => {
  const world = new World(undefined);
  world.failure = new TypeError('undefined is not a function');
  t.throws(() => world.channels.join(first), TypeError);
});

await t.test('a device that is made anew, the parent or the macvlan', async (t) => {
  const world = new World('192.0.2.11');
  world.channels.join({ ...first, virtualMacInterface: 'vrrp51' });
  const before = world.channels.transport(first.name);
  world.channels.refresh('eth0');
  world.channels.refresh('vrrp51');
  t.equal(world.channels.transport(first.name), before, 'nothing changed');
  for (const name of ['vrrp51', 'eth0']) {
    const stale = world.channels.transport(first.name);
    world.indices.set(name, 20);
    world.channels.refresh(name);
    t.not(world.channels.transport(first.name), stale, name);
    t.equal(world.open.size, 1);
  }
});
