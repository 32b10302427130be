/** A listening unix socket that only root can reach, and that comes back when somebody removes it from its directory. */
import { rmSync } from 'node:fs';
import { lstat } from 'node:fs/promises';
import type { Server } from 'node:net';
import { Looks } from '../../runtime/looks.js';
import type { Clock } from '../../runtime/ports.js';
import { messageOf } from '../../util/error-message.js';

/** sun_path of unix(7) less the terminating zero. Node cuts a longer path short and listens elsewhere. */
const MAX_SOCKET_PATH_BYTES = 107;

/** The socket's path is too long for the kernel. */
export class SocketPathError extends Error {
  readonly code = 'ERR_SOCKET_PATH';
}

/** @throws SocketPathError */
export function checkSocketPath(path: string): void {
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return;
  throw new SocketPathError(
    `the path of a unix socket has at most ${MAX_SOCKET_PATH_BYTES} bytes, choose a shorter runtime directory`,
  );
}

/** How a socket is kept where it is. */
export interface Keeping {
  readonly clock: Clock;
  /** It was gone, or cannot be made again: told once. */
  readonly onTrouble: (words: string) => void;
  /** What has to be there before it can be made again. */
  readonly prepare?: () => void;
}

export class StandingSocket {
  readonly #server: Server;
  readonly #path: string;
  readonly #keeping: Keeping;
  readonly #looks: Looks;
  #isOpen = false;
  #isRefused = false;

  constructor(server: Server, path: string, keeping: Keeping) {
    this.#server = server;
    this.#path = path;
    this.#keeping = keeping;
    this.#looks = new Looks(keeping.clock, () => this.#look());
  }

  /** In place of what lies there. Rejects with SocketPathError, or as bind(2) does. */
  async open(): Promise<void> {
    checkSocketPath(this.#path);
    await this.#listen();
    this.#isOpen = true;
    this.#looks.start();
  }

  /** Takes the path away; the server is the caller's to close. */
  close(): void {
    this.#isOpen = false;
    this.#looks.stop();
    rmSync(this.#path, { force: true });
  }

  /** What another process put there is left alone where it is a socket: it has the directory then. */
  async #look(): Promise<void> {
    const isThere = await lstat(this.#path).then(
      (found) => found.isSocket(),
      (error: unknown) => !(error instanceof Error && 'code' in error && error.code === 'ENOENT'),
    );
    if (isThere || !this.#isOpen) return;
    const { onTrouble, prepare } = this.#keeping;
    try {
      prepare?.();
      // Who is connected stays so.
      this.#server.close();
      await this.#listen();
      onTrouble(`somebody removed ${this.#path}: made again`);
      this.#isRefused = false;
    } catch (error) {
      if (!this.#isRefused)
        onTrouble(
          `somebody removed ${this.#path}, and it cannot be made again: ${messageOf(error)} (a restart does it)`,
        );
      this.#isRefused = true;
    }
  }

  #listen(): Promise<void> {
    const server = this.#server;
    rmSync(this.#path, { force: true });
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      // The socket is made inside the call, and must be root's alone from its first moment.
      const umask = process.umask(0o177);
      try {
        server.listen(this.#path, () => {
          server.off('error', reject);
          resolve();
        });
        server.unref();
      } finally {
        process.umask(umask);
      }
    });
  }
}
