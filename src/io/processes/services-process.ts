/** Both ends of the channel between the VRRP process and the services process. */

import { type ChildProcess, fork } from 'node:child_process';
import type { ServicesProcess, StartServicesProcess } from '../../runtime/ports.js';
import type { FromServices, ToServices } from '../../runtime/services/services-messages.js';
import { messageOf } from '../../util/error-message.js';
import { rememberProgram } from './program-on-disk.js';

type Handlers = Parameters<StartServicesProcess>[0];

export interface ServicesCommand {
  /** The program's entry, `main.js`. */
  readonly main: string;
  /** The command's name and its options. */
  readonly argv: readonly string[];
}

/**
 * Of libuv. Looks at files and commands may hang for good and hold 12 (track-probes.ts, command.ts); the rest is for what
 * must go on.
 */
const THREADS = 16;

/**
 * Of the services process. Threads of V8 for collecting and compiling each bring caches of their own, and a young
 * generation that grew is not given back; nobody waits for this process by the millisecond.
 */
export const SMALL: readonly string[] = ['--single-threaded', '--v8-pool-size=0', '--max-semi-space-size=1'];

/** Names the end of a process as a person would. */
function endOf(code: number | null, signal: NodeJS.Signals | null): string {
  return signal ?? `exit status ${code}`;
}

class Process implements ServicesProcess {
  readonly #child: ChildProcess;
  #handlers: Handlers | undefined;
  #ended: string | undefined;
  backlog = 0;

  constructor({ main, argv }: ServicesCommand) {
    // A session of its own (setsid): a Ctrl-C in the terminal is the parent's affair. Structured clones, because JSON
    // loses what is undefined.
    this.#child = fork(main, [...argv], {
      detached: true,
      env: { ...process.env, UV_THREADPOOL_SIZE: String(THREADS) },
      execArgv: [...process.execArgv, ...SMALL],
      serialization: 'advanced',
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    });
    this.#child.once('error', (error) => this.#end(error.message));
    this.#child.once('exit', (code, signal) => this.#end(endOf(code, signal)));
    this.#child.on('message', (message) => {
      // Our own program is at the other end.
      this.#handlers?.onMessage(message as FromServices);
    });
    this.#child.unref();
    this.#child.channel?.unref();
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get ended(): boolean {
    return this.#ended !== undefined;
  }

  attach(handlers: Handlers): void {
    this.#handlers = handlers;
  }

  send(message: ToServices): void {
    if (!this.#child.connected) return;
    this.backlog += 1;
    // An error is the end of the process, which `exit` tells.
    this.#child.send(message, () => {
      this.backlog -= 1;
    });
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  #end(how: string): void {
    if (this.#ended !== undefined) return;
    this.#ended = how;
    this.#handlers?.onExit(how);
  }
}

export interface ServicesStarter {
  readonly start: StartServicesProcess;
  /** Kills one that was launched and never taken. */
  close(): void;
}

/** Stands for a process that the system refused to start. */
const NOT_STARTED: ServicesProcess = { pid: undefined, backlog: 0, send: () => {}, kill: () => {} };

/**
 * Launches the first process now: it loads its program while this one still reads and opens what it needs. A refusal of
 * the system is an end like any other: tried again by whoever keeps the process.
 */
export function launchServices(command: ServicesCommand): ServicesStarter {
  let launched: Process | undefined;
  const checkProgram = rememberProgram(command.main);
  try {
    launched = new Process(command);
  } catch {
    // `start` tries again, and tells.
  }
  return {
    start: (handlers) => {
      try {
        const first = launched;
        launched = undefined;
        if (first?.ended !== false) checkProgram();
        const ready = first?.ended === false ? first : new Process(command);
        ready.attach(handlers);
        return ready;
      } catch (error) {
        // Some refusals are an event of the child, others (ENOMEM) are thrown.
        handlers.onExit(messageOf(error));
        return NOT_STARTED;
      }
    },
    close: () => {
      launched?.kill();
      launched = undefined;
    },
  };
}

export interface ParentLink {
  send(message: FromServices): void;
  /** Ends this process when what was sent is on its way. */
  end(status: number): void;
}

/**
 * The services process's end. It ends at once when the parent is gone: the kernel keeps its table, and the next start
 * adopts it.
 */
export function openParentLink(onMessage: (message: ToServices) => void): ParentLink {
  if (process.send === undefined) throw new TypeError('no parent process: this command is for director run');
  process.on('disconnect', () => process.exit(0));
  process.on('message', (message) => {
    // Our own program is at the other end.
    onMessage(message as ToServices);
  });
  let sending = 0;
  let status: number | undefined;
  const endWhenDone = (): void => {
    if (status !== undefined && sending === 0) process.exit(status);
  };
  return {
    send: (message) => {
      sending += 1;
      process.send?.(message, () => {
        sending -= 1;
        endWhenDone();
      });
    },
    end: (exitStatus) => {
      status = exitStatus;
      endWhenDone();
    },
  };
}
