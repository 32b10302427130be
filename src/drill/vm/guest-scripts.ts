/** Where the guest sees the output folder: the one place of the host that it may write to. */
export const GUEST_OUT_DIR = '/run/lab/out';
/** Where the guest sees the folder through which programs are handed in. */
export const GUEST_CHANNEL_DIR = '/run/lab/channel';
export const GUEST_HOSTNAME = 'lvs-lab';
/** A processor of the guest that does nothing else for so long stands still. On a host at load 30 one has waited half a minute. */
const LOCKUP_SECONDS = 120;

const SHARE_OPTIONS = 'trans=virtio,version=9p2000.L,msize=1048576';

/**
 * First program of the initramfs. The host's root comes in read-only; an overlay on tmpfs takes what the guest writes
 * and forgets it. An overlay, and not single tmpfs mounts, so that a project below /tmp stays in sight and /lib/modules
 * can be mounted where the host has no such folder.
 */
export const EARLY_INIT = `#!/bin/busybox sh
B=/bin/busybox
$B mount -t proc proc /proc
$B mount -t devtmpfs dev /dev
while read -r m; do $B insmod "/m/$m" || echo "lab: cannot load $m" >/dev/kmsg; done </modules
$B mount -t 9p -o ro,${SHARE_OPTIONS},cache=loose host /host || exec $B reboot -f
$B mount -t tmpfs -o mode=755,size=60% rw /rw
$B mkdir /rw/upper /rw/work
$B mount -t overlay -o lowerdir=/host,upperdir=/rw/upper,workdir=/rw/work overlay /new || exec $B reboot -f
$B mkdir -p /new/run /new/dev /new/proc /new/sys
$B mount -t tmpfs -o mode=755 run /new/run
$B mkdir -p /new/run/lab/bin /new${GUEST_CHANNEL_DIR} /new${GUEST_OUT_DIR} /new/run/lock
$B cp $B /new/run/lab/bin/busybox
$B ln -s busybox /new/run/lab/bin/modprobe
$B mount -t 9p -o ${SHARE_OPTIONS},cache=none channel /new${GUEST_CHANNEL_DIR} || exec $B reboot -f
$B mount -t 9p -o ${SHARE_OPTIONS},cache=none out /new${GUEST_OUT_DIR} || exec $B reboot -f
$B umount /proc
$B umount /dev
exec $B switch_root /new /run/lab/bin/busybox sh ${GUEST_CHANNEL_DIR}/init
`;

/** For a POSIX shell: one word, whatever stands in it. */
export function quote(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function stayingChain(hook: string): string {
  return `  chain ${hook} {\n    type filter hook ${hook} priority 0\n  }`;
}

export interface GuestPlan {
  readonly release: string;
  /** On the host, and so in the guest too. */
  readonly modulesFolder: string;
  /** Mounted read-only: a program that writes into the project must fail here as it may fail at a user's. */
  readonly projectFolder: string;
  readonly path: string;
}

/**
 * Second program, process 1 of the guest: mounts, names, and the agent on the second serial port. It then only waits: so
 * orphans are reaped at once, and a test may ask whether a process is gone.
 */
export function guestInit(plan: GuestPlan): string {
  const modules = `/lib/modules/${plan.release}`;
  return `B=/run/lab/bin/busybox
$B mount -t proc proc /proc
$B mount -t sysfs sys /sys
$B mount -t devtmpfs dev /dev
$B mkdir -p /dev/pts /dev/shm ${quote(modules)}
$B mount -t devpts -o gid=5,mode=620,ptmxmode=666 devpts /dev/pts
$B mount -t tmpfs -o mode=1777 shm /dev/shm
$B ln -sf /proc/self/fd /dev/fd
$B mount --bind ${quote(plan.modulesFolder)} ${quote(modules)}
$B mount --bind ${quote(plan.projectFolder)} ${quote(plan.projectFolder)}
$B mount -o remount,bind,ro ${quote(plan.projectFolder)}
echo /run/lab/bin/modprobe >/proc/sys/kernel/modprobe
echo 1 >/proc/sys/kernel/panic
# A kernel that stands still ends the VM and says where it stood: nobody waits for it.
echo 7 >/proc/sys/kernel/printk
echo ${LOCKUP_SECONDS / 2} >/proc/sys/kernel/watchdog_thresh
for s in softlockup_all_cpu_backtrace softlockup_panic; do [ ! -e /proc/sys/kernel/$s ] || echo 1 >/proc/sys/kernel/$s; done
echo ${GUEST_HOSTNAME} >/proc/sys/kernel/hostname
$B ip link set lo up
export PATH=${quote(plan.path)} HOME=/root TERM=dumb LANG=C.UTF-8
export B C=${GUEST_CHANNEL_DIR}
# With the first and without the last who needs it, a kernel changes its own code in the midst of what runs at every packet and at every
# allocation (static keys). QEMU 7.2 may go on with the byte that stood there meanwhile, and a processor stands still for ever. So
# somebody needs each of them from before there is a second process to the end: nf_hooks_needed and ingress_needed_key,
# netstamp_needed_key (fping's SO_TIMESTAMPNS), memcg_kmem_enabled_key and memcg_sockets_enabled_key.
nft -f - 2>/dev/null <<END
table netdev stays {
  chain ingress {
    type filter hook ingress device lo priority 0
  }
}
table inet stays {
${['prerouting', 'input', 'forward', 'output', 'postrouting'].map(stayingChain).join('\n')}
}
END
$B mount -t cgroup2 none /sys/fs/cgroup
echo +memory >/sys/fs/cgroup/cgroup.subtree_control
$B mkdir /sys/fs/cgroup/stays
fping -q -l -p 3600000 127.0.0.1 >/dev/null 2>&1 &
$B stty -F /dev/ttyS1 raw -echo
/bin/sh $C/${GUEST_AGENT_FILE} 3<>/dev/ttyS1 &
while :; do wait; $B sleep 1; done
`;
}

export const GUEST_AGENT_FILE = 'agent';

/**
 * Takes lines from descriptor 3: `run N` starts the script N.sh of the channel folder `$C` and answers `done N STATUS`;
 * `kill N` ends its session. `$B` is the guest's busybox. For the host's shell, as the scripts are: busybox prefers its own
 * ip, ping and ps to those on PATH, and its `read` loses the beginning of a line when a child ends meanwhile.
 */
export const GUEST_AGENT = `echo ready >&3
while read -r verb n <&3; do
  case $verb in
    run) ( $B setsid /bin/sh $C/$n.sh </dev/null >$C/$n.out 2>$C/$n.err 3>&-; echo "done $n $?" >&3 ) & ;;
    kill) $B kill -KILL -- -$($B cat $C/$n.pid) ;;
  esac
done
`;

/** The script of one program: its environment, its folder, and its process id for \`kill\`. */
export function jobScript(options: {
  readonly id: number;
  readonly command: readonly string[];
  readonly cwd: string;
  readonly env: Readonly<Record<string, string>>;
}): string {
  const exports = Object.entries(options.env).map(([name, value]) => `export ${name}=${quote(value)}\n`);
  return `echo $$ >${GUEST_CHANNEL_DIR}/${options.id}.pid
cd ${quote(options.cwd)} || exit 126
${exports.join('')}exec ${options.command.map(quote).join(' ')}
`;
}
