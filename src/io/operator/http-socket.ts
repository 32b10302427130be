/** HTTP with JSON on a unix socket that only root can reach. */

import { rmSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { messageOf } from '../../util/error-message.js';

/** Requests under way at a time; a further client is turned away. */
const MAX_CLIENTS = 32;
/** Of a request; no order is longer than the names of all instances. */
const MAX_BODY_BYTES = 65_536;

/** sun_path of unix(7) less the terminating zero. Node cuts a longer path short and listens elsewhere. */
const MAX_SOCKET_PATH_BYTES = 107;

/** What a client asked for cannot be done; the message is its answer. */
export class ControlRequestError extends Error {
  readonly code = 'ERR_CONTROL_REQUEST';
}

/** Nothing can be told yet. */
export class NotReadyError extends Error {
  readonly code = 'ERR_NOT_READY';
}

/** The socket's path is too long for the kernel. */
export class SocketPathError extends Error {
  readonly code = 'ERR_SOCKET_PATH';
}

/**
 * Answers to `GET` and `POST` by path. A POST gets its body, parsed. A Buffer is
 * JSON already; what throws a ControlRequestError is answered with 400.
 */
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

function statusOf(error: unknown): number {
  if (error instanceof NotReadyError) return 503;
  return error instanceof ControlRequestError ? 400 : 500;
}

async function serve(answers: ControlAnswers, request: IncomingMessage, response: ServerResponse) {
  const send = (status: number, body: unknown): void => {
    response.statusCode = status;
    response.setHeader('content-type', 'application/json');
    if (!request.complete) response.setHeader('connection', 'close');
    response.end(body instanceof Buffer ? body : `${JSON.stringify(body)}\n`);
  };
  const answer = answerTo(answers, request);
  if (answer === undefined) return send(404, { error: 'not found' });
  try {
    send(200, await answer(await bodyOf(request)));
  } catch (error) {
    const message = messageOf(error);
    send(statusOf(error), { error: message });
  }
}

/** Listens at `path`, for root alone. */
export function listenAtPath(server: Server, path: string): Promise<void> {
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

/** @throws SocketPathError */
export function checkSocketPath(path: string): void {
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH_BYTES) return;
  throw new SocketPathError(
    `the path of a unix socket has at most ${MAX_SOCKET_PATH_BYTES} bytes, choose a shorter runtime directory`,
  );
}

/** Serves `answers` at `path`, in place of what lies there. Returns what ends it; the process may end without. */
export async function serveHttp(path: string, answers: ControlAnswers): Promise<() => Promise<void>> {
  const server = createServer((request, response) => void serve(answers, request, response));
  server.maxConnections = MAX_CLIENTS;
  try {
    checkSocketPath(path);
    rmSync(path, { force: true });
    await listenAtPath(server, path);
  } catch (error) {
    server.close();
    throw error;
  }
  server.unref();
  let closed: Promise<void> | undefined;
  return () => {
    closed ??= new Promise((resolve) => {
      server.close(() => {
        rmSync(path, { force: true });
        resolve();
      });
      server.closeAllConnections();
    });
    return closed;
  };
}
