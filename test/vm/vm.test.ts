import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { release, tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import t from 'tap';
import { projectFolder, startVm, type Vm } from '../../src/drill/vm/session.js';
import { runInVm } from '../../src/drill/vm.js';
import { MAIN } from '../program.js';
import { noVm } from './no-vm.js';

t.setTimeout(600_000);

const isGone = (pid: number): boolean => !existsSync(`/proc/${pid}`);

void t.test('VM', { skip: noVm() }, async (t) => {
  const work = mkdtempSync(join(tmpdir(), 'vm-test-'));
  // A comma and a blank: QEMU and the shell both have their own idea of them.
  const outDir = join(work, 'out, 1');
  const vm: Vm = await startVm({ outDir, onProgress: (line) => t.comment(line) });
  t.teardown(async () => {
    await vm.stop();
    rmSync(work, { recursive: true, force: true });
  });

  await t.test('runs another kernel, and that has ip_vs', async (t) => {
    const uname = await vm.run(['uname', '-rn']);
    t.match(uname.stdout, /^lvs-lab /);
    t.not(uname.stdout.trim(), `lvs-lab ${release()}`);
    const table = await vm.run(['cat', '/proc/net/ip_vs']);
    t.match(table.stdout, /^IP Virtual Server version 1\.2\.1/);
  });

  await t.test("runs the host's programs", async (t) => {
    t.equal((await vm.run([process.execPath, '-p', 'process.version'])).stdout.trim(), process.version);
    const ping = await vm.run(['ping', '-c1', '-W5', '127.0.0.1']);
    t.equal(ping.status, 0, ping.stdout + ping.stderr);
    t.match((await vm.run(['ip', '-V'])).stdout, /^ip utility, iproute2/, 'not the one of busybox');
  });

  await t.test('has the judges', async (t) => {
    const script = 'ipvsadm -A -t 192.0.2.1:80 -s wlc && ipvsadm -Ln && ipvsadm -C && keepalived --version';
    const judged = await vm.run(['sh', '-c', script]);
    t.equal(judged.status, 0, judged.stderr);
    t.match(judged.stdout, /TCP {2}192\.0\.2\.1:80 wlc/);
    t.match(judged.stderr, /^Keepalived v/);
  });

  await t.test('has the links and queues of a lab, in namespaces', async (t) => {
    const script = `set -e
ip netns add a; ip link add v0 type veth peer name v1; ip link set v1 netns a
ip link add d0 type dummy; ip link add m0 link d0 type macvlan mode private
tc qdisc add dev v0 root netem delay 5ms
ip netns exec a sh -c 'cat /proc/net/ip_vs; sysctl -n net.ipv4.vs.sync_threshold 2>/dev/null || cat /proc/sys/net/ipv4/vs/sync_threshold'
ip netns del a; ip link del d0`;
    const made = await vm.run(['sh', '-c', script]);
    t.equal(made.status, 0, made.stderr);
    t.match(made.stdout, /IP Virtual Server[^]*3\s+50/);
  });

  await t.test('cannot change the host', async (t) => {
    const inProject = join(projectFolder(), 'written-by-the-guest');
    const project = await vm.run(['touch', inProject]);
    t.not(project.status, 0);
    t.match(project.stderr, /Read-only file system/);
    t.notOk(existsSync(inProject));
    const beside = join(work, 'written-by-the-guest');
    t.equal((await vm.run(['touch', beside])).status, 0, 'elsewhere a write succeeds');
    t.notOk(existsSync(beside), 'and is forgotten with the VM');
    const below = await vm.run([
      'sh',
      '-c',
      'mount | grep -c "^host on"; mount -t 9p -o trans=virtio host /mnt',
    ]);
    t.not(below.status, 0, 'the share cannot be mounted a second time, writable');
  });

  await t.test('writes to the output folder', async (t) => {
    const text = 'two\nlines\n';
    await vm.run(['sh', '-c', 'printf %s "$TEXT" >"$0/file"', vm.outDir], { env: { TEXT: text } });
    t.equal(readFileSync(join(outDir, 'file'), 'utf8'), text);
  });

  await t.test('passes on status, streams, folder and awkward words', async (t) => {
    const words = ["it's", '$HOME `id`', '', 'a  b', '*'];
    const result = await vm.run(['sh', '-c', 'printf "%s\\n" "$@"; pwd >&2; exit 7', 'sh', ...words], {
      cwd: '/etc',
    });
    t.strictSame(result, { status: 7, stdout: `${words.join('\n')}\n`, stderr: '/etc\n' });
    t.equal((await vm.run(['no-such-program'])).status, 127);
    t.equal((await vm.run(['sh', '-c', 'kill -TERM $$'])).status, 128 + 15);
  });

  await t.test('shows lines while the program still runs', async (t) => {
    const go = join(outDir, 'go');
    const seen: string[] = [];
    // The guest goes on only when its first line has been seen here: without live output this never ends.
    const script = `echo first; while [ ! -e ${vm.outDir}/go ]; do sleep 0.1; done; echo last; printf rest`;
    const result = await vm.run(['sh', '-c', script], {
      timeoutMs: 60_000,
      onOutput: (line) => {
        seen.push(line);
        if (line === 'first') writeFileSync(go, '');
      },
    });
    t.equal(result.status, 0);
    t.strictSame(seen, ['first', 'last', 'rest']);
  });

  await t.test('runs programs side by side', async (t) => {
    const fifo = '/tmp/between-two';
    await vm.run(['mkfifo', fifo]);
    const [reader] = await Promise.all([
      vm.run(['cat', fifo], { timeoutMs: 60_000 }),
      vm.run(['sh', '-c', `echo over >${fifo}`], { timeoutMs: 60_000 }),
    ]);
    t.equal(reader.stdout, 'over\n');
  });

  await t.test('ends a program that takes too long, with its children', async (t) => {
    const run = vm.run(['sh', '-c', 'sleep 3217 & sleep 3217'], { timeoutMs: 1_000 });
    await t.rejects(run, { code: 'ERR_VM_TIMEOUT' });
    const left = await vm.run(['sh', '-c', "grep -la '^sleep.3217' /proc/[0-9]*/cmdline"]);
    t.equal(left.stdout, '');
    const seen = vm.run(['sh', '-c', "sleep 3217 & grep -la '^sleep.3217' /proc/$!/cmdline; kill $!"]);
    t.match((await seen).stdout, /cmdline/, 'such a search does find one');
  });

  await t.test('leaves no process behind', async (t) => {
    t.notOk(isGone(vm.pid));
    const running = vm.run(['sleep', '3217']);
    const rejected = t.rejects(running, { code: 'ERR_VM_ABORTED' });
    await vm.stop();
    await rejected;
    t.ok(isGone(vm.pid));
    await t.rejects(vm.run(['true']), { code: 'ERR_VM_ABORTED' }, 'and takes no more programs');
  });
});

void t.test('runInVm ends with its signal, and QEMU with it', { skip: noVm() }, async (t) => {
  const outDir = mkdtempSync(join(tmpdir(), 'vm-test-'));
  t.teardown(() => rmSync(outDir, { recursive: true, force: true }));
  const abort = new AbortController();
  const script = `echo up; exec sleep 3217`;
  const run = runInVm({
    command: ['sh', '-c', script],
    outDir,
    signal: abort.signal,
    onOutput: () => abort.abort(),
  });
  await t.rejects(run, { code: 'ERR_VM_ABORTED' });
  const holders = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(outDir);
      } catch {
        return false;
      }
    });
  t.strictSame(holders, [], 'no process has the output folder on its command line');
});

void t.test('a drill whose reader or terminal goes leaves nothing behind', { skip: noVm() }, async (t) => {
  const goes: Record<string, (drill: ChildProcessByStdio<null, Readable, Readable>) => void> = {
    reader: (drill) => drill.stdout.destroy(),
    terminal: (drill) => drill.kill('SIGHUP'),
  };
  for (const [who, go] of Object.entries(goes)) {
    const work = mkdtempSync(join(tmpdir(), 'vm-test-'));
    t.teardown(() => rmSync(work, { recursive: true, force: true }));
    const outDir = join(work, 'out');
    const drill = spawn(process.execPath, [MAIN, 'drill', '--kernel', 'vm', '--out', outDir], {
      env: { ...process.env, TMPDIR: work },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    t.teardown(() => drill.kill('SIGKILL'));
    let errors = '';
    drill.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    drill.stdout.once('data', () => go(drill));
    const [status] = await once(drill, 'close');
    t.equal(status, 130, `${who}: ${errors}`);
    t.match(errors, /the drill was interrupted; everything it started has ended/);
    t.same(readdirSync(work), ['out']);
  }
});
