import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, type FSWatcher, mkdirSync, readFileSync, rmSync, watch, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { scratchFolder } from '../lab/scratch-folder.js';
import { type Accelerator, chooseAccelerator, qemuArguments } from './accelerator.js';
import { FileTail } from './file-tail.js';
import { GUEST_AGENT, GUEST_AGENT_FILE, GUEST_OUT_DIR, guestInit, jobScript } from './guest-scripts.js';
import { ensureInitramfs, findLabKernel, judgesFolder, type LabKernel } from './lab-kernel.js';
import { VmError } from './vm-error.js';

/** Under TCG a boot takes 4 to 9 s on an idle machine; on a busy one it has taken 113 s. */
const BOOT_LIMIT_MS = 300_000;
const RUN_LIMIT_MS = 10 * 60_000;
/** How long a killed program may take to be gone, before the whole VM is ended. */
const KILL_GRACE_MS = 15_000;
const KERNEL_LOG_TAIL_LINES = 15;
/** Of what a kernel says that finds a fault in itself: with the stack, which comes first. */
const KERNEL_FAULT_LINES = 60;
const KERNEL_FAULT = /\b(BUG|Oops|Kernel panic|general protection fault)\b/;
/** Debian's own order, behind it the judges, last what only the guest's busybox has (modprobe). */
const GUEST_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export interface VmOptions {
  /** Folder of the host; the guest sees it, writable, at `GUEST_OUT_DIR`. `guest-kernel.log` is written to it. */
  readonly outDir: string;
  /** Ends the VM at once. */
  readonly signal?: AbortSignal;
  /** Default 2048. Memory that the guest never touches costs the host nothing. */
  readonly memoryMiB?: number;
  /** What the guest's processor is to lack or to have beyond the usual, such as `-pku`. */
  readonly processorFeatures?: readonly string[];
  readonly onProgress?: (line: string) => void;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** A folder as the guest sees it; default the project's. */
  readonly cwd?: string;
  /** Default ten minutes. */
  readonly timeoutMs?: number;
  /** Every line of stdout and stderr while the program runs. */
  readonly onOutput?: (line: string) => void;
}

export interface RunResult {
  /** The exit status; 128 + N after signal N. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A running VM. Programs may run side by side in it. */
export interface Vm {
  readonly bootMs: number;
  readonly accelerator: Accelerator;
  readonly kernelRelease: string;
  /** The output folder as the guest sees it. */
  readonly outDir: string;
  /** Process id of QEMU. */
  readonly pid: number;
  /** @throws VmError ERR_VM_TIMEOUT, ERR_VM_DIED, ERR_VM_ABORTED */
  run(command: readonly string[], options?: RunOptions): Promise<RunResult>;
  stop(): Promise<void>;
}

/** The folder of the nearest package.json above this file. */
export function projectFolder(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && folder !== '/') folder = dirname(folder);
  return folder;
}

/**
 * Boots Debian's kernel on the host's own files and waits until it takes programs.
 * @throws VmError ERR_NO_LAB_KERNEL, ERR_VM_BOOT, ERR_VM_ABORTED
 */
export async function startVm(options: VmOptions): Promise<Vm> {
  if (options.signal?.aborted === true)
    throw new VmError('ERR_VM_ABORTED', 'the VM was not started: aborted');
  const kernel = findLabKernel();
  const progress = options.onProgress ?? (() => undefined);
  const accelerator = await chooseAccelerator(kernel, progress);
  const session = new VmSession(kernel, accelerator, options);
  try {
    await session.ready();
  } catch (error) {
    await session.stop();
    throw error;
  }
  progress(
    `VM with Linux ${kernel.release} is up after ${(session.bootMs / 1000).toFixed(1)} s (${accelerator})`,
  );
  return session;
}

interface Job {
  readonly settle: (status: number) => void;
  readonly fail: (error: VmError) => void;
  readonly tails: ReadonlyMap<string, FileTail>;
}

class VmSession implements Vm {
  readonly accelerator: Accelerator;
  readonly kernelRelease: string;
  readonly outDir = GUEST_OUT_DIR;
  readonly pid: number;
  bootMs = 0;
  private readonly channel: string;
  private readonly kernelLog: string;
  private readonly project = projectFolder();
  private readonly qemu: ChildProcess;
  private readonly watcher: FSWatcher;
  private readonly jobs = new Map<number, Job>();
  private readonly exited: Promise<void>;
  private readonly up: Promise<void>;
  private readonly startedAtMs = performance.now();
  private nextId = 1;
  private ended: VmError | undefined;
  private qemuWords = '';

