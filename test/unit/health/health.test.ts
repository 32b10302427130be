import fc from 'fast-check';
import t from 'tap';
import type { HealthCheck, RealServer, VirtualServer } from '../../../src/config/model-servers.js';
import {
  createHealth,
  FIRST_PROBE_SPACING_MS,
  firstVerdictsIn,
  healthAges,
  healthOf,
  MAX_PROBES_IN_FLIGHT,
  MAX_PROBES_PER_STEP,
  stepHealth,
} from '../../../src/health/health.js';
import { MinHeap } from '../../../src/util/min-heap.js';
import { oneCheck, realServer, tcpCheck, virtualServer } from '../config/servers.js';
import { World } from './world.js';

const CHECK = tcpCheck({ timeoutMs: 500 });

function rs(last: number, port = 80): RealServer {
  return realServer(`10.0.0.${last}`, { port });
}

function vs(name: string, realServers: readonly RealServer[], check?: HealthCheck): VirtualServer {
  return virtualServer({ name, realServers, healthChecks: check && oneCheck(check) });
}

await t.test(
  'start: a server that answers has its verdict after one round, a silent one after `fall`',
  async (t) => {
    const world = new World([vs('web', [rs(1), rs(2)], CHECK), vs('free', [rs(3)])]);
    t.equal(firstVerdictsIn(world.health.state), false);
    t.same(healthOf(world.health.state, 'web', rs(1)), { health: 'unknown', reason: null });
    t.same(healthOf(world.health.state, 'free', rs(3)), { health: 'unchecked', reason: null });
    t.same(healthOf(world.health.state, 'other', rs(3)), { health: 'unchecked', reason: null });
    world.alive = (address) => address.endsWith('.1');
    world.run(5);
    t.equal(firstVerdictsIn(world.health.state), false, 'no verdict before the first outcome');
    world.run(20);
    t.equal(firstVerdictsIn(world.health.state), false, 'one failure is no verdict');
    t.same(world.log, ['web 10.0.0.1:80 unknown>up']);
    t.same(healthOf(world.health.state, 'web', rs(2)), { health: 'unknown', reason: 'connection refused' });
    world.run(CHECK.fall * CHECK.intervalMs);
    t.equal(firstVerdictsIn(world.health.state), true);
    t.same(world.log, ['web 10.0.0.1:80 unknown>up', 'web 10.0.0.2:80 unknown>down']);
    t.same(healthOf(world.health.state, 'web', rs(2)), { health: 'down', reason: 'connection refused' });
  },
);

await t.test('nothing to check', async (t) => {
  const world = new World([vs('free', [rs(1)]), vs('empty', [], CHECK)]);
  t.equal(firstVerdictsIn(world.health.state), true);
  t.equal(world.health.deadlineMs, undefined);
});

await t.test('a server falls after three failures and rises after two successes', async (t) => {
  const world = new World([vs('web', [rs(1)], CHECK)]);
  world.run(10_000);
  world.log.length = 0;
  world.alive = () => false;
  world.run(2 * CHECK.intervalMs);
  t.same(world.log, [], 'two failures are not enough');
  t.same(healthOf(world.health.state, 'web', rs(1)), { health: 'up', reason: 'connection refused' });
  world.run(CHECK.intervalMs);
  t.same(world.log, ['web 10.0.0.1:80 up>down']);
  world.alive = () => true;
  world.run(CHECK.intervalMs);
  t.equal(healthOf(world.health.state, 'web', rs(1)).health, 'down');
  world.run(CHECK.intervalMs);
  t.same(world.log, ['web 10.0.0.1:80 up>down', 'web 10.0.0.1:80 down>up']);
  t.equal(healthOf(world.health.state, 'web', rs(1)).reason, null);
});

