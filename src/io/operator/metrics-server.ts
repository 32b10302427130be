/** `GET /metrics` over HTTP, on a loopback address or on a unix socket that only root can reach. */

import { existsSync, lstatSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import type { MetricsListen } from '../../config/model.js';
import { messageOf } from '../../util/error-message.js';
import { type Keeping, StandingSocket } from './standing-socket.js';

/** Clients at a time; a further one is turned away. */
const MAX_CLIENTS = 16;
/** Of a client that neither asks nor reads. */
const IDLE_MS = 10_000;

/** The place is somebody else's. */
export class MetricsSocketError extends Error {
  override readonly name = 'MetricsSocketError';
  readonly code = 'ERR_METRICS_SOCKET';
}

export interface MetricsText {
  readonly contentType: string;
  readonly parts: readonly Uint8Array[];
}

/**
 * Serves until what it returns is called, which takes the unix socket away. Rejects when the place cannot be had:
 * with the system's words, or MetricsSocketError. A scrape that rejects is answered with 503.
 */
export async function serveMetrics(
  listen: MetricsListen,
  scrape: () => Promise<MetricsText>,
  keeping: Keeping,
): Promise<() => Promise<void>> {
  const server = createServer((request, response) => void answer(request, response, scrape));
  server.maxConnections = MAX_CLIENTS;
  server.headersTimeout = IDLE_MS;
  server.setTimeout(IDLE_MS);
  let socket: StandingSocket | undefined;
  try {
    if ('path' in listen) {
      await removeStale(listen.path);
      socket = new StandingSocket(server, listen.path, keeping);
      await socket.open();
    } else await listenAtPort(server, listen.address, listen.port);
  } catch (error) {
    server.close();
    throw error;
  }
  // What befalls it later is one client's affair.
  server.on('error', () => {});
  server.unref();
  return () =>
    new Promise((resolve) => {
      socket?.close();
      server.close(() => resolve());
      server.closeAllConnections();
    });
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  scrape: () => Promise<MetricsText>,
): Promise<void> {
  const refuse = (status: number, words: string): void => {
    response.statusCode = status;
    response.setHeader('content-type', 'text/plain; charset=utf-8');
    response.setHeader('connection', 'close');
    response.end(`${words}\n`);
  };
  const [path] = (request.url ?? '').split('?');
  if (path !== '/metrics') return refuse(404, 'metrics are at /metrics');
  if (request.method !== 'GET' && request.method !== 'HEAD') return refuse(405, 'only GET is known here');
  request.resume();
  try {
    const { contentType, parts } = await scrape();
    response.setHeader('content-type', contentType);
    response.setHeader(
      'content-length',
      parts.reduce((sum, part) => sum + part.length, 0),
    );
    if (request.method === 'GET') for (const part of parts) response.write(part);
    response.end();
  } catch (error) {
    refuse(503, messageOf(error));
  }
}

function listenAtPort(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host, port, exclusive: true }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}

/** A process that was killed leaves its socket; what is no socket, or has a listener, is not ours to remove. */
async function removeStale(path: string): Promise<void> {
  // libuv calls a missing folder a lack of permission.
  if (!existsSync(dirname(path))) throw new MetricsSocketError(`there is no folder ${dirname(path)}`);
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new MetricsSocketError(`${path} is there, and is no socket`);
  if (await hasListener(path)) throw new MetricsSocketError(`somebody listens at ${path}`);
  rmSync(path, { force: true });
}

function hasListener(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    const settle = (isHeard: boolean): void => {
      socket.destroy();
      resolve(isHeard);
    };
    socket.once('connect', () => settle(true));
    socket.once('error', (error: NodeJS.ErrnoException) => settle(error.code !== 'ECONNREFUSED'));
  });
}
