/**
 * The files of `config/` with virtual servers, on a kernel that has IPVS, each run by one director: the table that `ipvsadm -Ln` reads,
 * how requests spread, what a kill, a second start and a reload do to open connections, and what SIGTERM leaves.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { TOPOLOGY_NAMES } from '../../src/drill/lab/topology.js';
import { startVm } from '../../src/drill/vm/session.js';
import type { Comeback, TopologiesReport, TopologyReport } from './guest/topologies.js';
import { noVm } from './no-vm.js';

t.setTimeout(1_700_000);
/** Seven labs side by side: five minutes where nothing else runs. */
const RUN_MS = 1_500_000;

const HEADER = [
  'IP Virtual Server version 1.2.1 (size=4096)',
  'Prot LocalAddress:Port Scheduler Flags',
  '  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn',
];
const EMPTY = [...HEADER, ''];
/** The same whichever MAC address the VIP has. */
const NAT_TABLE = [
  ...HEADER,
  'TCP  192.168.1.253:80 rr',
  '  -> 10.10.10.2:80                Masq    1      0          0         ',
  '  -> 10.10.10.3:80                Masq    1      0          0         ',
  '',
];
const NO_REDIRECTS = {
  'net.ipv4.conf.all.send_redirects': '0',
  'net.ipv4.conf.eth0.send_redirects': '0',
};
/** Connections are told to the peer by time, not by packet count. */
const SYNC = {
  'net.ipv4.vs.expire_nodest_conn': '1',
  'net.ipv4.vs.expire_quiescent_template': '1',
  'net.ipv4.vs.sync_version': '1',
  'net.ipv4.vs.sync_refresh_period': '10',
  'net.ipv4.vs.sync_retries': '3',
  'net.ipv4.vs.sync_threshold': '2 0',
  'net.ipv4.vs.sync_sock_size': '8388608',
};
const PROMOTING = { 'net.ipv4.conf.eth0.promote_secondaries': '1' };
const ROUTER = {
  ...NO_REDIRECTS,
  ...PROMOTING,
  'net.ipv4.conf.eth1.send_redirects': '0',
  'net.ipv4.conf.eth1.promote_secondaries': '1',
  'net.ipv4.ip_forward': '1',
};

interface Expected {
  readonly table: readonly string[];
  readonly addresses: readonly string[];
  readonly sysctls: Readonly<Record<string, string>>;
  readonly spread: Readonly<Record<string, number>>;
  readonly syncInterface: string;
}

const NAT_ADDRESSES = [
  'lo 127.0.0.1/8',
  'eth0 192.168.1.11/24',
  'eth0 192.168.1.253/24',
  'eth1 10.10.10.11/24',
  'eth1 10.10.10.1/24',
];

