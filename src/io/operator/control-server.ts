/** The daemon's unix socket: HTTP that only root can reach. */

import { closeSync, fstatSync, mkdirSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { messageOf } from '../../util/error-message.js';
import { native } from '../sockets/native.js';
import { type ControlAnswers, serveHttp } from './http-socket.js';
import { checkSocketPath, type Keeping } from './standing-socket.js';

export class ControlSocketError extends Error {
  readonly code = 'ERR_CONTROL_SOCKET';
  /** A director has the runtime directory. */
  readonly running: boolean;
  constructor(message: string, { running = false, cause }: { running?: boolean; cause?: unknown } = {}) {
    super(message, { cause });
    this.running = running;
  }
}

export interface ControlServer {
  close(): Promise<void>;
}

export function controlSocketPath(runtimeDirectory: string): string {
  return join(runtimeDirectory, 'director.sock');
}

/** Whether a daemon answers there. */
function isAlive(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Of two daemons that start in the same instant one gets the directory; the kernel gives it free when that ends. */
function lock(runtimeDirectory: string): number {
  try {
    return native().lockDirectory(runtimeDirectory);
  } catch (cause) {
    const words = messageOf(cause);
    if (cause instanceof Error && 'code' in cause && cause.code === 'EAGAIN') {
      const path = controlSocketPath(runtimeDirectory);
      throw new ControlSocketError(`a director runs already: it answers on ${path}`, {
        running: true,
        cause,
      });
    }
    throw new ControlSocketError(`cannot lock ${runtimeDirectory}: ${words}`, { cause });
  }
}

/**
 * Keeps directors out as long as what is returned was not called, or this process lives.
 * @throws ControlSocketError when one has the directory.
 */
export function lockRuntimeDirectory(runtimeDirectory: string): () => void {
  const held = lock(runtimeDirectory);
  return () => closeSync(held);
}

/** Does one step of the opening; `what` says what failed. */
function attempt(what: string, step: () => void): void {
  try {
    step();
  } catch (cause) {
    throw new ControlSocketError(`${what}: ${cause instanceof Error ? cause.message : ''}`, { cause });
  }
}

function makeDirectory(runtimeDirectory: string): void {
  attempt(`cannot make ${runtimeDirectory}`, () =>
    mkdirSync(runtimeDirectory, { recursive: true, mode: 0o700 }),
  );
}

/** Whether what is locked is what has the name. */
function isAt(runtimeDirectory: string, held: number): boolean {
  const named = statSync(runtimeDirectory, { throwIfNoEntry: false });
  const locked = fstatSync(held);
  return named?.ino === locked.ino && named.dev === locked.dev;
}

/**
 * Serves `answers`. The directory is made for root alone (0700), the socket likewise (0600). Both are made again when
 * somebody removes them, unless another director has the directory by then.
 * @throws ControlSocketError when a daemon has the directory already or the place cannot be used.
 */
export async function openControlServer(
  runtimeDirectory: string,
  answers: ControlAnswers,
  keeping: Pick<Keeping, 'clock' | 'onTrouble'>,
): Promise<ControlServer> {
  const path = controlSocketPath(runtimeDirectory);
  attempt(`cannot listen on ${path}`, () => checkSocketPath(path));
  makeDirectory(runtimeDirectory);
  let held = lock(runtimeDirectory);
  const prepare = (): void => {
    if (isAt(runtimeDirectory, held)) return;
    makeDirectory(runtimeDirectory);
    const anew = lock(runtimeDirectory);
    closeSync(held);
    held = anew;
  };
  try {
    // Somebody without the lock, such as another release.
    if (await isAlive(path)) {
      throw new ControlSocketError(`a director runs already: it answers on ${path}`);
    }
    const close = await serveHttp(path, answers, { ...keeping, prepare });
    let closed: Promise<void> | undefined;
    return {
      close: () => {
        closed ??= close().then(() => closeSync(held));
        return closed;
      },
    };
  } catch (cause) {
    closeSync(held);
    if (cause instanceof ControlSocketError) throw cause;
    throw new ControlSocketError(`cannot listen on ${path}: ${messageOf(cause)}`, { cause });
  }
}
