/**
 * A host with systemd as its process 1: a container in the VM, on the host's own files. It has its own network, process,
 * mount and cgroup namespaces, its own /etc, /var, /run and /usr/local, and the director as npm installs it.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { judgesFolder } from '../../src/drill/vm/lab-kernel.js';
import { projectFolder, type RunResult, type Vm } from '../../src/drill/vm/session.js';

/** A boot takes 90 s on an idle machine under TCG; at load 25 two side by side took five minutes. */
const BOOT_LIMIT_MS = 1_200_000;
const STEP_LIMIT_MS = 900_000;
/** How often a condition is looked at, in seconds. */
const LOOK_EVERY = 1;
/** Where a container has the judges: their own folder may lie below /root, which the unit does not see. */
const JUDGES = '/opt/lvs-director-judges';

/** What a container has no use for, and what would wait for devices that it has not. */
const MASKED = [
  'getty.target timers.target cryptsetup.target veritysetup.target integritysetup.target',
  'systemd-udevd.service systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udev-trigger.service',
  'systemd-logind.service systemd-user-sessions.service systemd-update-utmp.service systemd-update-utmp-runlevel.service',
  'systemd-hwdb-update.service systemd-journal-catalog-update.service systemd-update-done.service ldconfig.service',
  'systemd-machine-id-commit.service systemd-firstboot.service systemd-sysusers.service systemd-random-seed.service',
  'systemd-boot-system-token.service systemd-pcrphase.service systemd-pcrphase-sysinit.service kmod-static-nodes.service',
  'systemd-modules-load.service systemd-binfmt.service systemd-remount-fs.service systemd-journal-flush.service',
  'systemd-tmpfiles-setup-dev.service systemd-tmpfiles-setup.service systemd-timesyncd.service',
  'dev-hugepages.mount dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount',
  'sys-fs-fuse-connections.mount proc-sys-fs-binfmt_misc.automount proc-sys-fs-binfmt_misc.mount',
  'systemd-ask-password-console.path systemd-ask-password-wall.path modprobe@.service',
].join(' ');

/** $1: the container, $2: its folder. Ends in the script below, with namespaces of its own. */
const OUTSIDE = `set -e
echo '+memory +pids +cpu' >/sys/fs/cgroup/cgroup.subtree_control
mkdir /sys/fs/cgroup/$1
echo $$ >/sys/fs/cgroup/$1/cgroup.procs
exec ip netns exec $1 unshare --pid --mount --uts --ipc --cgroup --fork --kill-child --mount-proc sh $2/inside $1 $2`;

/** The folder holds prefix/ (an installed package), node (the path of one) and prepare (a script, run last). */
const inside = (node: string, prefix: string, judges: string): string => `set -e
mount -t cgroup2 none /sys/fs/cgroup
# Who sees /sys writable waits for udev.
mount -o remount,bind,ro /sys
mkdir -p ${JUDGES} $2/etc.up $2/etc.work $2/var.up $2/var.work
[ ! -d '${judges}' ] || mount --bind '${judges}' ${JUDGES}
for d in etc var; do
  mount -t overlay -o lowerdir=/$d,upperdir=$2/$d.up,workdir=$2/$d.work overlay /$d
done
mount --bind '${node}' '${prefix}/bin/node'
mount --rbind '${prefix}' /usr/local
mkdir -p $2/units $2/units.work /etc/systemd/system-generators
mount -t overlay -o lowerdir='${prefix}/units',upperdir=$2/units,workdir=$2/units.work units /etc/systemd/system
mount --bind '${prefix}/generators' /etc/systemd/system-generators
printf '[Journal]\\nStorage=volatile\\nRateLimitIntervalSec=0\\n' >/etc/systemd/journald.conf
echo $1 >/etc/hostname
hostname $1
mount --rbind /run/lab /mnt
mount -t tmpfs -o mode=755 run /run
mkdir /run/lab
mount --rbind /mnt /run/lab
umount -l /mnt
mkdir -p /etc/lvs-director
. $2/prepare
exec env -i container=lab PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \\
  /lib/systemd/systemd --unit=multi-user.target`;

/** The unit put where README.md says. */
export const INSTALL =
  'cp /usr/local/lib/node_modules/lvs-director/systemd/lvs-director.service /etc/systemd/system/';

export interface ContainerPlan {
  /** Its network namespace, which is there already, and its host name. */
  readonly name: string;
  /** The Node binary that it has as /usr/local/bin/node. */
  readonly node: string;
  /** What `installPackage` returned: its /usr/local. */
  readonly prefix: string;
  /** The director's file. */
  readonly config: string;
  /** Shell commands before systemd starts. */
  readonly prepare?: string;
}

function npm(args: readonly string[], cwd: string): void {
  const { status, stdout, stderr } = spawnSync('npm', args, { cwd, encoding: 'utf8' });
  if (status !== 0) throw new Error(`npm ${args.join(' ')}: ${stdout}${stderr}`);
}

/**
 * `npm pack` and `npm install --global`, as the README has it, and units/ and generators/ for /etc/systemd. Returns the
 * folder, which is the caller's to remove.
 */