const EXPECTED: Readonly<Record<keyof TopologiesReport, Expected>> = {
  nat: {
    table: NAT_TABLE,
    addresses: NAT_ADDRESSES,
    sysctls: { ...ROUTER, ...SYNC },
    spread: { rs1: 15, rs2: 15 },
    syncInterface: 'eth1',
  },
  'nat-port-mapping': {
    table: [
      ...HEADER,
      'TCP  202.103.106.5:21 wrr',
      '  -> 172.16.0.3:21                Masq    1      0          0         ',
      'TCP  202.103.106.5:80 wrr',
      '  -> 172.16.0.2:80                Masq    1      0          0         ',
      '  -> 172.16.0.3:8000              Masq    2      0          0         ',
      '',
    ],
    addresses: [
      'lo 127.0.0.1/8',
      'eth0 202.103.106.11/24',
      'eth0 202.103.106.5/24',
      'eth1 172.16.0.11/24',
      'eth1 172.16.0.1/24',
    ],
    sysctls: { ...ROUTER, ...SYNC },
    spread: { rs1: 10, rs2: 20 },
    syncInterface: 'eth1',
  },
  fullnat: {
    table: NAT_TABLE,
    addresses: NAT_ADDRESSES,
    sysctls: { ...ROUTER, ...SYNC, 'net.ipv4.vs.conntrack': '1' },
    spread: { rs1: 15, rs2: 15 },
    syncInterface: 'eth1',
  },
  'virtual-mac': {
    table: NAT_TABLE,
    addresses: [
      'lo 127.0.0.1/8',
      'eth0 192.168.1.11/24',
      'eth1 10.10.10.11/24',
      'vrrp4-51-eth0 192.168.1.253/24',
      'vrrp4-52-eth1 10.10.10.1/24',
    ],
    sysctls: { ...NO_REDIRECTS, ...SYNC, 'net.ipv4.ip_forward': '1' },
    spread: { rs1: 15, rs2: 15 },
    syncInterface: 'eth1',
  },
  services: {
    table: [
      ...HEADER,
      'TCP  192.168.1.253:80 rr',
      '  -> 10.10.10.2:80                Masq    1      0          0         ',
      '  -> 10.10.10.3:80                Masq    1      0          0         ',
      'TCP  192.168.1.253:8080 rr',
      '  -> 10.10.10.3:8080              Masq    1      0          0         ',
      'UDP  192.168.1.253:5300 rr',
      '  -> 10.10.10.2:5300              Masq    1      0          0         ',
      '  -> 10.10.10.3:5300              Masq    1      0          0         ',
      'TCP  [2001:db8:1::253]:80 rr',
      '  -> [fd00::2]:80                 Masq    1      0          0         ',
      '  -> [fd00::3]:80                 Masq    1      0          0         ',
      'FWM  7 rr persistent 300',
      '  -> 10.10.10.2:0                 Masq    1      0          0         ',
      '  -> 10.10.10.3:0                 Masq    1      0          0         ',
      '',
    ],
    addresses: [
      'lo 127.0.0.1/8',
      'eth0 192.168.1.11/24',
      'eth0 192.168.1.253/24',
      'eth0 192.168.1.254/24',
      'eth1 10.10.10.11/24',
      'eth1 10.10.10.1/24',
    ],
    sysctls: { ...ROUTER, ...SYNC },
    spread: { rs1: 15, rs2: 15 },
    syncInterface: 'eth1',
  },
  dr: {
    table: [
      'IP Virtual Server version 1.2.1 (size=4096)',
      'Prot LocalAddress:Port Scheduler Flags',
      '  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn',
      'TCP  192.168.79.180:80 rr',
      '  -> 192.168.79.129:80            Route   1      0          0         ',
      '  -> 192.168.79.131:80            Route   1      0          0         ',
      '',
    ],
    addresses: ['lo 127.0.0.1/8', 'eth0 192.168.79.11/24', 'eth0 192.168.79.180/32'],
    sysctls: { ...NO_REDIRECTS, ...PROMOTING, ...SYNC },
    spread: { rs1: 15, rs2: 15 },
    syncInterface: 'eth0',
  },
  tun: {
    table: [
      'IP Virtual Server version 1.2.1 (size=4096)',
      'Prot LocalAddress:Port Scheduler Flags',
      '  -> RemoteAddress:Port           Forward Weight ActiveConn InActConn',
      'TCP  192.168.79.180:80 rr',
      '  -> 192.168.79.129:80            Tunnel  1      0          0         ',
      '  -> 192.168.79.131:80            Tunnel  1      0          0         ',
      '',
    ],
    addresses: ['lo 127.0.0.1/8', 'eth0 192.168.79.11/24', 'eth0 192.168.79.180/32'],
    sysctls: { ...PROMOTING, ...SYNC },
    spread: { rs1: 15, rs2: 15 },
    syncInterface: 'eth0',
  },
};