await t.test('a check on a port of its own speaks for every port behind it', async (t) => {
  const servers = [rs(1, 80), rs(1, 443)];
  const world = new World([vs('web', servers, { ...CHECK, port: 8080 })]);
  world.alive = (_, port) => port !== 8080;
  world.run(10_000);
  t.strictSame([...new Set(world.started.map(({ server }) => server))], ['10.0.0.1:8080']);
  t.strictSame(
    world.log,
    ['unknown>up', 'up>down'].flatMap((change) =>
      servers.map(({ port }) => `web 10.0.0.1:${port} ${change}`),
    ),
  );
  for (const server of servers) t.match(healthOf(world.health.state, 'web', server), { health: 'down' });
});

await t.test('one target of two virtual servers is probed once and told to both', async (t) => {
  const world = new World([
    vs('http', [rs(1)], CHECK),
    vs('alias', [rs(1)], CHECK),
    vs('x', [rs(1, 81)], CHECK),
  ]);
  world.run(15);
  t.same(
    world.started.map((probe) => probe.server),
    ['10.0.0.1:80', '10.0.0.1:81'],
  );
  t.same(world.log, [
    'http 10.0.0.1:80 unknown>up',
    'alias 10.0.0.1:80 unknown>up',
    'x 10.0.0.1:81 unknown>up',
  ]);
});

await t.test('reload', async (t) => {
  await t.test('an unchanged check keeps its verdict, its count and the probe under way', async (t) => {
    const world = new World([vs('web', [rs(1), rs(2)], CHECK)]);
    world.run(10_000);
    world.alive = () => false;
    world.run(2 * CHECK.intervalMs);
    world.log.length = 0;
    world.input({ type: 'config', virtualServers: [vs('web', [rs(1), rs(3)], CHECK)] });
    t.same(healthOf(world.health.state, 'web', rs(1)), { health: 'up', reason: 'connection refused' });
    t.equal(healthOf(world.health.state, 'web', rs(2)).health, 'unchecked');
    t.equal(healthOf(world.health.state, 'web', rs(3)).health, 'unknown');
    t.equal(firstVerdictsIn(world.health.state), false);
    world.run(CHECK.intervalMs);
    t.same(world.log, ['web 10.0.0.1:80 up>down']);
    world.run(CHECK.fall * CHECK.intervalMs);
    t.same(world.log, ['web 10.0.0.1:80 up>down', 'web 10.0.0.3:80 unknown>down']);
  });

  await t.test('a changed check leaves the verdict until it has failed `fall` times', async (t) => {
    const world = new World([vs('web', [rs(1)], CHECK)]);
    world.run(10_000);
    world.log.length = 0;
    world.alive = () => false;
    world.input({ type: 'config', virtualServers: [vs('web', [rs(1)], { ...CHECK, timeoutMs: 600 })] });
    t.equal(healthOf(world.health.state, 'web', rs(1)).health, 'up');
    t.equal(firstVerdictsIn(world.health.state), true, 'no real server goes unknown by a reload');
    world.run(20);
    t.equal(world.started.at(-1)?.atMs, world.nowMs - 20, 'probed at once');
    t.same(world.log, [], 'one failure right after the reload takes nobody out');
    world.run(CHECK.fall * CHECK.intervalMs);
    t.same(world.log, ['web 10.0.0.1:80 up>down']);
  });

  await t.test('an outcome of a removed server is ignored', async (t) => {
    const world = new World([vs('web', [rs(1)], CHECK)]);
    t.equal(world.inFlight, 1);
    world.input({ type: 'config', virtualServers: [] });
    world.run(5_000);
    t.same(world.log, []);
    t.equal(world.health.deadlineMs, undefined);
  });

  await t.test('a probe under way is not started again', async (t) => {
    const world = new World([vs('web', [rs(1)], CHECK)]);
    world.input({ type: 'config', virtualServers: [vs('web', [rs(1)], CHECK)] });
    world.input({ type: 'deadline' });
    t.equal(world.started.length, 1);
    world.run(20);
    t.same(world.log, ['web 10.0.0.1:80 unknown>up']);
  });
});

