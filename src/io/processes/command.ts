/**
 * Runs scripts and hooks: no shell, own user, own process group, a time limit that its descendants cannot outlive. Each is
 * the child of a runner (native/runner.c), which ends it when this process is gone, and reports its end as its own.
 */

import { type ChildProcess, spawn } from 'node:child_process';
import { Socket } from 'node:net';
import { isAbsolute } from 'node:path';
import { getSystemErrorName } from 'node:util';
import type { CommandOutcome, CommandRequest, Commands } from '../../runtime/services/services-ports.js';
import { messageOf } from '../../util/error-message.js';
import { BoundedLooks } from '../host/bounded-looks.js';
import { monotonicClock } from '../host/clock.js';
import { untrustedPart } from '../host/trusted-path.js';
import { findUser, UNPRIVILEGED_USER, type User } from '../host/users.js';
import { type HeldExecutable, holdExecutable } from './program-on-disk.js';
import { StartGate } from './start-gate.js';

/** Commands under way at one time; a further one is refused. */
export const MAX_COMMANDS = 32;
/** What is kept of a command's output; the rest is read and thrown away. */
export const MAX_OUTPUT_BYTES = 4096;
/** From SIGTERM to SIGKILL. */
export const KILL_GRACE_MS = 500;
/** From SIGKILL until the command is given up: a process in an uninterruptible sleep does not end. */
const GIVE_UP_MS = 1000;
/** For output that is still in the pipes when the command has ended. */
const OUTPUT_GRACE_MS = 100;

/** Looks at a command's file and its user, which may lie on a file system that hangs: of libuv's threads, and for how long. */
const MAX_FILE_CHECKS = 4;
const FILE_CHECK_MS = 2000;

const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What the runner is asked for: SIGTERM for the process group, SIGKILL for all that there is. */
type Wish = 'T' | 'K';

interface Running {
  readonly child: ChildProcess;
  readonly key: string;
  ended: boolean;
}

type Ending = 'timed-out' | 'cancelled';

class HostCommands implements Commands {
  readonly #running = new Set<Running>();
  readonly #gate = new StartGate(monotonicClock);
  readonly #checks = new BoundedLooks<User | undefined | string>(MAX_FILE_CHECKS, FILE_CHECK_MS);
  /** Requests that are being checked or wait for their turn, and those that run. */
  #count = 0;
  #closed = false;
  readonly #stops = new Set<AbortController>();
  readonly #underWay = new Set<Promise<CommandOutcome>>();
  #runner = heldRunner();

