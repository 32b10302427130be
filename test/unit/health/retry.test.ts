/** A probe that failed is tried again before it counts. */
import t from 'tap';
import type { HealthCheck } from '../../../src/config/model-servers.js';
import { firstVerdictsIn, healthAges, healthOf } from '../../../src/health/health.js';
import { oneCheck, realServer, tcpCheck, virtualServer } from '../config/servers.js';
import { World } from './world.js';

const REAL = realServer('10.0.0.1');
const CHECK = tcpCheck({
  intervalMs: 10_000,
  timeoutMs: 1000,
  rise: 1,
  fall: 1,
  retry: 2,
  delayBeforeRetryMs: 500,
});

/** `failing`: how many of the first probes. */
function worldOf(check: HealthCheck, failing = 0) {
  const world = new World([]);
  world.alive = () => {
    failing -= 1;
    return failing < 0;
  };
  const virtualServers = [virtualServer({ realServers: [REAL], healthChecks: oneCheck(check) })];
  world.input({ type: 'config', virtualServers });
  return {
    world,
    fail: (count: number) => {
      failing = count;
    },
    /** When probes began since the last time, each after the one before. */
    gaps: () => {
      const at = world.started.splice(0).map(({ atMs }) => atMs);
      return at.slice(1).map((atMs, index) => atMs - (at[index] ?? Number.NaN));
    },
  };
}

void t.test('one that succeeds at the second or third go is up all along', async (t) => {
  const { world, fail, gaps } = worldOf(CHECK);
  world.run(20_000);
  world.log.length = 0;
  gaps();
  fail(2);
  world.run(30_000);
  t.same(world.log, []);
  const waitMs = CHECK.delayBeforeRetryMs + world.latencyMs;
  const [first, second, third, fourth] = gaps();
  t.same([first, second, fourth], [waitMs, waitMs, CHECK.intervalMs]);
  t.equal(third, CHECK.intervalMs - 2 * waitMs, 'the next is due when it always was');
});

void t.test('one that fails each time is down after the last, and not tried again then', async (t) => {
  const { world, fail, gaps } = worldOf(CHECK);
  world.run(20_000);
  gaps();
  fail(100);
  world.run(CHECK.intervalMs + 2 * CHECK.delayBeforeRetryMs + 3 * world.latencyMs);
  t.same(world.log, ['web 10.0.0.1:80 unknown>up', 'web 10.0.0.1:80 up>down']);
  t.same(healthOf(world.health.state, 'web', REAL), { health: 'down', reason: 'connection refused' });
  world.run(30_000);
  gaps();
  world.run(30_000);
  t.same(gaps(), [CHECK.intervalMs, CHECK.intervalMs]);
});

void t.test('each failure of `fall` has its own goes', async (t) => {
  const { world, fail } = worldOf({ ...CHECK, fall: 2 });
  world.run(20_000);
  fail(5);
  world.run(60_000);
  t.same(world.log, ['web 10.0.0.1:80 unknown>up'], 'five of six');
  fail(6);
  world.run(30_000);
  t.equal(world.log.at(1), 'web 10.0.0.1:80 up>down');
});

void t.test('at the start nothing is known until the last go', async (t) => {
  const { world } = worldOf(CHECK, 100);
  world.run(CHECK.delayBeforeRetryMs);
  t.notOk(firstVerdictsIn(world.health.state));
  t.match(healthOf(world.health.state, 'web', REAL), { health: 'unknown', reason: 'connection refused' });
  t.ok((healthAges(world.health.state, 'web', REAL, world.nowMs).heardMs ?? Number.NaN) <= 500);
  world.run(CHECK.delayBeforeRetryMs + 3 * world.latencyMs);
  t.equal(healthOf(world.health.state, 'web', REAL).health, 'down');
});

void t.test('goes that last longer than the interval leave out checks', async (t) => {
  const { world, fail, gaps } = worldOf({ ...CHECK, intervalMs: 1000, fall: 2, delayBeforeRetryMs: 900 });
  world.run(20_000);
  gaps();
  fail(3);
  world.run(20_000);
  t.same(world.log, ['web 10.0.0.1:80 unknown>up']);
  const waitMs = 900 + world.latencyMs;
  const [first, second, third, fourth = Number.NaN, ...others] = gaps();
  t.same([first, second, third], [waitMs, waitMs, world.latencyMs], 'the last left out is made up for');
  t.equal(2 * waitMs + world.latencyMs + fourth, 2000, 'at its own place from then on');
  t.same([...new Set(others)], [1000]);
});