await t.test('probes lie spread over the interval, one for each server', async (t) => {
  const servers = Array.from({ length: 200 }, (_, index) => rs(index));
  const world = new World([vs('web', servers, CHECK)]);
  t.equal(world.started.length, 1, 'not all in the first millisecond');
  world.run(200 * FIRST_PROBE_SPACING_MS + 20);
  t.equal(firstVerdictsIn(world.health.state), true);
  world.run(CHECK.intervalMs);
  world.started.length = 0;
  const fromMs = world.nowMs;
  world.run(CHECK.intervalMs);
  t.equal(world.started.length, 200);
  t.equal(new Set(world.started.map((probe) => probe.server)).size, 200);
  const tenths = Array.from({ length: 10 }, () => 0);
  for (const { atMs } of world.started) {
    const tenth = Math.min(9, Math.floor((10 * (atMs - fromMs)) / CHECK.intervalMs));
    tenths[tenth] = (tenths[tenth] ?? 0) + 1;
  }
  t.ok(Math.max(...tenths) <= 45, `no tenth of the interval has most of them: ${tenths.join(' ')}`);
});

await t.test(
  'a silent server is probed once an interval, though its probe lasts the whole of it',
  async (t) => {
    const world = new World([vs('web', [rs(1)], { ...CHECK, intervalMs: 1_000, timeoutMs: 1_000 })]);
    world.alive = () => false;
    // Timers are late by a little.
    world.latencyMs = 1_003;
    world.run(10_000);
    t.ok(world.started.length >= 9, `${world.started.length} probes in ten intervals`);
  },
);

await t.test('what this host could not ask says nothing of the server', async (t) => {
  const world = new World([vs('web', [rs(1)], { ...CHECK, fall: 1 })]);
  world.run(5_000);
  world.log.length = 0;
  world.latencyMs = 1_000_000;
  for (let round = 0; round < 3; round += 1) {
    world.nowMs = Math.max(world.nowMs, world.health.deadlineMs ?? 0);
    world.input({ type: 'deadline' });
    const probe = world.health.effects.find((effect) => effect.type === 'probe');
    if (probe === undefined) throw new Error('no probe was due');
    world.input({ type: 'outcome', id: probe.id, ok: undefined, reason: 'no file descriptor left' });
  }
  t.match(healthOf(world.health.state, 'web', rs(1)), { health: 'up', reason: 'no file descriptor left' });
});

await t.test('nobody waits for ever for a server that this host cannot ask', async (t) => {
  const first = createHealth([vs('web', [rs(1), rs(2)], CHECK)], 0);
  const { state } = first;
  const ids = first.effects.flatMap((effect) => (effect.type === 'probe' ? [effect.id] : []));
  const begun = stepHealth(state, { type: 'deadline' }, 10);
  ids.push(...begun.effects.flatMap((effect) => (effect.type === 'probe' ? [effect.id] : [])));
  const [one = 0, other = 0] = ids;
  stepHealth(state, { type: 'outcome', id: one, ok: true }, 20);
  t.notOk(firstVerdictsIn(state));
  stepHealth(state, { type: 'outcome', id: other, ok: undefined, reason: 'no certificates' }, 20);
  t.ok(firstVerdictsIn(state));
  t.match(healthOf(state, 'web', rs(2)), { health: 'unknown', reason: 'no certificates' });
  stepHealth(state, { type: 'config', virtualServers: [vs('web', [rs(1), rs(2)], CHECK)] }, 30);
  t.ok(firstVerdictsIn(state), 'nor after a reload');
});

