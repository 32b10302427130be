import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { startVm } from '../../src/drill/vm/session.js';
import type { AdoptionReport } from './guest/adoption.js';
import type { IpvsTableReport } from './guest/ipvs-table.js';
import { noVm } from './no-vm.js';

t.setTimeout(900_000);

void t.test('IPVS in the kernel, with ipvsadm as the judge', { skip: noVm() }, async (t) => {
  const outDir = mkdtempSync(join(tmpdir(), 'ipvs-test-'));
  const vm = await startVm({ outDir, onProgress: (line) => t.comment(line) });
  t.teardown(async () => {
    await vm.stop();
    rmSync(outDir, { recursive: true, force: true });
  });
  await t.test('a table made by hand is adopted by an equal file', async (t) => {
    const { status, stdout, stderr } = await vm.run(['node', 'dist/test/vm/guest/adoption.js']);
    t.equal(status, 0, 'the guest program ran to its end', { said: stderr.split('\n').slice(-20) });
    if (status !== 0) return t.comment(stderr);
    const { services, byHand, adopted, left, changes, ordered }: AdoptionReport = JSON.parse(stdout);
    t.equal(byHand.match(/^-A /gm)?.length, services);
    t.same(changes, [], 'without one changing message');
    t.same(adopted.split('\n'), byHand.split('\n'), 'and ipvsadm -Sn prints the same');
    t.same(ordered, ['ipvsadm -e -t 192.0.2.1:80 -r 10.0.0.3:80 -m -w 7'], 'an order is the first one');
    t.equal(left, '', 'what was adopted goes with the director');
  });
  const { status, stdout, stderr } = await vm.run(['node', 'dist/test/vm/guest/ipvs-table.js']);
  t.equal(status, 0, 'the guest program ran to its end', { said: stderr.split('\n').slice(-20) });
  if (status !== 0) {
    t.comment(stderr);
    return;
  }
  const report: IpvsTableReport = JSON.parse(stdout);

  for (const table of report.tables) {
    await t.test(table.name, async (t) => {
      t.same(table.errors, [], 'the kernel takes every op');
      t.ok(table.ops > 0);
      t.same(table.leftToDo, [], 'planning again finds nothing to do');
      t.same(table.ours.split('\n'), table.theirs.split('\n'), 'line by line as ipvsadm -Ln');
      t.same(table.ourRates.split('\n'), table.theirRates.split('\n'), 'line by line as ipvsadm -Ln --rate');
      t.same(table.ourTunnels.split('\n'), table.theirTunnels.split('\n'), 'and --tun-info');
    });
  }
  await t.test('docs/IPVS.md: what ipvsadm prints', async (t) => {
    t.ok(report.rows.length > 40);
    for (const { option, expected, lacking, printed, errors, leftToDo } of report.rows) {
      if (lacking !== undefined) {
        t.equal(lacking, 'twos', `${option}: what Linux ${report.kernel} lacks`);
        t.match(errors.join(), /the kernel has no scheduler 'twos'/, `${option}: refused by name`);
        continue;
      }
      t.same([...errors, ...leftToDo], [], `${option}: the kernel takes it, and nothing is left to do`);
      t.ok(printed.includes(expected), `${option}: ${expected}\n${printed}`);
    }
  });
  const foreign = report.tables.find(({ name }) => name === 'all deleted');
  t.match(
    foreign?.theirs,
    /^TCP {2}198\.51\.100\.1:80 rr\n {2}-> 10\.0\.0\.1:80 /m,
    'the foreign service stays',
  );
  t.equal(foreign?.theirs.match(/^(TCP|UDP|SCTP|FWM)/gm)?.length, 1, 'and nothing else');

  t.match(report.errors, {
    'add-service':
      /cannot add virtual server tcp 192\.0\.2\.77:80: the kernel has no scheduler 'nonesuch' \(ENOENT/,
    'add-destination': /cannot add real server .*: the kernel has no such virtual server \(ESRCH/,
    'edit-destination': /cannot edit real server .*: the kernel has no such virtual server \(ESRCH/,
    'delete-service': 'done',
    'delete-destination': 'done',
  });

  const { ours, theirs } = report.daemons;
  t.strictSame(ours.split('\n'), theirs.split('\n'), 'as ipvsadm -Ln --daemon');
  t.match(theirs, /^master .*\nbackup .*\n$/, 'both run');
  t.same(report.afterStop, []);
});
