/** Every topology of the drill loses its master, on a kernel that has IPVS. The client judges. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { TOPOLOGY_NAMES } from '../../src/drill/lab/topology.js';
import { noVm } from './no-vm.js';
import { runDrill } from './run-drill.js';

t.setTimeout(1_800_000);

const KINDS = ['busy', 'one-request', 'idle'] as const;
/**
 * `services` has a test of its own (services-drill.long.test.ts). Under `fullnat` a connection whose answer is under way is lost (decision
 * 0036): its traffic is judged by topologies.long.test.ts and services-traffic.test.ts.
 */
const TOPOLOGIES = TOPOLOGY_NAMES.filter((name) => name !== 'services' && name !== 'fullnat');

await t.test('no topology loses a connection with its master', { skip: noVm() }, async (t) => {
  const chosen = ['--topology', TOPOLOGIES.join(), '--scenario', 'power'];
  const { report, outDir } = runDrill(t, [...chosen, '--connections', '20']);
  t.match(report, { version: 1, kernel: { where: 'vm' } });
  t.same(
    report.scenarios.map((scenario) => scenario.topology),
    TOPOLOGIES,
  );
  for (const scenario of report.scenarios) {
    for (const kind of KINDS) {
      t.same(scenario.connections[kind], { opened: 20, survived: 20 }, `${scenario.topology}: ${kind}`);
    }
    t.equal(scenario.duplicate_address_ms, 0, `${scenario.topology}: no address is on two directors`);
    // A farewell would cost Skew_Time alone, which is less than an interval.
    t.ok(
      (scenario.takeover_ms ?? 0) > scenario.advertisement_interval_ms,
      `${scenario.topology}: the backup took over, and nobody had told it to`,
    );
    t.ok(scenario.probes.lost > 0, `${scenario.topology}: the fault was felt, so the probe sees`);
  }
  t.match(readFileSync(join(outDir, 'report.html'), 'utf8'), /<svg /);
});
