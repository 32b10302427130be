/**
 * The drill with services of many kinds: IPv6, UDP, a firewall mark with persistence, a sorry server. Limits in milliseconds are
 * the drill's own affair; what stands here holds on a slow machine too. No daemon starts meanwhile: beside that an
 * emulated processor leaves real servers too little to pass their checks for certain.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { titleOf } from '../../src/drill/report/report.js';
import { noVm } from './no-vm.js';
import { runDrill } from './run-drill.js';

t.setTimeout(1_800_000);

const SCENARIOS = ['power', 'return', 'real-server-down'] as const;
/** With `--connections 18`. */
const COUNTS = { busy: 18, 'one-request': 18, idle: 18, ipv6: 18, udp: 10, persistent: 8 } as const;

const between = (value = 0, least: number, most: number): boolean => value >= least && value <= most;

await t.test('services of many kinds outlive every fault', { skip: noVm() }, async (t) => {
  const chosen = ['--topology', 'services', '--scenario', SCENARIOS.join(), '--connections', '18'];
  const { report, outDir } = runDrill(t, chosen);
  t.same(report.scenarios.map(titleOf), ['power', 'return after power', 'real-server-down']);
  for (const scenario of report.scenarios) {
    const title = titleOf(scenario);
    const { connections, services } = scenario;
    for (const [kind, count] of Object.entries(COUNTS)) {
      const kept = connections[kind as keyof typeof COUNTS];
      t.equal(kept?.survived, kept?.opened, `${title}: every ${kind} connection survives`);
      if (scenario.name === 'real-server-down') {
        t.ok(between(kept?.opened, 1, count - 1), `${title}: some ${kind} ones had the dead real server`);
      } else {
        t.equal(kept?.opened, count, `${title}: ${kind} connections`);
      }
    }
    t.ok((services?.udp?.requests.sent ?? 0) > 10, `${title}: UDP was asked all the time`);
    t.ok((services?.ipv6?.probes.sent ?? 0) > 20, `${title}: IPv6 was asked all the time`);
    if (scenario.name === 'power') {
      t.ok((services?.udp?.requests.lost ?? 0) > 0, 'the fault was felt over UDP');
      t.ok((services?.ipv6?.probes.lost ?? 0) > 0, 'and over IPv6');
    }
  }
  const dead = report.scenarios.at(-1)?.services;
  t.same(dead?.sorry_server, { before: { rs2: 4 }, meanwhile: { sorry: 4 }, after: { rs2: 4 } });
  t.ok(between(dead?.udp?.moved?.flows, 1, 9), 'UDP flows had the dead server');
  t.type(dead?.udp?.moved?.after_ms, 'number', 'and are served by the other one');
  t.match(readFileSync(join(outDir, 'report.html'), 'utf8'), /persistent 8\/8/);
});
