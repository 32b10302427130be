import { spawn } from 'node:child_process';
import { accessSync, constants, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, type LabKernel } from './lab-kernel.js';

/** kvm: the processor runs the guest. tcg: QEMU translates it, some 20 times slower. */
export type Accelerator = 'kvm' | 'tcg';

/** /dev/kvm may exist and hang in the firmware: without a first word of the kernel by then it is given up. */
const KVM_PROBE_LIMIT_MS = 6_000;

const KERNEL_ARGUMENTS =
  'console=ttyS0 quiet loglevel=4 panic=1 mitigations=off apparmor=0 audit=0 no_timer_check random.trust_cpu=on';

/** Tells which accelerator works here. The answer is kept in the cache folder until the host boots again. */
export async function chooseAccelerator(
  kernel: LabKernel,
  onProgress: (line: string) => void,
): Promise<Accelerator> {
  try {
    accessSync('/dev/kvm', constants.R_OK | constants.W_OK);
  } catch {
    return 'tcg';
  }
  const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  const noteFile = join(cacheFolder(), 'accelerator');
  const known = readNote(noteFile, bootId);
  if (known !== undefined) return known;
  onProgress('trying whether KVM works (6 s at most, once)');
  const accelerator: Accelerator = (await kvmBoots(kernel)) ? 'kvm' : 'tcg';
  mkdirSync(cacheFolder(), { recursive: true });
  writeFileSync(noteFile, `${bootId} ${accelerator}\n`);
  return accelerator;
}

function readNote(path: string, bootId: string): Accelerator | undefined {
  try {
    const [noted, accelerator] = readFileSync(path, 'utf8').trim().split(' ');
    if (noted !== bootId) return undefined;
    return accelerator === 'kvm' || accelerator === 'tcg' ? accelerator : undefined;
  } catch {
    return undefined;
  }
}

/** Boots without any root file system: a kernel that comes as far as its panic over it works. */
function kvmBoots(kernel: LabKernel): Promise<boolean> {
  const args = ['-accel', 'kvm', '-cpu', 'host', '-m', '256', ...BARE_MACHINE, '-serial', 'stdio'];
  args.push('-kernel', kernel.image, '-append', 'console=ttyS0 panic=-1');
  const qemu = spawn('setpriv', ['--pdeathsig', 'KILL', kernel.qemu, ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  return new Promise((resolve) => {
    let words = '';
    const finish = (works: boolean): void => {
      clearTimeout(timer);
      qemu.kill('SIGKILL');
      resolve(works);
    };
    const timer = setTimeout(() => finish(false), KVM_PROBE_LIMIT_MS);
    qemu.stdout.on('data', (chunk: Buffer) => {
      words += chunk.toString('latin1');
      if (words.includes('Kernel panic')) finish(true);
    });
    qemu.once('error', () => finish(false));
    qemu.once('close', () => finish(words.includes('Kernel panic')));
  });
}

/** No network card, no display, no BIOS menus: serial ports and what is named. */
const BARE_MACHINE = ['-nodefaults', '-no-user-config', '-display', 'none', '-nic', 'none', '-no-reboot'];

export interface MachinePlan {
  readonly kernel: LabKernel;
  readonly accelerator: Accelerator;
  readonly initramfs: string;
  readonly memoryMiB: number;
  /** Features that the guest's processor is to have (`+NAME`) or not (`-NAME`), in QEMU's names. */
  readonly processorFeatures: readonly string[];
  readonly kernelLog: string;
  /** Folders of the host that the guest may write to, by 9p mount tag. */
  readonly shares: Readonly<Record<'channel' | 'out', string>>;
}

/** QEMU's command line. First serial port: the kernel's log into a file. Second: our line to the guest's agent. */
export function qemuArguments(plan: MachinePlan): string[] {
  const [accelerator, model] = plan.accelerator === 'kvm' ? ['kvm', 'host'] : ['tcg,thread=multi', 'max'];
  return [
    ['-accel', accelerator, '-cpu', [model, ...plan.processorFeatures].join(',')],
    ['-smp', '2', '-m', String(plan.memoryMiB)],
    BARE_MACHINE,
    ['-kernel', plan.kernel.image, '-initrd', plan.initramfs, '-append', KERNEL_ARGUMENTS],
    ['-chardev', `file,id=log,path=${comma(plan.kernelLog)}`, '-serial', 'chardev:log'],
    ['-chardev', 'stdio,id=agent,signal=off', '-serial', 'chardev:agent'],
    // readonly=on: QEMU itself refuses every write, whatever the guest does.
    share('host', '/', ',readonly=on,multidevs=remap'),
    share('channel', plan.shares.channel, ''),
    share('out', plan.shares.out, ',multidevs=remap'),
  ].flat();
}

function share(tag: string, path: string, more: string): string[] {
  return [
    ['-fsdev', `local,id=${tag},path=${comma(path)},security_model=none${more}`],
    ['-device', `virtio-9p-pci,fsdev=${tag},mount_tag=${tag}`],
  ].flat();
}

/** A comma in a value is written twice (QEMU's option syntax). */
function comma(value: string): string {
  return value.replaceAll(',', ',,');
}
