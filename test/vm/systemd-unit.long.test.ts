/** The unit's own life, under systemd as process 1: a pair of hosts on a kernel with IPVS. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startVm, type Vm } from '../../src/drill/vm/session.js';
import { Container, INSTALL, installPackage } from './container.js';
import { noVm } from './no-vm.js';
import { addHost, buildNetwork, pairConfig, plug, VIP } from './systemd-lab.js';

t.setTimeout(3_600_000);

/** A script and a hook of two users, who have nothing but the journal to write to. */
const SCRIPTS = `cat >/etc/lvs-director/probe <<'END'
#!/bin/sh
[ "$(id -un)" = daemon ] && pgrep systemd-journal
END
cat >/etc/lvs-director/hook <<'END'
#!/bin/sh
logger -t hook "$(id -un): $LVS_DIRECTOR_INSTANCE is $LVS_DIRECTOR_STATE"
END
chmod 755 /etc/lvs-director/probe /etc/lvs-director/hook`;
/** An argument that must not be in the journal. */
const SECRET = 'hunter2';
/** So that it is the unit that takes addresses away when every process is killed, and not the kernel. */
const TRACKED = `  permanent_addresses: true
  track:
    - { name: probe, script: [/etc/lvs-director/probe, ${SECRET}], user: daemon, interval: 30s, timeout: 30s }
    - { name: journal, process: systemd-journal }
  hooks:
    - { command: [/etc/lvs-director/hook, ${SECRET}], user: nobody, timeout: 30s }
`;
const CONFIG = pairConfig(', track: [probe, journal]', TRACKED);
const isMaster = `ip -4 addr show dev eth0 | grep -q ${VIP}/`;
/** The real server is up and in the kernel. */
const hasTable = `ipvsadm -Ln | grep -q '10.8.0.2:80 .* 1 '`;
/** By what the service says of itself: `director status` costs a start of Node, which takes long here. */
const role = (name: string): string =>
  `systemctl show -p StatusText --value lvs-director | grep -q '^${name} of outside, inside$'`;

/** A client with one connection: says a word, waits for a file, says another; what came back. */
function talk(vm: Vm, go: string): Promise<string> {
  const script = `exec 3<>/dev/tcp/${VIP}/80
echo before >&3; read -r -t 300 line <&3; echo "$line"; echo >${go}.open
until [ -e ${go} ]; do sleep 0.2; done
echo after >&3; read -r -t 300 line <&3; echo "$line"`;
  return vm.run(['bash', '-c', script], { cwd: '/', timeoutMs: 1_200_000 }).then(({ stdout }) => stdout);
}