  constructor(kernel: LabKernel, accelerator: Accelerator, options: VmOptions) {
    this.accelerator = accelerator;
    this.kernelRelease = kernel.release;
    mkdirSync(options.outDir, { recursive: true });
    this.kernelLog = join(options.outDir, 'guest-kernel.log');
    this.channel = scratchFolder();
    writeFileSync(
      join(this.channel, 'init'),
      guestInit({
        release: kernel.release,
        modulesFolder: kernel.modulesFolder,
        projectFolder: this.project,
        path: `${GUEST_PATH}:${judgesFolder()}:/run/lab/bin`,
      }),
    );
    writeFileSync(join(this.channel, GUEST_AGENT_FILE), GUEST_AGENT);
    const qemuArgs = qemuArguments({
      kernel,
      accelerator,
      initramfs: ensureInitramfs(kernel),
      memoryMiB: options.memoryMiB ?? 2048,
      processorFeatures: options.processorFeatures ?? [],
      kernelLog: this.kernelLog,
      shares: { channel: this.channel, out: options.outDir },
    });
    // With us dies QEMU, also by SIGKILL: PR_SET_PDEATHSIG survives the exec that setpriv does.
    this.qemu = spawn('setpriv', ['--pdeathsig', 'KILL', kernel.qemu, ...qemuArgs], { stdio: 'pipe' });
    this.pid = this.qemu.pid ?? 0;
    this.qemu.stdin?.on('error', () => undefined);
    this.qemu.stderr?.on('data', (chunk: Buffer) => {
      this.qemuWords = (this.qemuWords + chunk.toString()).slice(-4096);
    });
    this.exited = new Promise((resolve) => {
      this.qemu.once('error', (error) => {
        this.end(new VmError('ERR_VM_BOOT', `cannot start QEMU: ${error.message}`, { cause: error }));
        resolve();
      });
      this.qemu.once('close', (code, signal) => {
        const lastWords = this.lastWords();
        this.end(new VmError('ERR_VM_DIED', `the VM ended (${signal ?? `status ${code}`})${lastWords}`));
        resolve();
      });
    });
    this.up = new Promise((resolve) => this.listen(resolve));
    this.watcher = watch(this.channel, (_event, file) => this.onFile(file));
    const abort = (): void => {
      this.end(new VmError('ERR_VM_ABORTED', 'the VM was ended: aborted'));
    };
    options.signal?.addEventListener('abort', abort, { once: true });
    void this.exited.then(() => options.signal?.removeEventListener('abort', abort));
  }

  /** Resolves when the guest takes programs. */
  async ready(): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(() => {
        this.end(
          new VmError('ERR_VM_BOOT', `the VM was not up after ${BOOT_LIMIT_MS / 1000} s${this.lastWords()}`),
        );
        resolve();
      }, BOOT_LIMIT_MS);
    });
    await Promise.race([this.up, this.exited, late]);
    clearTimeout(timer);
    if (this.ended !== undefined) {
      const code = this.ended.code === 'ERR_VM_DIED' ? 'ERR_VM_BOOT' : this.ended.code;
      throw new VmError(code, this.ended.message, { cause: this.ended });
    }
    this.bootMs = performance.now() - this.startedAtMs;
  }

  async run(command: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    if (this.ended !== undefined) throw this.ended;
    const id = this.nextId++;
    const stdout = new FileTail(join(this.channel, `${id}.out`), options.onOutput);
    const stderr = new FileTail(join(this.channel, `${id}.err`), options.onOutput);
    const script = jobScript({ id, command, cwd: options.cwd ?? this.project, env: options.env ?? {} });
    writeFileSync(join(this.channel, `${id}.sh`), script);
    const timeoutMs = options.timeoutMs ?? RUN_LIMIT_MS;
    let late = false;
    let grace: NodeJS.Timeout | undefined;
    const timer = setTimeout(() => {
      late = true;
      this.send(`kill ${id}`);
      grace = setTimeout(
        () => this.end(new VmError('ERR_VM_TIMEOUT', `the VM no longer answers${this.lastWords()}`)),
        KILL_GRACE_MS,
      );
    }, timeoutMs);
    try {
      const status = await new Promise<number>((settle, fail) => {
        const tails = new Map([
          [`${id}.out`, stdout],
          [`${id}.err`, stderr],
        ]);
        this.jobs.set(id, { settle, fail, tails });
        this.send(`run ${id}`);
      });
      const result = { status, stdout: stdout.finish(), stderr: stderr.finish() };
      if (late) {
        throw new VmError(
          'ERR_VM_TIMEOUT',
          `${command.join(' ')}: not done after ${timeoutMs} ms\n${result.stderr}`,
        );
      }
      return result;
    } finally {
      clearTimeout(timer);
      clearTimeout(grace);
      this.jobs.delete(id);
      for (const ending of ['sh', 'pid', 'out', 'err'])
        rmSync(join(this.channel, `${id}.${ending}`), { force: true });
    }
  }

  /** Nothing to write back: the guest's writes to the output folder are the host's own. */
  async stop(): Promise<void> {
    this.end(new VmError('ERR_VM_ABORTED', 'the VM was stopped'));
    await this.exited;
    rmSync(this.channel, { recursive: true, force: true });
  }

  private end(reason: VmError): void {
    if (this.ended !== undefined) return;
    this.ended = reason;
    this.watcher?.close();
    this.qemu.kill('SIGKILL');
    for (const job of this.jobs.values()) job.fail(reason);
  }

  private send(line: string): void {
    this.qemu.stdin?.write(`${line}\n`);
  }

  private listen(onReady: () => void): void {
    if (this.qemu.stdout === null) return;
    createInterface({ input: this.qemu.stdout }).on('line', (line) => {
      const [verb, id, status] = line.trim().split(' ');
      if (verb === 'ready') onReady();
      if (verb === 'done') this.jobs.get(Number(id))?.settle(Number(status));
    });
  }

  private onFile(file: string | null): void {
    if (file === null) return;
    this.jobs.get(Number.parseInt(file, 10))?.tails.get(file)?.read();
  }

  private lastWords(): string {
    const log = existsSync(this.kernelLog) ? readFileSync(this.kernelLog, 'utf8') : '';
    const all = `${this.qemuWords}${log}`.trim().split('\n');
    const fault = all.findIndex((line) => KERNEL_FAULT.test(line));
    const lines =
      fault === -1 ? all.slice(-KERNEL_LOG_TAIL_LINES) : all.slice(fault, fault + KERNEL_FAULT_LINES);
    return lines.join('') === '' ? '' : `, last words:\n${lines.join('\n')}`;
  }
}
