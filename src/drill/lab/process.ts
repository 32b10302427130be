/** Child processes that cannot outlive the drill, started without a shell. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { DrillError } from '../errors.js';

/** Output of a failed program that is quoted in the error. */
const MAX_QUOTED_ERROR = 600;
/** How long an orderly `stop` waits before it kills: a director that was succeeded takes 3 s for its connections alone. */
const STOP_GRACE_MS = 20_000;

export interface Exit {
  readonly status: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface ChildOptions {
  readonly onLine?: (line: string) => void;
  readonly onErrorLine?: (line: string) => void;
  /** File descriptor that takes the output instead of `onLine`. */
  readonly outputFd?: number;
  readonly environment?: NodeJS.ProcessEnv;
}

export interface Child {
  readonly pid: number;
  /** Resolves when it is gone; never rejects. */
  readonly exited: Promise<Exit>;
  readonly running: boolean;
  write(text: string): void;
  kill(signal: NodeJS.Signals): void;
}

/**
 * PR_SET_PDEATHSIG: the kernel kills the child when the drill's process ends, however it ends. The signal is
 * kept through exec, so it holds for the program that `nsenter` becomes.
 */
const DIE_WITH_PARENT = ['setpriv', '--pdeathsig', 'KILL'];

/**
 * What the command of the client begins with. It has a host of its own outside of a lab, where a director that starts does not
 * wait for the processors of its clients.
 */
export const LAST_IN_LINE: readonly string[] = ['nice', '-n', '15'];

/** Argument vector that runs `command` in the network namespace of a process. */
export function inNamespace(pid: number, command: readonly string[]): string[] {
  return ['nsenter', `--net=/proc/${pid}/ns/net`, '--', ...command];
}

/** `exit` does not wait for pipes that a daemon's own children may still hold; `close` has all the output. */
function watch(child: ChildProcess, event: 'exit' | 'close'): Promise<Exit> {
  return new Promise((resolve) => {
    child.once('error', () => resolve({ status: 127, signal: null }));
    child.once(event, (status, signal) => resolve({ status, signal }));
    // A program that ended is reported by its exit, not by the pipe it no longer reads.
    child.stdin?.on('error', () => {});
  });
}

/**
 * Starts a program. Throws DrillError when it cannot be started at all.
 * It has a session of its own, so that Ctrl-C reaches the drill alone, which then ends it in order.
 */
export function startChild(command: readonly string[], options: ChildOptions = {}): Child {
  const [program = '', ...args] = [...DIE_WITH_PARENT, ...command];
  const child = spawn(program, args, {
    stdio: ['pipe', options.outputFd ?? 'pipe', 'pipe'],
    detached: true,
    ...(options.environment === undefined ? {} : { env: options.environment }),
  });
  const exited = watch(child, 'exit');
  let running = true;
  void exited.then(() => {
    running = false;
  });
  if (child.pid === undefined) {
    throw new DrillError('ERR_DRILL_PROCESS', `cannot start '${program}' (util-linux is needed)`);
  }
  if (child.stdout !== null) {
    createInterface({ input: child.stdout }).on('line', (line) => options.onLine?.(line));
  }
  if (child.stderr !== null) {
    createInterface({ input: child.stderr }).on('line', (line) => options.onErrorLine?.(line));
  }
  return {
    pid: child.pid,
    exited,
    get running() {
      return running;
    },
    write(text) {
      child.stdin?.write(text);
    },
    kill(signal) {
      if (running) {
        child.kill(signal);
      }
    },
  };
}

/** Asks a child to end with `signal` and kills it when it does not in time. */
export async function stopChild(child: Child, signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit> {
  child.kill(signal);
  const timer = setTimeout(() => child.kill('SIGKILL'), STOP_GRACE_MS);
  const exit = await child.exited;
  clearTimeout(timer);
  return exit;
}

/** Runs a program to its end and returns its output. Rejects with DrillError and the program's own words. */
export async function runChild(command: readonly string[], input = ''): Promise<string> {
  const output: string[] = [];
  const errors: string[] = [];
  const [program = '', ...args] = [...DIE_WITH_PARENT, ...command];
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], detached: true });
  child.stdout.setEncoding('utf8').on('data', (text: string) => output.push(text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => errors.push(text));
  const exited = watch(child, 'close');
  child.stdin.end(input);
  const { status, signal } = await exited;
  if (status !== 0) {
    const words = errors.join('').trim().slice(0, MAX_QUOTED_ERROR);
    const how = signal === null ? `status ${status}` : signal;
    throw new DrillError('ERR_DRILL_PROCESS', `'${command.join(' ')}' ended with ${how}: ${words}`);
  }
  return output.join('');
}
