/** When metrics are served, whom a scrape asks, and how often. */
import t from 'tap';
import type { MetricsListen, MetricsSettings } from '../../../src/config/model.js';
import type { CountedService } from '../../../src/ipvs/model.js';
import type { Log } from '../../../src/runtime/ports.js';
import { APART_MS, LOST_MS, WAIT_MS } from '../../../src/runtime/services/latest.js';
import {
  LISTEN_AGAIN_MS,
  MetricsKeeper,
  OLDEST_TEXT_MS,
  SAME_TEXT_MS,
} from '../../../src/runtime/services/metrics-keeper.js';
import type { MetricsSnapshot } from '../../../src/runtime/services/metrics-snapshot.js';
import { HandClock, settled } from '../hand-clock.js';
import { countedService, electionReport, servicesReport, virtualServerReport } from '../observe/snapshots.js';

const LISTEN = { address: '127.0.0.1', port: 9110 };
const SETTINGS: MetricsSettings = { listen: LISTEN, realServers: false };
const OTHER: MetricsSettings = { listen: { path: '/run/m.sock' }, realServers: true };

interface World {
  /** What is served, by place. */
  readonly served: MetricsListen[];
  readonly lines: string[];
  readonly written: MetricsSnapshot[];
  asked: number;
  reads: number;
  opened: number;
  closed: number;
  taken: boolean;
  /** How long it takes to write a text. */
  writeMs: number;
  read(): Promise<CountedService[]>;
}

function bench() {
  const clock = new HandClock();
  const world: World = {
    served: [],
    lines: [],
    written: [],
    asked: 0,
    reads: 0,
    opened: 0,
    closed: 0,
    taken: false,
    writeMs: 0,
    read: async () => [countedService()],
  };
  const say = (_fields: object, message: string): void => void world.lines.push(message);
  const log: Log = { debug: say, info: say, warn: say, error: say };
  let scrape: (() => Promise<readonly Uint8Array[]>) | undefined;
  const keeper = new MetricsKeeper({
    clock,
    log,
    serve: async (listen, answer) => {
      if (world.taken) throw new Error('listen EADDRINUSE');
      world.served.push(listen);
      scrape = answer;
      return async () => void world.served.splice(world.served.indexOf(listen), 1);
    },
    write: async (snapshot) => {
      world.written.push(snapshot);
      await clock.advance(world.writeMs);
      return [Buffer.from(`text ${world.written.length}`)];
    },
    openCounters: async () => {
      world.opened += 1;
      return {
        read: () => {
          world.reads += 1;
          return world.read();
        },
        close: () => void (world.closed += 1),
      };
    },
    askElection: () => void (world.asked += 1),
    report: () => servicesReport({ virtualServers: [virtualServerReport()] }),
  });
  const text = async (): Promise<string> => Buffer.concat((await scrape?.()) ?? []).toString();
  /** A scrape that the VRRP process answers at once. */
  const answered = async (): Promise<string> => {
    const scraped = text();
    await settled();
    keeper.take(electionReport());
    return scraped;
  };
  return { clock, world, keeper, text, answered };
}

void t.test('metrics are served where they are configured, and elsewhere after a reload', async (t) => {
  const { keeper, world } = bench();
  await keeper.configure(undefined);
  t.same(world.served, [], 'off by default');
  await keeper.configure(SETTINGS);
  t.same(world.served, [LISTEN]);
  await keeper.configure({ ...SETTINGS, realServers: true });
  t.same(world.served, [LISTEN], 'the same place is kept');
  t.same(world.lines, ['metrics are served at 127.0.0.1:9110']);
  await keeper.configure(OTHER);
  t.same(world.served, [OTHER.listen]);
  await keeper.configure(undefined);
  t.same(world.served, []);
});

void t.test('a place that is taken is told once, tried again and had in the end', async (t) => {
  const { keeper, world, clock } = bench();
  world.taken = true;
  await keeper.configure(SETTINGS);
  t.same(world.lines, ['metrics cannot be served at 127.0.0.1:9110: listen EADDRINUSE; it is tried again']);
  await clock.advance(3 * LISTEN_AGAIN_MS);
  t.equal(world.lines.length, 1, 'once');
  world.taken = false;
  await clock.advance(LISTEN_AGAIN_MS);
  t.same(world.served, [LISTEN]);
  t.equal(world.lines.at(-1), 'metrics are served at 127.0.0.1:9110');
});

void t.test('a reload that takes the section away ends the tries', async (t) => {
  const { keeper, world, clock } = bench();
  world.taken = true;
  await keeper.configure(SETTINGS);
  await keeper.configure(undefined);
  world.taken = false;
  await clock.advance(10 * LISTEN_AGAIN_MS);
  t.same(world.served, []);
});

