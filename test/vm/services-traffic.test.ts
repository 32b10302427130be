/** Traffic through virtual servers of many kinds: IPv6, UDP packet by packet, a firewall mark, all ports, a sorry server. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { startVm } from '../../src/drill/vm/session.js';
import type { ServicesTrafficReport } from './guest/services-traffic.js';
import type { SourceNatReport } from './guest/source-nat.js';
import { noVm } from './no-vm.js';

t.setTimeout(900_000);

const TURNS = ['rs1', 'rs2', 'rs1', 'rs2'];

await t.test('virtual servers of many kinds', { skip: noVm() }, async (t) => {
  const outDir = mkdtempSync(join(tmpdir(), 'services-traffic-test-'));
  const vm = await startVm({ outDir, onProgress: (line) => t.comment(line) });
  t.teardown(async () => {
    await vm.stop();
    rmSync(outDir, { recursive: true, force: true });
  });
  await t.test('fullnat and masquerade', async (t) => {
    const { status, stdout, stderr } = await vm.run(['node', 'dist/test/vm/guest/source-nat.js', vm.outDir]);
    t.equal(status, 0, 'the guest program ran to its end', { said: stderr.split('\n').slice(-20) });
    if (status !== 0) {
      t.comment(stderr);
      return t.comment(readFileSync(join(outDir, 'source-nat.log'), 'utf8'));
    }
    const report: SourceNatReport = JSON.parse(stdout);
    t.comment(report.ruleset);
    for (const answers of [report.served, report.flushed]) {
      t.strictSame(
        answers['web']?.toSorted(),
        ['rs1 10.10.10.1', 'rs2 10.10.10.1'],
        'the DIP, on both ports',
      );
      t.strictSame(answers['web6'], ['rs1 fd00::1'], 'IPv6: the address of the interface');
      t.match(answers['names']?.[0], /^rs1 10\.10\.10\.11?1$/, 'UDP');
      t.strictSame(answers['marked'], ['rs2 10.10.10.1'], 'a firewall mark');
      t.match(answers['all']?.[0], /^rs1 10\.10\.10\.1/, 'all ports');
    }
    t.strictSame(report.masqueraded, ['client 192.168.1.253']);
    t.match(report.tables[0], /table inet lvs_director_nat\n/);
    t.notMatch(report.tables[1], 'lvs_director', 'gone with the director');
    t.match(report.tables[1], 'table ip marking', "and nobody else's");
    t.strictSame(report.told, ['somebody changed the table inet lvs_director_nat: repaired']);
  });
  const { status, stdout, stderr } = await vm.run([
    'node',
    'dist/test/vm/guest/services-traffic.js',
    vm.outDir,
  ]);
  t.equal(status, 0, 'the guest program ran to its end', { said: stderr.split('\n').slice(-20) });
  if (status !== 0) {
    t.comment(stderr);
    t.comment(readFileSync(join(outDir, 'lb1.log'), 'utf8'));
    return;
  }
  const report: ServicesTrafficReport = JSON.parse(stdout);
  const { served, drained, restarted, sorry, sorryStatus, back, table, sorryTable, settings, views, top } =
    report;

  for (const name of ['web', 'web6', 'names']) {
    t.strictSame(served[name]?.toSorted(), TURNS.toSorted(), `${name}: each in turn`);
  }
  for (const [one, other] of [
    ['marked', 'marked2'],
    ['all', 'all2'],
  ] as const) {
    const names = new Set([...(served[one] ?? []), ...(served[other] ?? [])]);
    t.equal(names.size, 1, `${one}: a client keeps its real server on both ports`);
    t.match([...names][0], /^rs[12]$/);
  }
  t.match(table, /^-a -t \[2001:db8:1::253\]:80 -r \[fd00::2\]:80 -m -w 1$/m);

  const quiet = /^-a -u 192\.168\.1\.253:5300 -r 10\.10\.10\.2:5300 -m -w 0$/m;
  t.notMatch(drained.before, quiet);
  t.equal(drained.said, 'names: 10.10.10.2:5300: weight 0\n');
  t.match(drained.after, quiet, 'drained');
  t.strictSame(drained.names, ['rs2', 'rs2', 'rs2', 'rs2']);
  t.match(restarted.before, quiet, 'also after a restart');
  t.equal(restarted.said, 'names: 10.10.10.2:5300: as the file says\n');
  t.notMatch(restarted.after, quiet);
  t.strictSame(restarted.names.toSorted(), TURNS.toSorted());

  const [before, meanwhile, after] = settings;
  t.match(before, /^Timeout \(tcp tcpfin udp\): 900 120 300\nnet\.ipv4\.vs\.sloppy_tcp = 0$/m);
  t.match(meanwhile, /^Timeout \(tcp tcpfin udp\): 600 120 30\nnet\.ipv4\.vs\.sloppy_tcp = 1$/m);
  t.equal(after, before, 'as it was');
  t.match(
    readFileSync(join(outDir, 'lb1.log'), 'utf8'),
    /this kernel has no sysctl net\.ipv4\.vs\.conn_max/,
    'what the kernel lacks is told',
  );

  for (const { options, ours, theirs } of views) {
    t.strictSame(ours.split('\n'), theirs.split('\n'), `as ipvsadm -Ln ${options}`);
  }
  const seen = (options: string) => views.find((view) => view.options === options)?.theirs;
  const stats = seen('--stats');
  t.match(stats, /^TCP {2}192\.168\.1\.253:80 +4 +[1-9]/m, 'there was something to count');
  t.match(views.at(-1)?.theirs, /^TCP {2}192\.168\.1\.253:80 +0 +0 +0 +0 +0$/m, 'and it is zeroed');
  const connections = seen('--connection');
  t.match(
    connections,
    /^TCP mm:ss {2}\S+ +\S+:\d+ +192\.168\.1\.253:80 +10\.10\.10\.[23]:80$/m,
    'connections',
  );
  t.match(connections, /^TCP mm:ss .* \[2001:db8:1::253\]:80 +\[fd00::[23]\]:80$/m, 'of IPv6, too');
  t.match(connections, /^IP {2}mm:ss {2}(NONE|ASSURED) .* 0\.0\.0\.7:0 /m, "and a mark's template");
  t.match(seen('--daemon'), /^master sync daemon \(mcast=eth1, syncid=7, .*port=8850, ttl=3\)$/m);

  t.match(top.screen, /^director lb1, \d\d:\d\d:\d\d, virtual servers: \d+, /);
  for (const shown of [top.screen, top.once]) {
    t.match(shown, /^web TCP 192\.168\.1\.253:80 +\d\/\d up +\d/m);
    t.match(shown, /^ {2}-> 10\.10\.10\.2:80 +up +1 +\d/m);
    t.match(shown, /^marked FWM 7 /m);
  }
  t.match(top.left, /^ended with 0$/m);
  t.notMatch(top.left, 'ActiveConn', 'the screen is as it was before');
  t.equal(Math.round(top.connections), 4, 'its rates are the connections that there were');

  t.strictSame(sorry['web'], ['sorry', 'sorry', 'sorry', 'sorry']);
  t.match(sorryTable, /^-a -t 192\.168\.1\.253:80 -r 10\.10\.10\.2:8090 -m -w 1$/m);
  t.notMatch(sorryTable, /10\.10\.10\.3/);
  const web = sorryStatus.filter(({ name }) => name === 'web');
  t.strictSame(
    web.map(({ sorry_server: one }) => one?.in_use),
    [true, undefined],
    'the status says so',
  );
  t.strictSame(back['web']?.toSorted(), TURNS.toSorted(), 'real servers serve again');
  t.comment(table);
});
