/** The daemon's unix socket: HTTP that only root can reach. */
import { closeSync, mkdirSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { connect } from 'node:net';
import { join } from 'node:path';
import { native } from './native.js';

/** Requests under way at a time; a further client is turned away. */
const MAX_CLIENTS = 32;
/** Of a request; no order is longer than the names of all instances. */
const MAX_BODY_BYTES = 65_536;

/** sun_path of unix(7) less the terminating zero. Node cuts a longer path short and listens elsewhere. */
const MAX_SOCKET_PATH_BYTES = 107;

export class ControlSocketError extends Error {
  readonly code = 'ERR_CONTROL_SOCKET';
}

/** What a client asked for cannot be done; the message is its answer. */
export class ControlRequestError extends Error {
  readonly code = 'ERR_CONTROL_REQUEST';
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
    const words = cause instanceof Error ? cause.message : String(cause);
    if (cause instanceof Error && 'code' in cause && cause.code === 'EAGAIN') {
      const path = controlSocketPath(runtimeDirectory);
      throw new ControlSocketError(`a director runs already: it answers on ${path}`, { cause });
    }
    throw new ControlSocketError(`cannot lock ${runtimeDirectory}: ${words}`, { cause });
  }
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

/** Answers to `GET` and `POST` by path. A POST gets its body, parsed; what throws a ControlRequestError is answered with 400. */
export interface ControlAnswers {
  readonly get: Readonly<Record<string, () => unknown>>;
  readonly post?: Readonly<Record<string, (body: unknown) => unknown>>;
}

function answerTo(
  answers: ControlAnswers,
  request: IncomingMessage,
): ((body: unknown) => unknown) | undefined {
  const path = request.url ?? '';
  const { get, post = {} } = answers;
  if (request.method === 'GET' && Object.hasOwn(get, path)) return get[path];
  if (request.method === 'POST' && Object.hasOwn(post, path)) return post[path];
  return undefined;
}

/** The parsed body, undefined for none. */
async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    if (!(chunk instanceof Buffer)) continue;
    length += chunk.length;
    if (length > MAX_BODY_BYTES) throw new ControlRequestError(`more than ${MAX_BODY_BYTES} bytes`);
    chunks.push(chunk);
  }
  if (length === 0) return undefined;
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (cause) {
    throw new ControlRequestError('the request is no JSON', { cause });
  }
}

async function serve(answers: ControlAnswers, request: IncomingMessage, response: ServerResponse) {
  const send = (status: number, body: unknown): void => {
    response.statusCode = status;
    response.setHeader('content-type', 'application/json');
    if (!request.complete) response.setHeader('connection', 'close');
    response.end(`${JSON.stringify(body)}\n`);
  };
  const answer = answerTo(answers, request);
  if (answer === undefined) return send(404, { error: 'not found' });
  try {
    send(200, await answer(await bodyOf(request)));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    send(error instanceof ControlRequestError ? 400 : 500, { error: message });
  }
}

/**
 * Serves `answers`. The directory is made for root alone (0700), the socket likewise (0600).
 * @throws ControlSocketError when a daemon has the directory already or the place cannot be used.
 */
export async function openControlServer(
  runtimeDirectory: string,
  answers: ControlAnswers,
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
  const held = lock(runtimeDirectory);
  const server = createServer((request, response) => void serve(answers, request, response));
  server.maxConnections = MAX_CLIENTS;
  try {
    // Somebody without the lock, such as another release.
    if (await isAlive(path)) {
      throw new ControlSocketError(`a director runs already: it answers on ${path}`);
    }
    rmSync(path, { force: true });
    await listen(server, path);
  } catch (cause) {
    server.close();
    closeSync(held);
    if (cause instanceof ControlSocketError) throw cause;
    throw new ControlSocketError(`cannot listen on ${path}: ${cause instanceof Error ? cause.message : ''}`, {
      cause,
    });
  }
  server.unref();
  let closed: Promise<void> | undefined;
  return {
    close: () => {
      closed ??= new Promise((resolve) => {
        server.close(() => {
          rmSync(path, { force: true });
          closeSync(held);
          resolve();
        });
        server.closeAllConnections();
      });
      return closed;
    },
  };
}