export function installPackage(): string {
  const folder = mkdtempSync(join(tmpdir(), 'installed-'));
  chmodSync(folder, 0o755);
  const packed = join(folder, 'packed');
  mkdirSync(packed);
  npm(['pack', '--silent', '--pack-destination', packed], projectFolder());
  const [file = ''] = readdirSync(packed);
  const options = ['--global', '--prefix', folder, '--prefer-offline', '--no-audit', '--no-fund'];
  npm(['install', ...options, join(packed, file)], folder);
  writeFileSync(join(folder, 'bin', 'node'), '', { mode: 0o755 });
  // The judges as programs on PATH, where an administrator would have nft.
  mkdirSync(join(folder, 'sbin'));
  for (const name of readdirSync(judgesFolder())) {
    writeFileSync(join(folder, 'sbin', name), `#!/bin/sh\nexec ${JUDGES}/bin/${name} "$@"\n`, {
      mode: 0o755,
    });
  }
  mask(join(folder, 'units'), MASKED.split(' '));
  // They would make units of this host's /etc/fstab and /etc/init.d.
  mask(join(folder, 'generators'), readdirSync('/lib/systemd/system-generators'));
  return folder;
}

/** Made here and not in the guest, where each process costs up to a second. */
function mask(folder: string, names: readonly string[]): void {
  mkdirSync(folder);
  for (const name of names) symlinkSync('/dev/null', join(folder, name));
}

export class Container {
  readonly name: string;
  readonly #vm: Vm;
  /** The container's process 1, as the guest numbers it. */
  readonly #pid: string;

  private constructor(vm: Vm, name: string, pid: string) {
    this.#vm = vm;
    this.name = name;
    this.#pid = pid;
  }

  /** Boots it, and waits until its services may start. */
  static async boot(vm: Vm, plan: ContainerPlan): Promise<Container> {
    const { name, node, prefix, config, prepare = '' } = plan;
    const folder = `/run/lab/${name}`;
    const judges = join(judgesFolder(), '..');
    const files = { inside: inside(node, prefix, judges), prepare, 'director.yaml': config };
    const writing = Object.entries(files).map(
      ([file, text]) => `cat >${folder}/${file} <<'END_OF_FILE'\n${text}\nEND_OF_FILE`,
    );
    writing.push(`echo 'cp ${folder}/director.yaml /etc/lvs-director/' >>${folder}/prepare`);
    await expectDone(vm.run(['sh', '-c', [`mkdir ${folder}`, ...writing].join('\n')]));
    const life = vm.run(['sh', '-c', OUTSIDE, 'sh', name, folder], { timeoutMs: 3_600_000 });
    const up = vm.run(
      [
        'sh',
        '-c',
        `while sleep ${LOOK_EVERY}; do
  pid=$(head -n 1 /sys/fs/cgroup/$0/init.scope/cgroup.procs 2>/dev/null) || continue
  nsenter -t "$pid" -p -m systemctl -q is-active basic.target 2>/dev/null && break
done
echo $pid`,
        name,
      ],
      { timeoutMs: BOOT_LIMIT_MS },
    );
    const ended = life.then(
      ({ status, stdout, stderr }) => {
        throw new Error(`container ${name} ended with ${status}: ${stdout}${stderr}`);
      },
      (error: unknown) => {
        throw error;
      },
    );
    // It ends with the VM.
    ended.catch(() => {});
    const { stdout } = await Promise.race([up, ended]);
    return new Container(vm, name, stdout.trim());
  }

  /** A shell command in the container. */
  run(script: string, timeoutMs: number = STEP_LIMIT_MS): Promise<RunResult> {
    const enter = ['nsenter', '-t', this.#pid, '-p', '-m', '-n', '-u', '-i', '-C'];
    return this.#vm.run([...enter, 'sh', '-c', script], { timeoutMs, cwd: '/' });
  }

  /** Its standard output. Rejects with the journal's end when it fails. */
  async out(script: string): Promise<string> {
    try {
      return (await expectDone(this.run(script), script)).stdout.trim();
    } catch (error) {
      const { stdout } = await this.run('journalctl -n 40 --no-pager', 60_000);
      const words = error instanceof Error ? error.message : String(error);
      throw new Error(`${this.name}: ${words}\n${stdout}`, { cause: error });
    }
  }

  /** Resolves as soon as `script` succeeds, and rejects as `out` when it never does. */
  async until(script: string): Promise<void> {
    await this.out(`until { ${script}; } >/dev/null 2>&1; do sleep ${LOOK_EVERY}; done`);
  }

  /** A property of the service, such as ActiveState (systemd.directives(7)). */
  show(property: string): Promise<string> {
    return this.out(`systemctl show -p ${property} --value lvs-director`);
  }

  /** The service's part of the journal, its own lines and systemd's about it, without times. */
  async journal(options: string = ''): Promise<readonly string[]> {
    const text = await this.out(`journalctl -u lvs-director --no-pager -o cat ${options}`);
    return text.split('\n');
  }
}

async function expectDone(run: Promise<RunResult>, script: string = ''): Promise<RunResult> {
  const result = await run;
  if (result.status !== 0) {
    throw new Error(`status ${result.status}: ${script}\n${result.stdout}${result.stderr}`);
  }
  return result;
}
