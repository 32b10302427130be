/** A real server with several checks. */
import fc from 'fast-check';
import t from 'tap';
import type { HealthCheck, HealthChecks, VirtualServer } from '../../../src/config/model-servers.js';
import {
  createHealth,
  firstVerdictsIn,
  type HealthStep,
  healthAges,
  healthOf,
  recoveredMs,
  stepHealth,
} from '../../../src/health/health.js';
import { httpCheck, oneCheck, realServer, tcpCheck, virtualServer } from '../config/servers.js';
import { World } from './world.js';

const REAL = realServer('10.0.0.1');
const TCP = tcpCheck({ timeoutMs: 500, rise: 1, fall: 1 });
const HTTP = tcpCheck({ ...TCP, kind: httpCheck({ paths: ['/health'] }), port: 8080 });

function server(needs: HealthChecks['needs'], ...checks: readonly HealthCheck[]): VirtualServer {
  return virtualServer({ realServers: [REAL], healthChecks: { needs, checks } });
}

/** Each port answers unless it is in `dead`. */
function worldOf(virtualServers: readonly VirtualServer[]) {
  const dead = new Set<number>();
  const world = new World(virtualServers);
  world.alive = (_, port) => !dead.has(port);
  return { world, dead, health: () => healthOf(world.health.state, 'web', REAL) };
}

await t.test('any: up while one is, down when none is', async (t) => {
  const { world, dead, health } = worldOf([server('any', TCP, HTTP)]);
  world.run(5000);
  t.same(world.log, ['web 10.0.0.1:80 unknown>up']);
  dead.add(8080);
  world.run(5000);
  t.same(health(), {
    health: 'up',
    reason: 'http:8080/health: connection refused',
    checks: [
      { check: 'tcp:80', health: 'up', reason: null },
      { check: 'http:8080/health', health: 'down', reason: 'connection refused' },
    ],
  });
  dead.add(80);
  world.run(5000);
  t.equal(health().health, 'down');
  t.equal(world.reasons.at(-1), 'tcp:80: connection refused; http:8080/health: connection refused');
  dead.delete(8080);
  world.run(5000);
  t.same(world.log.slice(1), ['web 10.0.0.1:80 up>down', 'web 10.0.0.1:80 down>up']);
});

await t.test('all: down while one is, up when all are', async (t) => {
  const { world, dead, health } = worldOf([server('all', TCP, HTTP)]);
  dead.add(8080);
  world.run(5000);
  t.same(world.log, ['web 10.0.0.1:80 unknown>down'], 'without a moment in the table');
  t.equal(world.reasons.at(-1), 'http:8080/health: connection refused', 'the one that failed is named');
  dead.delete(8080);
  world.run(5000);
  t.match(health(), { health: 'up', reason: null });
  dead.add(80);
  world.run(5000);
  t.same(world.log.slice(1), ['web 10.0.0.1:80 down>up', 'web 10.0.0.1:80 up>down']);
  t.equal(world.reasons.at(-1), 'tcp:80: connection refused');
});

/** Ids of the probes under way, by port. */
function probes(...steps: readonly HealthStep[]): (port: number) => number {
  const ids = new Map(
    steps.flatMap(({ effects }) =>
      effects.flatMap((effect) => (effect.type === 'probe' ? [[effect.port, effect.id] as const] : [])),
    ),
  );
  return (port) => ids.get(port) ?? Number.NaN;
}

await t.test('while a check has no verdict, the others decide what they can', async (t) => {
  for (const [needs, ok, verdict] of [
    ['any', true, 'up'],
    ['any', false, 'unknown'],
    ['all', true, 'unknown'],
    ['all', false, 'down'],
  ] as const) {
    const first = createHealth([server(needs, TCP, HTTP)], 0);
    const id = probes(first, stepHealth(first.state, { type: 'deadline' }, 10));
    stepHealth(first.state, { type: 'outcome', id: id(80), ok, reason: 'refused' }, 20);
    t.equal(healthOf(first.state, 'web', REAL).health, verdict, `${needs} ${ok}`);
    t.equal(firstVerdictsIn(first.state), verdict !== 'unknown');
    stepHealth(first.state, { type: 'outcome', id: id(8080), ok, reason: 'refused' }, 20);
    t.equal(healthOf(first.state, 'web', REAL).health, ok ? 'up' : 'down');
    t.ok(firstVerdictsIn(first.state));
  }
});

await t.test('nobody waits for ever for a check that this host cannot ask', async (t) => {
  const { state, ...first } = createHealth([server('all', TCP, HTTP)], 0);
  const id = probes({ state, ...first }, stepHealth(state, { type: 'deadline' }, 10));
  stepHealth(state, { type: 'outcome', id: id(80), ok: true }, 20);
  stepHealth(state, { type: 'outcome', id: id(8080), ok: undefined, reason: 'no certificates' }, 20);
  t.ok(firstVerdictsIn(state));
  t.match(healthOf(state, 'web', REAL), {
    health: 'unknown',
    reason: 'http:8080/health: no certificates',
    checks: [{ health: 'up' }, { health: 'unknown', reason: 'no certificates' }],
  });
  t.equal(healthAges(state, 'web', REAL, 30).heardMs, undefined, 'it was not heard of whole');
});