/** With two connections of each kind open, dealt out in turn. InActConn, which time changes, is left out. */
const adopted = (weight: number): string[] => [
  ...HEADER,
  'TCP  192.0.2.99:99 rr',
  'TCP  192.168.1.253:80 rr',
  '  -> 10.10.10.2:80                Masq    1      3',
  `  -> 10.10.10.3:80                Masq    ${weight}      3`,
  '',
];
const FOREIGN = [...HEADER, 'TCP  192.0.2.99:99 rr', ''];

const PLAN_NOTHING = 'nothing to change: the kernel is as the configuration wants it\n';

/** Lines of `ipvsadm -Ln`, those of real servers without InActConn. */
const withoutInactive = (table: string): string[] =>
  lines(table).map((line) => line.replace(/^( {2}-> \d.*\S) +\d+ *$/, '$1'));

/** Services and real servers of a state of the table, in any order. */
const entries = (state: string): string[] => lines(state).toSorted();

const lines = (text: string): string[] => text.split('\n');

function judgeRunning(t: Test, { running, list, plan, spread }: TopologyReport, expected: Expected): void {
  t.same(lines(running.table), expected.table, 'ipvsadm -Ln, line by line');
  t.same(lines(list), expected.table, 'director list says the same');
  t.equal(plan, PLAN_NOTHING, 'director plan has nothing to change');
  t.same(running.addresses, expected.addresses, 'the virtual addresses are there');
  t.match(running.sysctls, expected.sysctls, 'the sysctls are set');
  const daemon = `sync daemon (mcast=${expected.syncInterface}, syncid=51, `;
  const [master = '', backup = '', ...more] = lines(running.daemons.trimEnd());
  t.ok(master.startsWith(`master ${daemon}`), master);
  t.ok(backup.startsWith(`backup ${daemon}`), backup);
  t.same(more, [], 'one sync daemon of each kind');
  t.same(
    // Each configuration has a name of its own.
    running.runtimeFiles.map((name) => name.replace(/^(configuration)-[0-9a-f-]{36}/, '$1')),
    ['configuration.json', 'director.sock', 'events.sock', 'services.json', 'services.sock', 'vrrp.json'],
    'the runtime directory is in use',
  );
  t.same(spread, { servers: expected.spread, failed: 0 }, 'requests are spread as the scheduler says');
}

function judgeAfter(t: Test, { before, after, exit, comeback }: TopologyReport): void {
  t.same(lines(before.table), EMPTY, 'nothing was there');
  t.match(
    before.sysctls,
    {
      'net.ipv4.ip_forward': '0',
      'net.ipv4.conf.all.send_redirects': '1',
      'net.ipv4.conf.eth0.send_redirects': '1',
      'net.ipv4.conf.eth0.promote_secondaries': '0',
      'net.ipv4.vs.sync_refresh_period': '0',
      'net.ipv4.vs.sync_retries': '0',
      'net.ipv4.vs.sync_threshold': '3 50',
    },
    'the sysctls were others',
  );
  t.same(exit, { status: 0, signal: null }, 'SIGTERM ends it in order');
  t.same(lines(after.table), comeback === null ? EMPTY : FOREIGN, 'nothing of ours is left in the table');
  t.same(after.addresses, before.addresses, 'no virtual address is left');
  t.same(after.sysctls, before.sysctls, 'all sysctls are what they were');
  t.equal(after.daemons, '', 'no sync daemon is left');
  t.same(after.runtimeFiles, [], 'the runtime directory is empty');
}

/** Hexadecimal, as /proc/net/ip_vs has it. */
const state = (weight: number): string[] =>
  [
    'TCP  C0000263:0063 rr',
    'TCP  C0A801FD:0050 rr',
    '-> 0A0A0A02:0050 Masq 1',
    `-> 0A0A0A03:0050 Masq ${weight}`,
  ].toSorted();

