import t from 'tap';
import { Deadlines, type Waiting } from '../../../src/runtime/election/deadlines.js';
import type { VrrpTransport } from '../../../src/runtime/ports.js';
import { HandClock } from '../hand-clock.js';

/** What happened, in order. */
class World {
  readonly clock = new HandClock();
  readonly said: string[] = [];
  /** What a drained socket delivers. */
  onDrain: () => void = () => {};
  readonly transport: VrrpTransport = {
    source: '192.0.2.1',
    destinations: [],
    send: (packets) => void this.said.push(`send ${packets.map(({ destination }) => destination).join(' ')}`),
    drain: () => {
      this.said.push('drain');
      this.onDrain();
    },
    close: () => {},
  };
  readonly deadlines = new Deadlines(this.clock, () => void this.said.push('check'));

  group(name: string, { transports = [this.transport], leadMs = 0 } = {}): Waiting {
    return {
      leadMs,
      makeReady: () => void this.said.push(`${name} is made ready`),
      addTransports: (to) => {
        for (const transport of transports) to.add(transport);
      },
      due: () => {
        this.said.push(name);
        this.deadlines.outbox.send(
          this.transport,
          [{ destination: name, payload: new Uint8Array() }],
          () => {},
        );
      },
    };
  }

  /** A deadline so many milliseconds from now that may come `earlyMs` sooner in company. */
  in(ms: number, earlyMs: number, group: Waiting): () => void {
    const atMs = this.clock.nowMs() + ms;
    return this.deadlines.at(atMs, atMs - earlyMs, group);
  }
}

void t.test(
  'advertisements that are nearly due leave with the one that is, and the socket is read once',
  async (t) => {
    const world = new World();
    world.in(10, 4, world.group('a'));
    world.in(13, 4, world.group('b'));
    world.in(15, 4, world.group('c'));
    await world.clock.advance(9);
    t.same(world.said, []);
    await world.clock.advance(1);
    t.same(world.said.splice(0), ['check', 'drain', 'a', 'b', 'send a b']);
    t.match(world.deadlines.lateness.summary(), { count: 2, max_ms: 0 }, 'who is early is not late');
    await world.clock.advance(5);
    t.same(world.said, ['check', 'drain', 'c', 'send c']);
  },
);

void t.test('a deadline that may not be early acts alone, and when it is due', async (t) => {
  const world = new World();
  world.in(10, 0, world.group('takeover'));
  world.in(10, 4, world.group('advertisement'));
  world.in(12, 0, world.group('later'));
  await world.clock.advance(10);
  const alone = ['check', 'drain', 'takeover', 'send takeover'];
  t.same(world.said.splice(0), [...alone, 'check', 'drain', 'advertisement', 'send advertisement']);
  await world.clock.advance(2);
  t.same(world.said, ['check', 'drain', 'later', 'send later']);
});

void t.test('what is read first may move a deadline away', async (t) => {
  const world = new World();
  const cancel = world.in(10, 0, world.group('takeover'));
  world.onDrain = () => {
    cancel();
    world.in(30, 0, world.group('heard'));
  };
  await world.clock.advance(20);
  t.same(world.said.splice(0), ['check', 'drain'], 'no takeover');
  world.onDrain = () => {};
  await world.clock.advance(20);
  t.same(world.said, ['check', 'drain', 'heard', 'send heard']);
});

void t.test('cancelled ones are forgotten, late ones are told', async (t) => {
  const world = new World();
  const cancels = Array.from({ length: 300 }, (_, i) => world.in(10 + i, 0, world.group(`${i}`)));
  for (const [i, cancel] of cancels.entries()) if (i !== 150) cancel();
  await world.clock.advance(400);
  t.same(world.said, ['check', 'drain', '150', 'send 150']);
  t.match(world.deadlines.lateness.summary(), { count: 1, max_ms: 0 });
});

void t.test(
  'a refused advertisement is told to the one who sent first, and the others still act',
  async (t) => {
    const world = new World();
    const refused: unknown[] = [];
    const gone: VrrpTransport = {
      ...world.transport,
      send: () => {
        throw new Error('ENETDOWN');
      },
    };
    world.deadlines.outbox.together(() => {
      for (const name of ['a', 'b']) {
        world.deadlines.outbox.send(gone, [{ destination: name, payload: new Uint8Array() }], (error) =>
          refused.push(`${name} ${String(error)}`),
        );
      }
      world.deadlines.outbox.send(world.transport, [{ destination: 'c', payload: new Uint8Array() }], () =>
        t.fail(),
      );
    });
    t.same(refused, ['a Error: ENETDOWN']);
    t.same(world.said, ['send c']);
  },
);

void t.test('a group that wants it is told of its deadline a little before', async (t) => {
  const world = new World();
  const cancel = world.in(10, 0, world.group('a', { leadMs: 3 }));
  await world.clock.advance(6);
  t.same(world.said, []);
  await world.clock.advance(1);
  t.same(world.said.splice(0), ['a is made ready']);
  await world.clock.advance(2);
  t.same(world.said, [], 'once');
  await world.clock.advance(1);
  t.same(world.said.splice(0), ['check', 'drain', 'a', 'send a'], 'and it acts when it is due');
  cancel();
  world.in(2, 0, world.group('b', { leadMs: 3 }));
  await world.clock.advance(0);
  t.same(world.said.splice(0), ['b is made ready'], 'one that is due sooner than that: at once');
  await world.clock.advance(2);
  t.same(world.said.splice(0), ['check', 'drain', 'b', 'send b']);
});
