/** The daemon's unix socket: HTTP that only root can reach. */
import { mkdirSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';

/** Reads of the status under way at a time; a further client is turned away. */
const MAX_CLIENTS = 32;

/** sun_path of unix(7) less the terminating zero. Node cuts a longer path short and listens elsewhere. */
const MAX_SOCKET_PATH_BYTES = 107;

export class ControlSocketError extends Error {
  readonly code = 'ERR_CONTROL_SOCKET';
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

function listen(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    // The socket is made inside the call, and must be root's alone from its first moment.
    const umask = process.umask(0o177);
    try {
      server.listen(path, () => {
        server.off('error', reject);
        resolve();
      });
    } finally {
      process.umask(umask);
    }
  });
}

/**
 * Serves `GET /status`. The directory is made for root alone (0700), the socket likewise (0600).
 * @throws ControlSocketError when a daemon answers there already or the place cannot be used.
 */
export async function openControlServer(
  runtimeDirectory: string,
  answers: Readonly<Record<string, () => unknown>>,
): Promise<ControlServer> {
  const path = controlSocketPath(runtimeDirectory);
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH_BYTES) {
    throw new ControlSocketError(
      `cannot listen on ${path}: the path of a unix socket has at most ${MAX_SOCKET_PATH_BYTES} bytes, choose a shorter runtime directory`,
    );
  }
  try {
    mkdirSync(runtimeDirectory, { recursive: true, mode: 0o700 });
  } catch (cause) {
    throw new ControlSocketError(
      `cannot make ${runtimeDirectory}: ${cause instanceof Error ? cause.message : ''}`,
      { cause },
    );
  }
  if (await isAlive(path)) {
    throw new ControlSocketError(`a director runs already: it answers on ${path}`);
  }
  rmSync(path, { force: true });
  const server = createServer((request, response) => {
    const path = request.url ?? '';
    const answer = request.method === 'GET' && Object.hasOwn(answers, path) ? answers[path] : undefined;
    const send = (status: number, body: unknown) => {
      response.statusCode = status;
      response.setHeader('content-type', 'application/json');
      response.end(`${JSON.stringify(body)}\n`);
    };
    if (answer === undefined) return send(404, { error: 'not found' });
    void Promise.resolve()
      .then(answer)
      .then((body) => send(200, body));
  });
  server.maxConnections = MAX_CLIENTS;
  try {
    await listen(server, path);
  } catch (cause) {
    server.close();
    throw new ControlSocketError(`cannot listen on ${path}: ${cause instanceof Error ? cause.message : ''}`, {
      cause,
    });
  }
  server.unref();
  return {
    close: () =>
      new Promise((resolve) => {
        server.close(() => {
          rmSync(path, { force: true });
          resolve();
        });
        server.closeAllConnections();
      }),
  };
}