void t.test('a scrape tells what both processes and the kernel know, and for which servers', async (t) => {
  const { keeper, world, answered } = bench();
  await keeper.configure({ ...SETTINGS, realServers: true });
  t.equal(await answered(), 'text 1');
  t.match(world.written, [
    {
      election: { sha256: 'abc123', ageMs: 0 },
      services: { virtualServers: [{ name: 'web' }] },
      table: { services: [{ stats: { connections: 1000 } }], ageMs: 0 },
      realServers: true,
    },
  ]);
});

void t.test('however often it is scraped, each is asked once a second', async (t) => {
  const { keeper, world, answered, text, clock } = bench();
  await keeper.configure(SETTINGS);
  await answered();
  for (let scrapes = 0; scrapes < 50; scrapes++) t.equal(await text(), 'text 1');
  t.same([world.asked, world.reads, world.written.length], [1, 1, 1]);
  await clock.advance(SAME_TEXT_MS);
  t.equal(await answered(), 'text 2');
  t.same([world.asked, world.reads, world.opened], [2, 2, 1], 'over one connection');
});

void t.test('scrapes at one time are one', async (t) => {
  const { keeper, world, text } = bench();
  await keeper.configure(SETTINGS);
  const scrapes = [text(), text(), text()];
  await settled();
  keeper.take(electionReport());
  t.same(await Promise.all(scrapes), ['text 1', 'text 1', 'text 1']);
  t.equal(world.asked, 1);
});

void t.test('a text that takes long to write is kept longer, but not for ever', async (t) => {
  const { keeper, world, answered, text, clock } = bench();
  await keeper.configure(SETTINGS);
  world.writeMs = 500;
  t.equal(await answered(), 'text 1');
  await clock.advance(4 * 500 - 1);
  t.equal(await text(), 'text 1');
  world.writeMs = 60_000;
  await clock.advance(1);
  await answered();
  world.writeMs = 0;
  await clock.advance(OLDEST_TEXT_MS);
  t.equal(await answered(), 'text 3');
});

void t.test(
  'a VRRP process that does not answer is not waited for: what it said last has an age',
  async (t) => {
    const { keeper, world, answered, text, clock } = bench();
    await keeper.configure(SETTINGS);
    await answered();
    await clock.advance(5000);
    const scraped = text();
    await clock.advance(WAIT_MS);
    await scraped;
    t.equal(world.written.at(-1)?.election?.ageMs, 5000 + WAIT_MS);
    await clock.advance(SAME_TEXT_MS);
    const again = text();
    await clock.advance(WAIT_MS);
    await again;
    t.equal(world.asked, 2, 'a question that is open is not asked again');
    await clock.advance(LOST_MS);
    t.equal(await answered(), 'text 4');
    t.equal(world.asked, 3, 'until it counts as lost');
    t.equal(world.written.at(-1)?.election?.ageMs, 0);
  },
);

void t.test('one that never said anything is left out', async (t) => {
  const { keeper, world, text, clock } = bench();
  await keeper.configure(SETTINGS);
  const scraped = text();
  await clock.advance(WAIT_MS);
  await scraped;
  t.equal(world.written[0]?.election, undefined);
});

void t.test(
  'a table that takes long to read comes with the next scrape, and the kernel has a rest',
  async (t) => {
    const { keeper, world, answered, clock } = bench();
    await keeper.configure(SETTINGS);
    let give = (_services: CountedService[]): void => {};
    world.read = () =>
      new Promise((resolve) => {
        give = resolve;
      });
    const first = answered();
    await clock.advance(WAIT_MS);
    await first;
    t.equal(world.written[0]?.table, undefined);
    await clock.advance(2000 - WAIT_MS);
    give([countedService()]);
    await clock.advance(APART_MS);
    await answered();
    t.match(world.written[1]?.table, { tookMs: 2000, ageMs: 1000 });
    await clock.advance(4 * 2000 - 1000 - 1);
    await answered();
    t.equal(world.reads, 1, 'four times as long as it took');
    await clock.advance(SAME_TEXT_MS);
    const third = answered();
    await clock.advance(WAIT_MS);
    await third;
    t.equal(world.reads, 2);
  },
);

void t.test('a kernel that refuses is counted, and asked anew over another connection', async (t) => {
  const { keeper, world, answered, clock } = bench();
  await keeper.configure(SETTINGS);
  world.read = async () => Promise.reject(new Error('EPERM'));
  await answered();
  t.match(world.written[0], { table: undefined, tableFailures: 1 });
  t.equal(world.closed, 1);
  world.read = async () => [countedService()];
  await clock.advance(SAME_TEXT_MS);
  await answered();
  t.match(world.written[1], { table: { services: [{}] }, tableFailures: 1 });
  t.equal(world.opened, 2);
});

void t.test('the end closes all', async (t) => {
  const { keeper, world, answered, clock } = bench();
  await keeper.configure(SETTINGS);
  await answered();
  await keeper.close();
  await settled();
  t.same([world.served, world.closed], [[], 1]);
  await clock.advance(60_000);
  t.equal(world.reads, 1);
});
