/** Weights that checks ask for. */
import t from 'tap';
import type { HealthChecks } from '../../../src/config/model-servers.js';
import { createHealth, type HealthEffect, healthOf, stepHealth } from '../../../src/health/health.js';
import { oneCheck, realServer, tcpCheck, virtualServer } from '../config/servers.js';

const REAL = realServer('10.0.0.1');
const CHECK = tcpCheck({
  kind: { type: 'command', command: ['/check'], user: undefined, exitStatusWeight: true },
  fall: 1,
  rise: 1,
});

/** Answers each round of probes by port: a weight, `up` or `down`. */
function rounds(checks: HealthChecks) {
  const servers = (one: HealthChecks) => [virtualServer({ realServers: [REAL], healthChecks: one })];
  let nowMs = 0;
  let { state, effects } = createHealth(servers(checks), nowMs);
  const told: string[] = [];
  const tell = (all: readonly HealthEffect[]) => {
    for (const effect of all) {
      if (effect.type === 'verdict') told.push(effect.to);
      if (effect.type === 'weight') told.push(`weight ${effect.weight ?? 'of the file'}`);
    }
  };
  return {
    round: (answers: Readonly<Record<number, number | 'up' | 'down'>>): string[] => {
      told.length = 0;
      nowMs += CHECK.intervalMs;
      const probes = [...effects, ...stepHealth(state, { type: 'deadline' }, nowMs).effects];
      effects = [];
      for (const probe of probes) {
        if (probe.type !== 'probe') continue;
        const answer = answers[probe.port];
        const { id } = probe;
        const step = stepHealth(
          state,
          answer === 'down' || answer === undefined
            ? { type: 'outcome', id, ok: false, reason: 'exit status 1' }
            : { type: 'outcome', id, ok: true, weight: answer === 'up' ? undefined : answer },
          nowMs,
        );
        tell(step.effects);
      }
      return [...told];
    },
    reload: (one: HealthChecks): string[] => {
      told.length = 0;
      const step = stepHealth(state, { type: 'config', virtualServers: servers(one) }, nowMs);
      ({ state, effects } = step);
      tell(effects);
      return [...told];
    },
    weight: () => healthOf(state, 'web', REAL).checkWeight,
  };
}

void t.test('each answer gives its own', async (t) => {
  const { round, weight } = rounds(oneCheck(CHECK));
  t.same(round({ 80: 5 }), ['up'], 'told with the verdict');
  t.equal(weight(), 5);
  t.same(round({ 80: 5 }), [], 'not again');
  t.same(round({ 80: 0 }), ['weight 0']);
  t.same(round({ 80: 253 }), ['weight 253']);
  t.same(round({ 80: 'up' }), ['weight of the file']);
  t.equal(weight(), undefined);
  t.same(round({ 80: 7 }), ['weight 7']);
  t.same(round({ 80: 'down' }), ['down']);
  t.equal(weight(), undefined, 'one that is down asks for nothing');
  t.same(round({ 80: 7 }), ['up']);
  t.equal(weight(), 7);
});

void t.test('a failure that is no verdict yet changes nothing', async (t) => {
  const { round, weight } = rounds(oneCheck({ ...CHECK, fall: 2 }));
  round({ 80: 5 });
  t.same(round({ 80: 'down' }), []);
  t.equal(weight(), 5);
});

void t.test('of several the least counts, of those that say up', async (t) => {
  const { round, weight } = rounds({ needs: 'any', checks: [CHECK, { ...CHECK, port: 81 }] });
  round({ 80: 5, 81: 3 });
  t.equal(weight(), 3);
  t.same(round({ 80: 5, 81: 'down' }), ['weight 5']);
  t.same(round({ 80: 5, 81: 9 }), []);
  t.same(round({ 80: 'down', 81: 9 }), ['weight 9']);
});

void t.test('an edit of the check keeps it until the first answer', async (t) => {
  const { round, reload, weight } = rounds(oneCheck(CHECK));
  round({ 80: 5 });
  t.same(reload(oneCheck({ ...CHECK, timeoutMs: 500 })), []);
  t.equal(weight(), 5);
  t.same(round({ 80: 6 }), ['weight 6']);
  t.same(reload(oneCheck(tcpCheck())), []);
  t.same(round({ 80: 'up' }), ['weight of the file'], 'one that asks for none');
});
