import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { findProgram } from '../io/host/programs.js';
import { startVm } from './vm/session.js';

export interface RunInVmOptions {
  readonly command: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Folder of the host; the guest sees it, writable, at `GUEST_OUT_DIR` (vm/guest-scripts). */
  readonly outDir: string;
  /** Every line of stdout and stderr while the program runs. */
  readonly onOutput?: (line: string) => void;
  /** What happens before it runs: the probe of KVM, the boot and its time. */
  readonly onProgress?: (line: string) => void;
  readonly signal?: AbortSignal;
  readonly memoryMiB?: number;
  /** Of the program, without the boot. */
  readonly timeoutMs?: number;
}

/**
 * Runs one program in a VM of its own, with the project as its folder and the host's files read-only.
 * @throws VmError (vm/vm-error)
 */
export async function runInVm(options: RunInVmOptions): Promise<{ exitStatus: number; bootMs: number }> {
  const { command, outDir, signal, memoryMiB, onProgress, ...runOptions } = options;
  const vm = await startVm({
    outDir,
    ...(signal === undefined ? {} : { signal }),
    ...(memoryMiB === undefined ? {} : { memoryMiB }),
    ...(onProgress === undefined ? {} : { onProgress }),
  });
  try {
    const { status } = await vm.run(command, runOptions);
    return { exitStatus: status, bootMs: vm.bootMs };
  } finally {
    await vm.stop();
  }
}

/** Whether this kernel can do IPVS for us: we are root and ip_vs is there, or loads. */
export function hostHasIpvs(): boolean {
  if (process.geteuid?.() !== 0) return false;
  if (existsSync('/proc/net/ip_vs')) return true;
  const modprobe = findProgram('modprobe');
  if (modprobe === undefined) return false;
  return spawnSync(modprobe, ['-q', 'ip_vs']).status === 0 && existsSync('/proc/net/ip_vs');
}