  async run(request: CommandRequest, cancel?: AbortSignal): Promise<CommandOutcome> {
    if (this.#count >= MAX_COMMANDS) {
      return { type: 'refused', reason: `${MAX_COMMANDS} commands run already` };
    }
    this.#count += 1;
    const outcome = this.#run(request, cancel);
    this.#underWay.add(outcome);
    try {
      return await outcome;
    } finally {
      this.#count -= 1;
      this.#underWay.delete(outcome);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const stop of this.#stops) stop.abort();
    await Promise.all(this.#underWay);
  }

  async #run(request: CommandRequest, cancel: AbortSignal | undefined): Promise<CommandOutcome> {
    const stop = new AbortController();
    const onCancel = (): void => stop.abort();
    // Taken off again below: the caller's signal may live as long as this process.
    cancel?.addEventListener('abort', onCancel);
    if (this.#closed || cancel?.aborted === true) stop.abort();
    this.#stops.add(stop);
    try {
      const key = JSON.stringify([request.command[0], request.user]);
      const checked = await this.#checks.look(key, () => checkedUser(request));
      if (checked.type === 'late') return { type: 'refused', reason: `its file: ${checked.reason}` };
      const user = checked.value;
      if (typeof user === 'string') return { type: 'refused', reason: user };
      if (stop.signal.aborted) return { type: 'cancelled' };
      return await this.#gate.pass(() => this.#start(request, user, stop.signal));
    } catch (error) {
      return { type: 'refused', reason: messageOf(error) };
    } finally {
      cancel?.removeEventListener('abort', onCancel);
      this.#stops.delete(stop);
    }
  }

  #start(
    request: CommandRequest,
    user: User | undefined,
    signal: AbortSignal,
  ): CommandOutcome | Promise<CommandOutcome> {
    // It may have waited for its turn.
    if (signal.aborted) return { type: 'cancelled' };
    const key = JSON.stringify([request.command, request.user]);
    if ([...this.#running].some((other) => other.key === key && other.ended)) {
      return { type: 'refused', reason: 'its last run could not be killed and is still there' };
    }
    this.#runner ??= holdExecutable('runner');
    const { file, name } = this.#runner;
    const child = spawn(file, [...userArguments(user), ...request.command], {
      argv0: name,
      cwd: '/',
      env: { PATH, ...request.environment },
      // setsid(2): a Ctrl-C in the terminal is not for it.
      detached: true,
      stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
    });
    return new Promise((resolve) => {
      child.once('error', ({ message }) => resolve({ type: 'refused', reason: message }));
      if (child.pid === undefined) return;
      const running: Running = { child, key, ended: false };
      this.#running.add(running);
      void supervise(running, request, signal).then(resolve);
      child.once('exit', () => this.#running.delete(running));
    });
  }
}

/** Who needs it is told why there is none. */
function heldRunner(): HeldExecutable | undefined {
  try {
    return holdExecutable('runner');
  } catch {
    return undefined;
  }
}

function userArguments(user: User | undefined): [uid: string, gid: string] {
  return user === undefined ? ['-', '-'] : [String(user.uid), String(user.gid)];
}

/** Waits for the command, and ends it when its time is over. */
function supervise(running: Running, request: CommandRequest, signal: AbortSignal): Promise<CommandOutcome> {
  const { child } = running;
  const output = collectOutput(child);
  const lifeline = lifelineOf(child);
  let ending: Ending | undefined;
  let timer: NodeJS.Timeout | undefined;
  return new Promise((resolve) => {
    const end = (why: Ending): void => {
      if (ending !== undefined || running.ended) return;
      ending = why;
      clearTimeout(timer);
      lifeline.wish('T');
      timer = setTimeout(() => {
        lifeline.wish('K');
        timer = setTimeout(() => finish(null, null), GIVE_UP_MS);
      }, KILL_GRACE_MS);
    };
    const onAbort = (): void => end('cancelled');
    const finish = (status: number | null, killedBy: NodeJS.Signals | null): void => {
      if (running.ended) return;
      running.ended = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      void output.end().then((text) => {
        const error = lifeline.error();
        if (error === undefined) resolve(outcomeOf(ending, status, killedBy, text));
        else resolve({ type: 'refused', reason: refusal(error, request) });
      });
    };
    timer = setTimeout(() => end('timed-out'), request.timeoutMs);
    signal.addEventListener('abort', onAbort);
    child.once('exit', finish);
  });
}

interface Lifeline {
  wish(what: Wish): void;
  /** Why the command was not executed: the name of an errno. */
  error(): string | undefined;
}

function lifelineOf(child: ChildProcess): Lifeline {
  const stream = child.stdio[3];
  let heard = '';
  stream?.on('error', () => {});
  stream?.on('data', (chunk: Buffer) => {
    heard += chunk.toString('latin1');
  });
  return {
    wish: (what) => {
      if (stream instanceof Socket && stream.writable) stream.write(what);
    },
    error: () => (heard === '' ? undefined : getSystemErrorName(-Number(heard))),
  };
}

function outcomeOf(
  ending: Ending | undefined,
  status: number | null,
  killedBy: NodeJS.Signals | null,
  output: string,
): CommandOutcome {
  if (ending === 'cancelled') return { type: 'cancelled' };
  if (ending === 'timed-out') return { type: 'timed-out', output };
  if (killedBy !== null) return { type: 'killed', signal: killedBy, output };
  return { type: 'exited', status: status ?? -1, output };
}

/** Reads everything, so that the command never stands still before a full pipe, and keeps the beginning. */
function collectOutput(child: ChildProcess): { end(): Promise<string> } {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const take = (chunk: Buffer): void => {
    const kept = chunk.subarray(0, MAX_OUTPUT_BYTES - bytes);
    bytes += kept.length;
    if (kept.length > 0) chunks.push(kept);
  };
  const closed = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', take);
    stream?.on('error', () => {});
  }
  return {
    async end() {
      // A descendant in a session of its own may hold the pipes open, and who cannot be killed never closes them.
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, OUTPUT_GRACE_MS);
      });
      await Promise.race([closed, late]);
      clearTimeout(timer);
      child.stdout?.destroy();
      child.stderr?.destroy();
      return Buffer.concat(chunks).toString('utf8').trimEnd();
    },
  };
}

/** The user to change to (undefined: it is ours already), or why the command may not run. */
async function checkedUser(request: CommandRequest): Promise<User | undefined | string> {
  const [file = ''] = request.command;
  if (!isAbsolute(file)) return `'${file}' is no absolute path`;
  const name = request.user ?? UNPRIVILEGED_USER;
  const user = await findUser(name);
  if (user === undefined) return `there is no user '${name}' in /etc/passwd`;
  if (user.uid === 0) {
    const unsafe = await untrustedPart(file);
    if (unsafe !== undefined) return `${file} may not run as root: ${unsafe}`;
  }
  const own = process.getuid?.();
  if (own === 0) return user;
  return own === user.uid ? undefined : `it is to run as ${name}, and only root can change the user`;
}

function refusal(code: string, request: CommandRequest): string {
  const file = request.command[0] ?? '';
  if (code === 'ENOENT') return `${file} does not exist, or its interpreter does not`;
  if (code === 'EACCES') return `user '${request.user ?? UNPRIVILEGED_USER}' may not execute ${file}`;
  return `${file} cannot be run: ${code}`;
}

/** They end with this process, whatever ends it. */
export function openCommands(): Commands {
  return new HostCommands();
}
