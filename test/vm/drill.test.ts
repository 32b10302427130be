/** The everyday drill, on a kernel that has IPVS. The client judges. */
import t from 'tap';
import { titleOf } from '../../src/drill/report/report.js';
import { noVm } from './no-vm.js';
import { ENOUGH_REQUESTS, runDrill } from './run-drill.js';

t.setTimeout(1_800_000);

/** What the director that got the role in `reboot` knows of connections is judged where they are replayed to it. */
const EVERYDAY = [
  'planned',
  'return after planned',
  'crash',
  'return after crash',
  'reboot',
  'real-server-down',
];

await t.test('the everyday drill', { skip: noVm() }, async (t) => {
  const { report } = runDrill(t, ['--connections', '20']);
  t.same(report.scenarios.map(titleOf), EVERYDAY);
  for (const scenario of report.scenarios) {
    const { made } = scenario.requests;
    const title = titleOf(scenario);
    t.ok(made >= ENOUGH_REQUESTS, `${title}: ${made} new requests`);
    if (scenario.name === 'planned' || scenario.name === 'return') {
      // How late an answer may be is the drill's own affair.
      const resets = scenario.failed_requests.filter(({ reason }) => reason === 'ECONNRESET');
      t.same(resets, [], `${title}: no new request is reset`);
    }
    if (scenario.name !== 'reboot') {
      for (const { opened, survived } of Object.values(scenario.connections)) {
        t.equal(survived, opened, `${title}: every connection survives`);
      }
    }
  }
  const reboot = report.scenarios.find(({ name }) => name === 'reboot');
  t.equal(reboot?.resynchronised?.opened, 60);
  const events = (reboot?.events ?? []).map(({ source, event }) => `${source}: ${event}`);
  t.ok(
    events.some((event) => /drill: lb\d boots: nothing is in its kernel/.test(event)),
    'the host has booted',
  );
  t.equal(events.filter((event) => / -> master/.test(event)).length, 4, 'the role moves twice');
});