await t.test('the unit, under systemd', { skip: noVm() }, async (t) => {
  const outDir = mkdtempSync(join(tmpdir(), 'systemd-test-'));
  const prefix = installPackage();
  const vm = await startVm({ outDir, onProgress: (line) => t.comment(line) });
  t.teardown(async () => {
    await vm.stop();
    for (const folder of [outDir, prefix]) rmSync(folder, { recursive: true, force: true });
  });
  await buildNetwork(vm);
  for (const name of ['lb1', 'lb2']) await addHost(vm, name);
  await plug(vm, 'lb1', 0, 11);
  await plug(vm, 'lb1', 1, 11);
  const plan = { node: process.execPath, prefix, config: CONFIG };
  const wanted = '/etc/systemd/system/multi-user.target.wants';
  const enabled = `${INSTALL}\nmkdir -p ${wanted}\nln -s ../lvs-director.service ${wanted}`;
  const [lb1, lb2] = await Promise.all([
    Container.boot(vm, { ...plan, name: 'lb1', prepare: SCRIPTS }),
    // Its interfaces come after the director.
    Container.boot(vm, { ...plan, name: 'lb2', prepare: `${SCRIPTS}\n${enabled}` }),
  ]);

  /** Each begins where the last one ended. */
  const step = async (name: string, body: (t: Test) => Promise<void>): Promise<void> => {
    if (t.passing()) await t.test(name, body);
  };

  await step('enable --now', async (t) => {
    t.match(await lb1.out('grep -o -w -m 1 pku /proc/cpuinfo'), 'pku', 'a processor with protection keys');
    await lb1.out(`${INSTALL}; systemctl daemon-reload; systemctl enable --now lvs-director`);
    t.equal(await lb1.show('ActiveState'), 'active');
    t.equal(await lb1.show('NRestarts'), '0', 'at the first try');
    await lb1.until(`${isMaster} && ${hasTable}`);
    t.equal(await lb1.show('StatusText'), 'master of outside, inside');
  });

  await step('scripts and hooks of other users, and a tracked process', async () => {
    await lb1.until('journalctl -t hook | grep -q "nobody: outside is master"');
  });

  await step('boot with the interfaces late', async (t) => {
    await lb2.until('[ "$(systemctl show -p SubState --value lvs-director)" != dead ]');
    await plug(vm, 'lb2', 0, 12);
    await plug(vm, 'lb2', 1, 12);
    await lb2.until(role('backup'));
    t.not((await lb2.run(isMaster)).status, 0, 'the master there stays alone');
  });

  await step('reload', async (t) => {
    await lb1.out(
      "sed -i 's/weight: 1 /weight: 5 /' /etc/lvs-director/director.yaml; systemctl reload lvs-director",
    );
    await lb1.until("ipvsadm -Ln | grep -q '10.8.0.2:80 .* 5 '");
    await lb1.until('[ $(systemctl show -p ActiveState --value lvs-director) = active ]');
    await lb1.out("sed -i 's/weight: 5 /weight: many /' /etc/lvs-director/director.yaml");
    t.not((await lb1.run('systemctl reload lvs-director')).status, 0, 'systemctl says that the file is bad');
    t.match((await lb1.journal()).join('\n'), /director\.yaml:\d+:\d+: .*weight/, 'and the journal, where');
    t.equal(await lb1.show('ActiveState'), 'active');
    await lb1.out(`${isMaster} && ipvsadm -Ln | grep '10.8.0.2:80 .* 5 '`);
    await lb1.out(
      "sed -i 's/weight: many /weight: 1 /' /etc/lvs-director/director.yaml; systemctl reload lvs-director",
    );
    await lb1.until(hasTable);
  });

  await step('restart under traffic', async (t) => {
    const talked = talk(vm, '/tmp/restarted');
    await vm.run(['sh', '-c', 'until [ -e /tmp/restarted.open ]; do sleep 0.2; done'], {
      timeoutMs: 400_000,
    });
    await lb1.out('systemctl restart lvs-director');
    await lb2.until(isMaster);
    t.match(await lb2.out('ipvsadm -Lnc'), /ESTABLISHED 10\.9\.0\.1:/, 'the peer was told of it');
    await vm.run(['touch', '/tmp/restarted']);
    t.equal(await talked, 'before\nafter\n', 'a connection from before goes on by the peer');
    t.equal(await lb1.show('ActiveState'), 'active');
  });

  await step('a daemon that stands still meets the watchdog', async (t) => {
    const table = await lb2.out('ipvsadm -Ln --sort | grep -v Prot');
    await lb2.out('systemctl kill --kill-who=main -s STOP lvs-director');
    await lb1.until(isMaster);
    await lb2.until("journalctl -u lvs-director | grep -q 'Watchdog timeout'");
    t.equal(await lb2.out('ipvsadm -Ln --sort | grep -v Prot'), table, 'the table stays meanwhile');
    await lb2.until(
      `[ $(systemctl show -p NRestarts --value lvs-director) = 1 ] && ${role('backup')} && ${hasTable}`,
    );
    t.not((await lb2.run(isMaster)).status, 0, 'it has no address, and the peer stays master');
  });

  await step('kill -9', async (t) => {
    await lb1.out('systemctl kill --kill-who=main -s KILL lvs-director');
    await lb2.until(isMaster);
    await lb1.until(
      `[ $(systemctl show -p NRestarts --value lvs-director) = 1 ] && ${role('backup')} && ${hasTable}`,
    );
    t.not((await lb1.run(isMaster)).status, 0, 'it has no address');
  });

  await step('every process at once', async (t) => {
    await lb2.out('systemctl kill --kill-who=all -s KILL lvs-director');
    await lb1.until(isMaster);
    await lb2.until(
      `[ $(systemctl show -p NRestarts --value lvs-director) = 2 ] && ${role('backup')} && ${hasTable}`,
    );
    t.not((await lb2.run(isMaster)).status, 0, 'it has no address');
    t.match(
      await lb2.out('journalctl -u lvs-director --no-pager'),
      /the director left without a word: removed .*\/24 on eth0/,
      'they were gone before the next start',
    );
    // The next step is a master's again.
    await lb1.out('director failover && director failover --end');
    await lb2.until(isMaster);
  });

  await step('stop during a reload', async (t) => {
    await lb2.out('systemctl kill --kill-who=main -s HUP lvs-director; systemctl stop lvs-director');
    t.equal(await lb2.show('Result'), 'success');
    t.not((await lb2.run(isMaster)).status, 0, 'no address is left');
    t.equal(await lb2.out('ipvsadm -Ln | grep -c 10.8.0.2 || true'), '0', 'no table is left');
    await lb1.until(isMaster);
  });

  await step('virtual MAC and nftables', async () => {
    const more =
      '    - { name: mac, interface: eth0, virtual_router_id: 53, virtual_mac: true, accept_mode: false, addresses: [10.9.0.200/24] }';
    await lb1.out(
      `sed -i '/name: inside/a\\${more}' /etc/lvs-director/director.yaml; systemctl reload lvs-director`,
    );
    await lb1.until(
      'ip -4 -o addr | grep vrrp4-53-eth0 | grep 10.9.0.200/ && ip -d link show vrrp4-53-eth0 | grep macvlan',
    );
    await lb1.until('nft list table inet lvs_director | grep 10.9.0.200');
  });

  await step('systemd-networkd takes the addresses away, and they come back', async (t) => {
    const roles = (): Promise<string> => lb1.out('journalctl -u lvs-director -o cat | grep -c -e "-> "');
    const before = await roles();
    const network = '[Match]\\nName=eth0\\n[Network]\\nAddress=10.9.0.11/24\\n';
    await lb1.out(`printf '${network}' >/etc/systemd/network/eth0.network; systemctl start systemd-networkd`);
    // It takes away whatever is not in its file.
    await lb1.until('networkctl reconfigure eth0');
    await lb1.until('journalctl -u lvs-director -p warning | grep "somebody removed"');
    await lb1.until(isMaster);
    await lb1.until("ip -4 addr show dev eth0 | grep 'inet 10.9.0.11/24 .* global eth0'");
    await lb1.out('systemctl restart systemd-networkd');
    await lb1.until(isMaster);
    await lb1.out('systemctl stop systemd-networkd.socket systemd-networkd');
    await lb1.until(isMaster);
    t.equal(await roles(), before, 'no role moved');
  });

  await step('a system call that the filter lacks does not end it', async (t) => {
    const dropIn = '/etc/systemd/system/lvs-director.service.d';
    await lb2.out(`mkdir ${dropIn}; printf '[Service]\\nSystemCallFilter=~@pkey\\n' >${dropIn}/filter.conf`);
    await lb2.out('systemctl daemon-reload; systemctl start lvs-director');
    t.notMatch(await lb2.show('SystemCallFilter'), 'pkey_alloc');
    await lb2.until(`${role('backup')} && ${hasTable}`);
  });

  await step('failover --persist lasts across a restart', async () => {
    await lb1.out('director failover --persist; systemctl restart lvs-director');
    await lb1.until('director status | grep -i maintenance');
    await lb2.until(isMaster);
    await lb1.out('director failover --end');
  });

  await step('the journal', async (t) => {
    const lines = await lb1.journal('-t lvs-director');
    t.same(
      lines.filter((line) => /^[<{]/.test(line)),
      [],
      'a person can read it',
    );
    const started = 'outside: initialize -> backup (reason=started)';
    t.ok(lines.includes(started), 'one line an event');
    t.notOk((await lb1.journal('-p warning')).includes(started), 'with its priority');
    t.notMatch(lines.join('\n'), SECRET, 'what scripts and hooks are given stays with them');
  });
});
