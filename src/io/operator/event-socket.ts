/** The stream of events on a unix socket: a line of JSON for each, to whoever of root's programs listens. */

import { mkdirSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { Clock, EventStream, StreamEvent } from '../../runtime/ports.js';
import { messageOf } from '../../util/error-message.js';
import { StandingSocket } from './standing-socket.js';

/** Listeners at one time; a further one is told so and turned away. */
export const MAX_EVENT_CLIENTS = 16;
/** Of events that a listener has not read yet; beyond it the listener is cut off. */
export const MAX_UNREAD_BYTES = 262_144;
/** For the last line of one that is cut off, and of all when the stream ends. */
const LAST_LINE_MS = 1000;

export class EventSocketError extends Error {
  readonly code = 'ERR_EVENT_SOCKET';
}

export interface EventSocketOptions {
  /** What a new listener is told first. */
  snapshot(): StreamEvent;
  readonly clock: Clock;
  /** A listener was cut off or turned away, or the socket failed. */
  onTrouble(words: string): void;
  /** Milliseconds since 1970, for the `time` of each line. */
  nowEpochMs(): number;
}

export function eventSocketPath(runtimeDirectory: string): string {
  return join(runtimeDirectory, 'events.sock');
}

class UnixEventSocket implements EventStream {
  readonly #options: EventSocketOptions;
  readonly #server: Server;
  readonly #socket: StandingSocket;
  readonly #listeners = new Set<Socket>();

  constructor(path: string, options: EventSocketOptions) {
    this.#options = options;
    this.#server = createServer((socket) => this.#accept(socket));
    // Those who leave count too: a listener that connects again and again does not pile up sockets.
    this.#server.maxConnections = 2 * MAX_EVENT_CLIENTS;
    this.#socket = new StandingSocket(this.#server, path, options);
  }

  async listen(): Promise<void> {
    await this.#socket.open();
    this.#server.on('error', (error) => this.#options.onTrouble(error.message));
  }

  publish(event: StreamEvent): void {
    if (this.#listeners.size === 0) return;
    const line = this.#line(event);
    for (const socket of this.#listeners) {
      if (socket.writableLength + line.length <= MAX_UNREAD_BYTES) {
        socket.write(line);
        continue;
      }
      this.#options.onTrouble('a listener to the events did not read and was cut off');
      this.#leave(socket, { event: 'cut-off', reason: `more than ${MAX_UNREAD_BYTES} bytes were not read` });
    }
  }

  async close(): Promise<void> {
    this.#socket.close();
    const closed = new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
    });
    for (const socket of this.#listeners)
      this.#leave(socket, { event: 'end', reason: 'the director leaves' });
    await closed;
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
      this.#options.onTrouble('too many listeners to the events: one was turned away');
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
  const events = new UnixEventSocket(path, options);
  try {
    mkdirSync(runtimeDirectory, { recursive: true, mode: 0o700 });
    await events.listen();
  } catch (cause) {
    const reason = messageOf(cause);
    throw new EventSocketError(`cannot listen on ${path}: ${reason}`, { cause });
  }
  return events;
}