await t.test('first probes of many servers are spread over the interval', async (t) => {
  const servers = Array.from({ length: 10_000 }, (_, index) => rs(1, index + 1));
  const world = new World([vs('web', servers, CHECK)]);
  world.run(CHECK.intervalMs + 100);
  const perMs = new Map<number, number>();
  const first = new Map(world.started.toReversed().map(({ server, atMs }) => [server, atMs]));
  for (const atMs of first.values()) {
    const ms = Math.floor(atMs);
    perMs.set(ms, (perMs.get(ms) ?? 0) + 1);
  }
  t.equal(first.size, servers.length);
  t.ok(perMs.size >= CHECK.intervalMs - 1, `over ${perMs.size} ms`);
  t.ok(Math.max(...perMs.values()) <= 20, `at most ${Math.max(...perMs.values())} in one of them`);
});

await t.test('the second probe follows the first half an interval later at the earliest', async (t) => {
  const servers = Array.from({ length: 100 }, (_, index) => rs(1, index + 1));
  const world = new World([vs('web', servers, CHECK)]);
  world.run(2 * CHECK.intervalMs);
  const gaps = servers.map(({ port }) => {
    const own = world.started.filter(({ server }) => server === `10.0.0.1:${port}`);
    return (own[1]?.atMs ?? Number.NaN) - (own[0]?.atMs ?? Number.NaN);
  });
  t.ok(Math.min(...gaps) >= CHECK.intervalMs / 2, `${Math.min(...gaps)} ms`);
  t.ok(Math.max(...gaps) <= 1.5 * CHECK.intervalMs, `${Math.max(...gaps)} ms`);
});

await t.test('one step begins few probes, however many are due', async (t) => {
  const servers = Array.from({ length: 1_000 }, (_, index) => rs(1, index + 1));
  const world = new World([vs('web', servers, CHECK)]);
  world.nowMs += 60_000;
  world.input({ type: 'deadline' });
  t.equal(world.health.effects.length, MAX_PROBES_PER_STEP);
  t.ok((world.health.deadlineMs ?? Infinity) <= world.nowMs, 'and asks for the next at once');
  const { id } = { id: 1, ...world.health.effects.find((effect) => effect.type === 'probe') };
  world.input({ type: 'outcome', id, ok: true });
  t.equal(
    world.health.effects.filter((effect) => effect.type === 'probe').length,
    0,
    'an outcome begins none',
  );
});

await t.test('a stalled loop is not made up for by a burst', async (t) => {
  const world = new World([vs('web', [rs(1)], CHECK)]);
  world.run(100);
  world.nowMs += 60_000;
  world.started.length = 0;
  world.run(CHECK.intervalMs - 1);
  t.ok(world.started.length <= 2, `${world.started.length} probes`);
});

await t.test('a stray wake is harmless', async (t) => {
  const world = new World([vs('web', [rs(1)], CHECK)]);
  world.run(100);
  const before = world.health.deadlineMs;
  world.input({ type: 'deadline' });
  world.input({ type: 'outcome', id: 999, ok: true });
  t.equal(world.started.length, 1);
  t.equal(world.health.deadlineMs, before);
});

await t.test('probes under way are bounded, and the rest follows', async (t) => {
  const count = MAX_PROBES_IN_FLIGHT + 100;
  const servers = Array.from({ length: count }, (_, index) => rs(1, index + 1));
  const world = new World([vs('web', servers, { ...CHECK, intervalMs: 60_000 })]);
  world.latencyMs = 4_000;
  world.run(3_999);
  t.equal(world.inFlight, MAX_PROBES_IN_FLIGHT);
  t.equal(world.health.deadlineMs, undefined);
  world.run(8_000);
  t.equal(firstVerdictsIn(world.health.state), true);
});

