import t from 'tap';
import {
  DEFAULT_SCENARIOS,
  expectationOf,
  isFault,
  judge,
  masterDownIntervalMs,
  partitionMs,
  SCENARIO_NAMES,
} from '../../../src/drill/report/verdict.js';
import { planDrill } from '../../../src/drill/scenarios/drill-plan.js';

/** The undisturbed lab. */
const QUIET = { gapMs: 5, requestMs: 20 };
const all = { opened: 100, survived: 100 };
const good = {
  client_gap_ms: 10,
  duplicate_address_ms: 0,
  takeover_ms: 600,
  connections: { busy: all, 'one-request': all, idle: all },
  complaints: [],
};

await t.test('Master_Down_Interval of RFC 9568 section 6.1', async (t) => {
  t.equal(masterDownIntervalMs(1000, 100), 3609.375);
  t.equal(masterDownIntervalMs(1000, 255), 3003.90625);
  t.equal(masterDownIntervalMs(10, 100), 36.09375);
});

await t.test('limits', async (t) => {
  t.equal(expectationOf('planned', 1000, 100, QUIET).client_gap_ms, 750);
  t.equal(expectationOf('crash', 1000, 100, QUIET).client_gap_ms, 3800);
  t.equal(expectationOf('power', 1000, 100, QUIET).client_gap_ms, 3800);
  t.equal(expectationOf('power', 1000, 150, QUIET).client_gap_ms, 3605, 'a higher priority is faster');
  t.equal(expectationOf('power', 100, 100, QUIET).client_gap_ms, 551);
  t.equal(expectationOf('power', 1000, 100, QUIET).duplicate_address_ms, 0);
  t.equal(expectationOf('return', 1000, 100, QUIET).client_gap_ms, 250, 'the floor');
  t.equal(
    expectationOf('return', 1000, 100, { gapMs: 120, requestMs: 0 }).client_gap_ms,
    360,
    'three times the jitter',
  );
  t.match(
    expectationOf('return', 1000, 100, { gapMs: 120, requestMs: 0 }).why,
    /undisturbed 120 ms/,
    'says where it comes from',
  );
});

await t.test('limits of what the lab does to hosts and networks', async (t) => {
  const limits = (name: (typeof SCENARIO_NAMES)[number]) => expectationOf(name, 1000, 100, QUIET);
  t.match(limits('hang'), { client_gap_ms: 3800, duplicate_address_ms: 1500, request_limit_ms: 8500 });
  t.match(limits('crash-all'), { client_gap_ms: 3800, duplicate_address_ms: 5000 });
  t.match(limits('reboot'), { client_gap_ms: 3800, duplicate_address_ms: 1000 });
  t.match(limits('switch'), { client_gap_ms: 750, duplicate_address_ms: 2000, request_limit_ms: 2500 });
  t.match(limits('reload-under-load'), { client_gap_ms: 250, duplicate_address_ms: 0 });
  t.match(limits('one-way'), { client_gap_ms: 3800, duplicate_address_ms: 3000 });
  t.equal(partitionMs(1000, 100), 5610, 'long enough for two masters');
  t.match(limits('split-brain'), { client_gap_ms: 750, duplicate_address_ms: 6000 });
});

await t.test('a good run passes in every scenario', async (t) => {
  for (const name of SCENARIO_NAMES) {
    t.match(judge(name, expectationOf(name, 1000, 100, QUIET), good), { passed: true }, name);
  }
});

await t.test('each expectation can fail', async (t) => {
  const verdict = (change: object) =>
    judge('crash', expectationOf('crash', 1000, 100, QUIET), { ...good, ...change });
  t.match(verdict({ client_gap_ms: 3801 }), { passed: false, reason: /no answer for 3801 ms, limit 3800/ });
  t.match(verdict({ client_gap_ms: 3800 }), { passed: true }, 'the limit itself is allowed');
  const serviceGaps = [
    { service: 'IPv6', gapMs: 3801 },
    { service: 'UDP', gapMs: 3800 },
  ];
  t.match(verdict({ serviceGaps }), {
    passed: false,
    reason: 'the client had no answer over IPv6 for 3801 ms, limit 3800 ms',
  });
  t.match(verdict({ duplicate_address_ms: 1501 }), { passed: false, reason: /both directors held/ });
  t.match(verdict({ takeover_ms: null }), { passed: false, reason: /did not take over/ });
  t.match(verdict({ connections: { ...good.connections, idle: { opened: 100, survived: 0 } } }), {
    passed: false,
    reason: '100 of 100 idle connections were lost',
  });
  t.match(verdict({ connections: { ...good.connections, udp: { opened: 10, survived: 9 } } }), {
    passed: false,
    reason: '1 of 10 udp connections were lost',
  });
  t.match(
    verdict({ connections: { ...good.connections, busy: { opened: 0, survived: 0 } } }),
    {
      passed: false,
      reason: /no busy connection/,
    },
    'nothing opened proves nothing',
  );
  t.match(verdict({ complaints: ['x', 'y'] }), { passed: false, reason: 'x; y' });
  t.match(judge('return', expectationOf('return', 1000, 100, QUIET), { ...good, takeover_ms: null }), {
    passed: true,
  });
});

await t.test('where the other director has to take over', async (t) => {
  const untouched: readonly string[] = ['return', 'reload-under-load', 'split-brain', 'real-server-down'];
  for (const name of SCENARIO_NAMES) {
    const { passed } = judge(name, expectationOf(name, 1000, 100, QUIET), { ...good, takeover_ms: null });
    t.equal(passed, untouched.includes(name), name);
  }
});

await t.test('every fault is followed by a return', async (t) => {
  t.same(planDrill(DEFAULT_SCENARIOS), [
    { step: 'measure', name: 'planned' },
    { step: 'measure', name: 'return', after: 'planned' },
    { step: 'measure', name: 'crash' },
    { step: 'measure', name: 'return', after: 'crash' },
    { step: 'measure', name: 'reboot' },
    { step: 'measure', name: 'real-server-down' },
  ]);
  const all = planDrill(SCENARIO_NAMES);
  for (const name of SCENARIO_NAMES.filter((one) => one !== 'return')) {
    const at = all.findIndex((step) => step.step === 'measure' && step.name === name);
    const back = { step: 'measure', name: 'return', after: name } as const;
    t.equal(all[at]?.step, 'measure', name);
    t.equal(
      JSON.stringify(all[at + 1]) === JSON.stringify(back),
      isFault(name),
      `${name}: who failed comes back, and nobody else`,
    );
  }
  t.same(planDrill(['planned', 'crash']), [
    { step: 'measure', name: 'planned' },
    { step: 'recover', after: 'planned' },
    { step: 'measure', name: 'crash' },
  ]);
  t.same(planDrill(['return']), [
    { step: 'strike', fault: 'planned' },
    { step: 'measure', name: 'return', after: 'planned' },
  ]);
});
