/** The stream of events on a unix socket: a line of JSON for each, to whoever of root's programs listens. */

import { mkdirSync, rmSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { EventStream, StreamEvent } from '../../runtime/ports.js';
import { messageOf } from '../../util/error-message.js';

/** Listeners at one time; a further one is told so and turned away. */
export const MAX_EVENT_CLIENTS = 16;
/** Of events that a listener has not read yet; beyond it the listener is cut off. */
export const MAX_UNREAD_BYTES = 262_144;
/** For the last line of one that is cut off, and of all when the stream ends. */
const LAST_LINE_MS = 1000;
/** sun_path of unix(7) less the terminating zero. */
const MAX_SOCKET_PATH_BYTES = 107;

export class EventSocketError extends Error {
  readonly code = 'ERR_EVENT_SOCKET';
}

export interface EventSocketOptions {
  /** What a new listener is told first. */
  snapshot(): StreamEvent;
  /** A listener was cut off or turned away, or the socket failed. */
  onTrouble?(words: string): void;
  /** Milliseconds since 1970, for the `time` of each line. */
  nowEpochMs(): number;
}

export function eventSocketPath(runtimeDirectory: string): string {
  return join(runtimeDirectory, 'events.sock');
}

class UnixEventSocket implements EventStream {
  readonly #path: string;
  readonly #options: EventSocketOptions;
  readonly #server: Server;
  readonly #listeners = new Set<Socket>();

  constructor(path: string, options: EventSocketOptions) {
    this.#path = path;
    this.#options = options;
    this.#server = createServer((socket) => this.#accept(socket));
    // Those who leave count too: a listener that connects again and again does not pile up sockets.
    this.#server.maxConnections = 2 * MAX_EVENT_CLIENTS;
  }

  listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      const server = this.#server;
      server.once('error', reject);
      // The socket is made inside the call, and must be root's alone from its first moment.
      const umask = process.umask(0o177);
      try {
        server.listen(this.#path, () => {
          server.off('error', reject);
          server.on('error', (error) => this.#options.onTrouble?.(error.message));
          server.unref();
          resolve();
        });
      } finally {
        process.umask(umask);
      }
    });
  }

  publish(event: StreamEvent): void {
    if (this.#listeners.size === 0) return;
    const line = this.#line(event);
    for (const socket of this.#listeners) {
      if (socket.writableLength + line.length <= MAX_UNREAD_BYTES) {
        socket.write(line);
        continue;
      }
      this.#options.onTrouble?.('a listener to the events did not read and was cut off');
      this.#leave(socket, { event: 'cut-off', reason: `more than ${MAX_UNREAD_BYTES} bytes were not read` });
    }
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const socket of this.#listeners)
      this.#leave(socket, { event: 'end', reason: 'the director leaves' });
    await closed;
    rmSync(this.#path, { force: true });
  }

  #line(event: StreamEvent): Buffer {
    const { event: name, ...fields } = event;
    const time = new Date(this.#options.nowEpochMs()).toISOString();
    return Buffer.from(`${JSON.stringify({ event: name, time, ...fields })}\n`);
  }

  #accept(socket: Socket): void {
    // EPIPE and ECONNRESET: it went away, and `close` follows.
    socket.on('error', () => {});
    socket.once('close', () => this.#listeners.delete(socket));
    // Nothing is expected from it; the end of its stream is still noticed.
    socket.resume();
    socket.unref();
    if (this.#listeners.size >= MAX_EVENT_CLIENTS) {
      this.#options.onTrouble?.('too many listeners to the events: one was turned away');
      this.#leave(socket, { event: 'refused', reason: `${MAX_EVENT_CLIENTS} listen already` });
      return;
    }
    this.#listeners.add(socket);
    socket.write(this.#line(this.#options.snapshot()));
  }

  #leave(socket: Socket, last: StreamEvent): void {
    this.#listeners.delete(socket);
    socket.end(this.#line(last));
    const timer = setTimeout(() => socket.destroy(), LAST_LINE_MS);
    socket.once('close', () => clearTimeout(timer));
  }
}

/**
 * Listens on `events.sock` in the runtime directory (0700), for root alone (0600). A socket that an earlier process
 * left there is replaced: the control socket keeps a second daemon out.
 * @throws EventSocketError when the place cannot be used
 */
export async function openEventSocket(
  runtimeDirectory: string,
  options: EventSocketOptions,
): Promise<EventStream> {
  const path = eventSocketPath(runtimeDirectory);
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    throw new EventSocketError(
      `cannot listen on ${path}: the path of a unix socket has at most ${MAX_SOCKET_PATH_BYTES} bytes`,
    );
  }
  const events = new UnixEventSocket(path, options);
  try {
    mkdirSync(runtimeDirectory, { recursive: true, mode: 0o700 });
    rmSync(path, { force: true });
    await events.listen();
  } catch (cause) {
    const reason = messageOf(cause);
    throw new EventSocketError(`cannot listen on ${path}: ${reason}`, { cause });
  }
  return events;
}
