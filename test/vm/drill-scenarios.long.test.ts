/**
 * The drill's scenarios beyond the everyday ones, on a kernel that has IPVS. Limits in milliseconds are the drill's own affair; what
 * stands here holds on a slow machine too.
 */
import t from 'tap';
import { titleOf } from '../../src/drill/report/report.js';
import { noVm } from './no-vm.js';
import { ENOUGH_REQUESTS, runDrill } from './run-drill.js';

t.setTimeout(1_800_000);

const SCENARIOS = ['hang', 'switch', 'reload-under-load', 'one-way', 'split-brain'] as const;
const KINDS = ['busy', 'one-request', 'idle'] as const;
/** No director may be felt to have done something there. */
const UNTOUCHED: readonly string[] = ['reload-under-load', 'switch'];

await t.test('orders, faults of the network and a director that hangs', { skip: noVm() }, async (t) => {
  const { report } = runDrill(t, ['--scenario', SCENARIOS.join(), '--connections', '20']);
  t.same(
    report.scenarios.map(({ name }) => name).toSorted(),
    [...SCENARIOS].toSorted(),
    'each was looked at',
  );
  for (const scenario of report.scenarios) {
    const title = titleOf(scenario);
    for (const kind of KINDS) {
      t.same(scenario.connections[kind], { opened: 20, survived: 20 }, `${title}: ${kind}`);
    }
    const { made, failed } = scenario.requests;
    t.ok(made >= ENOUGH_REQUESTS, `${title}: ${made} new requests`);
    if (UNTOUCHED.includes(scenario.name)) {
      const resets = scenario.failed_requests.filter(({ reason }) => reason === 'ECONNRESET');
      t.same(resets, [], `${title}: no new request is reset`);
    }
    t.equal(scenario.failed_requests.length, Math.min(failed, 500), `${title}: each failed one is shown`);
  }
  const roles = (name: string): number =>
    report.scenarios
      .find((scenario) => scenario.name === name)
      ?.events.filter(({ event }) => / -> master/.test(event)).length ?? 0;
  // Two instances each.
  t.equal(roles('switch'), 4, 'there and back');
  t.equal(roles('reload-under-load'), 0);
  t.ok(roles('split-brain') >= 2, 'there were two masters');
});