function judgeComeback(t: Test, comeback: Comeback, { before, running }: TopologyReport): void {
  const { abandoned, killed, reloaded } = comeback;
  t.same(killed.addresses, before.addresses, 'the guardian withdraws the addresses');
  t.same(withoutInactive(killed.table), withoutInactive(comeback.open), 'the table stays as it was');
  t.same(withoutInactive(abandoned), adopted(1), 'a foreign service beside it');

  t.same(comeback.adoptionStates.map(entries), [state(1)], 'the second start never changes the table');
  t.same(comeback.adoptionChanges, [], 'and the director does not claim to');
  t.same(withoutInactive(comeback.adopted.table), adopted(1), 'and its connections stay');
  t.equal(comeback.adopted.plan, PLAN_NOTHING, 'nothing to change');
  t.same(comeback.adopted.addresses.toSorted(), running.addresses.toSorted(), 'the addresses are back');
  t.same(comeback.adopted.sysctls, running.sysctls, 'and so are the sysctls');

  const { crash } = comeback;
  t.same(crash.states.map(entries), [state(1)], 'a crash of the services process never changes the table');
  t.same(crash.changes, []);
  t.same(crash.becameMaster, [1, 1], 'and costs no role');
  t.same(crash.view.addresses, comeback.adopted.addresses, 'nor an address');
  t.same(crash.view.sysctls, running.sysctls);
  t.equal(crash.view.daemons, running.daemons, 'the sync daemons go on');

  const edit = 'ipvsadm -e -t 192.168.1.253:80 -r 10.10.10.3:80 -m -w 3';
  t.same(lines(comeback.reloadPlan), [edit, ''], 'the plan names the one change');
  t.same(comeback.reloadStates.map(entries), [state(1), state(3)], 'the reload makes this one change');
  // Deleted and added again within a moment, a real server looks the same to who looks from time to time.
  t.same(comeback.reloadChanges, [edit], 'and the director knows of no other');
  t.same(withoutInactive(reloaded.table), adopted(3), 'and all connections stay');
  t.equal(reloaded.plan, PLAN_NOTHING, 'nothing more to change');

  for (const verified of [comeback.afterAdoption, crash.connections, comeback.afterReload]) {
    t.equal(verified.length, 6, 'two connections of each kind');
    t.same(
      verified.filter(({ survived }) => !survived),
      [],
      'every connection still answers',
    );
  }
}

await t.test('every topology', { skip: noVm() }, async (t) => {
  const outDir = mkdtempSync(join(tmpdir(), 'topologies-test-'));
  const vm = await startVm({ outDir, onProgress: (line) => t.comment(line) });
  t.teardown(async () => {
    await vm.stop();
    rmSync(outDir, { recursive: true, force: true });
  });
  const { status, stdout, stderr } = await vm.run(['node', 'dist/test/vm/guest/topologies.js', vm.outDir], {
    timeoutMs: RUN_MS,
    onOutput: (line) => {
      // All but the report itself.
      if (!line.startsWith('{')) t.comment(line);
    },
  });
  t.equal(status, 0, 'the guest program ran to its end', { said: stderr.split('\n').slice(-20) });
  if (status !== 0) {
    return;
  }
  const reports: TopologiesReport = JSON.parse(stdout);
  t.same(Object.keys(reports).toSorted(), Object.keys(EXPECTED).toSorted());
  for (const name of TOPOLOGY_NAMES) {
    const report = reports[name];
    await t.test(name, async (t) => {
      judgeRunning(t, report, EXPECTED[name]);
      if (name === 'nat-port-mapping') {
        t.equal(report.port21?.greeting, '220 rs2', 'port 21 is answered by 172.16.0.3');
        t.equal(report.port21?.connections.length, 1, 'one connection to port 21');
        t.match(
          report.port21?.connections[0],
          / 202\.103\.106\.5:21 +172\.16\.0\.3:21$/,
          'and goes to port 21 there',
        );
      }
      t.equal(report.comeback !== null, name === 'nat', 'one of them is killed and reloaded');
      if (report.comeback !== null) judgeComeback(t, report.comeback, report);
      judgeAfter(t, report);
      if (!t.passing()) t.comment(readFileSync(join(outDir, `${name}.log`), 'utf8'));
    });
  }
});