await t.test('any history: never two probes at a time, never a forgotten server', async () => {
  const events = fc.oneof(
    fc.record({ kind: fc.constant('run' as const), ms: fc.integer({ min: 0, max: 5_000 }) }),
    fc.record({ kind: fc.constant('alive' as const), mask: fc.integer({ min: 0, max: 15 }) }),
    fc.record({
      kind: fc.constant('reload' as const),
      mask: fc.integer({ min: 0, max: 15 }),
      fall: fc.integer({ min: 1, max: 2 }),
    }),
    fc.record({ kind: fc.constant('latency' as const), ms: fc.integer({ min: 1, max: CHECK.timeoutMs }) }),
  );
  fc.assert(
    fc.property(fc.array(events, { maxLength: 30 }), (history) => {
      const config = (mask: number, fall: number): VirtualServer[] => [
        vs(
          'a',
          [0, 1, 2, 3].filter((bit) => mask & (1 << bit)).map((bit) => rs(bit)),
          { ...CHECK, fall },
        ),
      ];
      let current = config(15, 1);
      const world = new World(current);
      for (const event of history) {
        if (event.kind === 'run') {
          world.run(event.ms);
        } else if (event.kind === 'alive') {
          world.alive = (address) => (event.mask & (1 << Number(address.slice(-1)))) !== 0;
        } else if (event.kind === 'latency') {
          world.latencyMs = event.ms;
        } else {
          current = config(event.mask, event.fall);
          world.input({ type: 'config', virtualServers: current });
        }
      }
      world.alive = () => false;
      world.run(30_000);
      const verdicts = current.flatMap((virtualServer) =>
        virtualServer.realServers.map(
          (server) => healthOf(world.health.state, virtualServer.name, server).health,
        ),
      );
      return (
        verdicts.every((verdict) => verdict === 'down') &&
        firstVerdictsIn(world.health.state) &&
        !world.log.some((line) => line.startsWith('two probes'))
      );
    }),
    { numRuns: 60 },
  );
});

await t.test('the queue hands out in order of time', async () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 50 })), (times) => {
      const queue = new MinHeap<{ dueMs: number }>((a, b) => a.dueMs < b.dueMs);
      for (const dueMs of times) {
        queue.push({ dueMs });
      }
      const out = times.map(() => queue.pop()?.dueMs);
      const sorted = [...times].sort((a, b) => a - b);
      return queue.pop() === undefined && out.every((dueMs, index) => dueMs === sorted[index]);
    }),
  );
});

await t.test('how old a verdict is, and what was heard last', async (t) => {
  const world = new World([vs('web', [rs(1)], CHECK), vs('free', [rs(3)])]);
  const ages = (name = 'web', server = rs(1)) => healthAges(world.health.state, name, server, world.nowMs);
  const unknown = { verdictMs: undefined, heardMs: undefined };
  t.same(ages(), unknown, 'before the first answer');
  t.same(ages('free', rs(3)), unknown, 'without a check');
  world.run(world.latencyMs + 500);
  t.same(ages(), { verdictMs: 500, heardMs: 500 });
  world.run(10 * CHECK.intervalMs);
  const { verdictMs = 0, heardMs = Number.NaN } = ages();
  t.equal(verdictMs, 10 * CHECK.intervalMs + 500, 'good answers do not renew the verdict');
  t.ok(heardMs <= CHECK.intervalMs, `heard ${heardMs} ms ago`);
  world.input({ type: 'config', virtualServers: [vs('web', [rs(1)], { ...CHECK, fall: 1 })] });
  t.equal(ages().verdictMs, verdictMs, 'a check that changed keeps it');
  world.alive = () => false;
  world.run(2 * CHECK.intervalMs);
  t.ok((ages().verdictMs ?? Number.NaN) < 2 * CHECK.intervalMs, 'another verdict is a new one');
});

await t.test('a host that cannot ask hears nothing', async (t) => {
  const { state, effects } = createHealth([vs('web', [rs(1)], CHECK)], 0);
  for (const effect of effects) {
    if (effect.type !== 'probe') continue;
    stepHealth(state, { type: 'outcome', id: effect.id, ok: undefined, reason: 'EMFILE' }, 10);
  }
  t.same(healthAges(state, 'web', rs(1), 20), { verdictMs: undefined, heardMs: undefined });
});