await t.test('ages and slow start go by the verdict of all of them', async (t) => {
  const { world, dead } = worldOf([server('any', TCP, HTTP)]);
  const recovered = () => recoveredMs(world.health.state, 'web', REAL);
  world.run(5000);
  dead.add(80);
  world.run(5000);
  dead.delete(80);
  world.run(5000);
  t.equal(recovered(), undefined, 'one that was never out does not come back');
  t.ok((healthAges(world.health.state, 'web', REAL, world.nowMs).verdictMs ?? 0) > 14_000);
  dead.add(80).add(8080);
  world.run(5000);
  t.equal(recovered(), undefined);
  dead.delete(80);
  world.run(5000);
  const backMs = recovered() ?? Number.NaN;
  t.ok(backMs > world.nowMs - 5000, `${backMs} of ${world.nowMs}`);
  dead.delete(8080);
  world.run(5000);
  t.equal(recovered(), backMs, 'the second does not start it anew');
});

await t.test('a probed target counts for each real server in its own way', async (t) => {
  const one = virtualServer({ name: 'one', realServers: [REAL], healthChecks: oneCheck(TCP) });
  const { world, dead } = worldOf([server('any', TCP, HTTP), one]);
  world.run(1000);
  world.log.length = 0;
  dead.add(80);
  world.run(5000);
  t.same(world.log, ['one 10.0.0.1:80 up>down']);
  t.equal(world.reasons.at(-1), 'connection refused', 'under no name where there is but one');
});

await t.test('the same check twice is one', async (t) => {
  const { world, health } = worldOf([server('all', TCP, TCP)]);
  world.run(1000);
  t.same(world.log, ['web 10.0.0.1:80 unknown>up']);
  t.same(health(), { health: 'up', reason: null });
});

await t.test('reload', async (t) => {
  const reload = (world: World, ...virtualServers: readonly VirtualServer[]) =>
    world.input({ type: 'config', virtualServers });

  await t.test('a check that is added takes nobody out before it fails', async (t) => {
    const { world, dead, health } = worldOf([server('all', TCP)]);
    world.run(5000);
    const { verdictMs = Number.NaN } = healthAges(world.health.state, 'web', REAL, world.nowMs);
    dead.add(8080);
    reload(world, server('all', TCP, { ...HTTP, fall: 2 }));
    t.match(health(), { health: 'up', checks: [{ health: 'up' }, { health: 'unknown' }] });
    t.ok(firstVerdictsIn(world.health.state), 'nothing is awaited');
    t.equal(healthAges(world.health.state, 'web', REAL, world.nowMs).verdictMs, verdictMs);
    world.run(TCP.intervalMs / 4);
    t.match(health(), { health: 'up', checks: [{}, { reason: 'connection refused' }] }, 'one is not two');
    world.run(5000);
    t.equal(health().health, 'down');
  });

  await t.test('a check that has failed is let go of', async (t) => {
    const { world, dead, health } = worldOf([server('all', TCP, HTTP)]);
    dead.add(8080);
    world.run(5000);
    world.log.length = 0;
    reload(world, server('all', TCP));
    t.equal(health().health, 'up');
    t.same(world.log, ['web 10.0.0.1:80 down>up'], 'told at once');
    t.equal(recoveredMs(world.health.state, 'web', REAL), world.nowMs);
  });

  await t.test('from any to all and back', async (t) => {
    const { world, dead, health } = worldOf([server('any', TCP, HTTP)]);
    dead.add(8080);
    world.run(5000);
    reload(world, server('all', TCP, HTTP));
    t.equal(health().health, 'down');
    t.equal(world.reasons.at(-1), 'http:8080/health: connection refused');
    reload(world, server('any', TCP, HTTP));
    t.equal(health().health, 'up');
  });

  await t.test('one that fails goes and an unknown one comes: what counted goes on', async (t) => {
    const { world, dead, health } = worldOf([server('any', TCP, HTTP)]);
    dead.add(8080);
    world.run(5000);
    reload(world, server('any', HTTP, { ...TCP, port: 443 }));
    t.equal(health().health, 'up');
    world.run(5000);
    t.equal(health().health, 'up');
    dead.add(443);
    world.run(5000);
    t.equal(health().health, 'down');
  });
});

await t.test('any history: what is told is what the checks say, and the log tells each change', async () => {
  const PORTS = [80, 81, 82];
  const event = fc.oneof(
    fc.record({ kind: fc.constant('flap' as const), port: fc.constantFrom(...PORTS) }),
    fc.record({ kind: fc.constant('run' as const), ms: fc.integer({ min: 1, max: 6000 }) }),
    fc.record({
      kind: fc.constant('reload' as const),
      needs: fc.constantFrom('any' as const, 'all' as const),
      ports: fc.uniqueArray(fc.constantFrom(...PORTS), { minLength: 1 }),
    }),
  );
  const checksOf = (ports: readonly number[]) => ports.map((port) => ({ ...TCP, port, fall: 2 }));
  fc.assert(
    fc.property(fc.array(event, { maxLength: 30 }), (events) => {
      let current = server('all', ...checksOf(PORTS));
      const { world, dead, health } = worldOf([current]);
      for (const one of events) {
        if (one.kind === 'run') world.run(one.ms);
        else if (one.kind === 'flap') {
          if (!dead.delete(one.port)) dead.add(one.port);
        } else {
          current = server(one.needs, ...checksOf(one.ports));
          world.input({ type: 'config', virtualServers: [current] });
        }
        const last = world.log.at(-1)?.split('>')[1] ?? 'unknown';
        if (last !== health().health) return false;
        if (firstVerdictsIn(world.health.state) !== (last !== 'unknown')) return false;
      }
      world.run(10_000);
      const { needs = 'all', checks = [] } = current.healthChecks ?? {};
      const answers = checks.map(({ port = 80 }) => !dead.has(port));
      const isUp = needs === 'any' ? answers.includes(true) : !answers.includes(false);
      return health().health === (isUp ? 'up' : 'down');
    }),
    { numRuns: 200 },
  );
});
