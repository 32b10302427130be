/** Virtual MAC address, accept filter and links on a kernel that surely has macvlan, nftables, IPVS, bonds and VLANs. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { projectFolder, startVm } from '../../src/drill/vm/session.js';
import { noVm } from './no-vm.js';

t.setTimeout(900_000);
const RUN_MS = 400_000;

/** A director whose clients reach a real server by IPVS (NAT), and whose VIP the filter is to protect. */
const BALANCED = `set -e
ip netns add client; ip netns add real
ip link add c0 type veth peer name eth0 netns client; ip link add r0 type veth peer name eth0 netns real
ip addr add 10.1.1.7/24 dev c0; ip addr add 10.2.2.1/24 dev r0; ip link set c0 up; ip link set r0 up
ip -n client addr add 10.1.1.99/24 dev eth0; ip -n client link set eth0 up
ip -n real addr add 10.2.2.2/24 dev eth0; ip -n real link set eth0 up; ip -n real route add default via 10.2.2.1
echo 1 >/proc/sys/net/ipv4/ip_forward
ipvsadm -A -t 10.1.1.7:80 -s rr; ipvsadm -a -t 10.1.1.7:80 -r 10.2.2.2:80 -m
ip netns exec real node -e 'require("net").createServer((c) => c.end("balanced\\n")).listen(80, "10.2.2.2", () => require("fs").writeFileSync("/tmp/listens", ""))' &
server=$!
trap 'kill $server' EXIT
waited=0
while [ ! -e /tmp/listens ]; do
  waited=$((waited + 1))
  [ $waited -lt 300 ] || { echo 'the real server does not listen within 30 s' >&2; exit 1; }
  sleep 0.1
done
node --input-type=module -e "import { openAcceptFilter } from '$0'; await openAcceptFilter().drop(['10.1.1.7'])"
timeout 30 ip netns exec client node -e 'require("net").connect(80, "10.1.1.7").on("error", console.log).pipe(process.stdout)'
ip netns exec client ping -n -c1 -W2 10.1.1.7 >/dev/null && echo 'ping answered' || echo 'ping dropped'
nft delete table inet lvs_director
ip netns exec client ping -n -c1 -W5 10.1.1.7 >/dev/null && echo 'ping answered' || echo 'ping dropped'`;

/** What failed, for the name of the assertion: a report shows no more of a test than that. */
function failures(tap: string): string {
  const failed = tap.split('\n').filter((line) => /^\s*not ok /.test(line));
  return failed.map((line) => line.trim()).join('; ') || 'nothing failed';
}

void t.test('tests of the network, in the VM', { skip: noVm() }, async (t) => {
  const outDir = mkdtempSync(join(tmpdir(), 'network-test-'));
  const vm = await startVm({ outDir, onProgress: (line) => t.comment(line) });
  t.teardown(async () => {
    await vm.stop();
    rmSync(outDir, { recursive: true, force: true });
  });
  await t.test('virtual servers are balanced behind the accept filter', async (t) => {
    const module = join(projectFolder(), 'dist', 'src', 'io', 'host', 'accept-filter.js');
    const { stdout, stderr } = await vm.run(['sh', '-c', BALANCED, module], { timeoutMs: RUN_MS });
    t.equal(stdout, 'balanced\nping dropped\nping answered\n', stderr);
  });
  for (const name of [
    'net/virtual-mac/virtual-mac.test',
    'net/kernel/accept-filter.test',
    'vm/guest/links',
  ]) {
    await t.test(name, async (t) => {
      // tap keeps notes where it is started, and the project is read-only there.
      const command = ['node', join(projectFolder(), 'dist', 'test', `${name}.js`)];
      const { status, stdout } = await vm.run(command, { timeoutMs: RUN_MS, cwd: '/tmp' });
      t.equal(status, 0, failures(stdout));
      t.notMatch(stdout, /# SKIP|^1\.\.0/m, 'nothing is left out');
      if (status !== 0) t.comment(stdout);
    });
  }
});
