/**
 * What befalls the kernel of a running pair: sync daemons stopped or deafened, a table emptied, real servers that die or
 * leave. The judges are ipvsadm, /proc/net/igmp, and clients over TCP and over UDP from one port.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { startVm } from '../../src/drill/vm/session.js';
import type { ServicesFaultsReport } from './guest/services-faults.js';
import { noVm } from './no-vm.js';

t.setTimeout(1_200_000);

const BOTH = ['master', 'backup'];

await t.test('a pair whose kernels are tampered with', { skip: noVm() }, async (t) => {
  const outDir = mkdtempSync(join(tmpdir(), 'services-faults-test-'));
  const vm = await startVm({ outDir, onProgress: (line) => t.comment(line) });
  t.teardown(async () => {
    await vm.stop();
    rmSync(outDir, { recursive: true, force: true });
  });
  const { status, stdout, stderr } = await vm.run(
    ['node', 'dist/test/vm/guest/services-faults.js', vm.outDir],
    {
      onOutput: (line) => {
        if (!line.startsWith('{')) t.comment(line);
      },
    },
  );
  const logs = (): void => {
    for (const name of ['lb1', 'lb2']) t.comment(readFileSync(join(outDir, `${name}.log`), 'utf8'));
  };
  t.equal(status, 0, 'the guest program ran to its end', { said: stderr.split('\n').slice(-20) });
  if (status !== 0) {
    t.comment(stderr);
    logs();
    return;
  }
  const report: ServicesFaultsReport = JSON.parse(stdout);
  const { late, badReload, madeAnew, emptied, dead, quiescent, drained } = report;

  t.same(late.without?.daemons, [], 'an interface that is not there at the start: no daemon runs');
  t.match(late.without?.faults?.[0], /^there is no interface sync0 for the master sync daemon/, 'and why');
  t.same(late.with, { interface: 'sync0', id: 51, daemons: BOTH, faults: [] }, 'it is used when it comes');

  t.same(badReload.status?.daemons, BOTH, 'a reload to a missing interface stops nothing');
  t.match(badReload.status?.faults?.[0], /nosuch0 .*: the one on sync0 goes on/, 'and the status says so');
  t.equal(badReload.kernel.match(/mcast=sync0/g)?.length, 2, 'as the kernel does');
  t.same(badReload.back?.faults, []);

  t.comment(`after --stop-daemon both ran again within ${report.stoppedDaemonMs} ms`);
  for (const sync of madeAnew.sync) t.same(sync?.daemons, BOTH);
  t.ok(
    madeAnew.warnings.some((line) => line.includes('deaf')),
    'an interface made anew is told',
  );

  t.comment(`after ipvsadm -C the table was whole within ${emptied.ms} ms`);
  t.same(
    emptied.said,
    ['somebody changed the IPVS table (3 virtual servers gone, 6 real servers gone): repaired'],
    'what was found is told once',
  );

  t.comment(`the UDP client moved ${dead.movedMs} ms after the verdict`);
  t.not(dead.after, dead.before, 'a UDP client moves from a dead real server');
  t.ok(dead.onDead.length > 0);
  for (const { port, survived, reason } of dead.connections) {
    const wasThere = dead.onDead.includes(port);
    t.equal(survived, !wasThere, wasThere ? 'gone with the dead one' : 'untouched on the other');
    if (wasThere) t.match(reason, /ECONNRESET|reset/i, 'and told by a reset');
  }

  t.same(Object.keys(quiescent.before), [quiescent.left], 'a persistent client keeps its real server');
  t.notOk(Object.hasOwn(quiescent.after, quiescent.left), 'and leaves one of weight 0');

  t.match(drained.status, [{ address: '10.10.10.2', port: 80, active_connections: 3 }], 'the status tells');
  t.match(drained.table, /-> 10\.10\.10\.2:80 +Masq +0 +3 /, 'weight 0 first');
  t.same(Object.keys(drained.spread), ['rs2'], 'new connections go elsewhere');
  t.equal(drained.kept.filter(({ survived }) => survived).length, 6, 'the established ones stay');
  t.notMatch(drained.tableAfter.split('UDP')[0]?.split('8088')[0], /10\.10\.10\.2:80/, 'then it is gone');
  t.equal(drained.gone.filter(({ survived }) => survived).length, 3, 'with what it still had');

  t.equal(report.stop.length, 9);
  t.same(
    report.stop.filter(({ survived }) => !survived),
    [],
    'a planned stop loses no connection after all this',
  );
  if (!t.passing()) logs();
});
