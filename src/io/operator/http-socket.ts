/** HTTP with JSON on a unix socket that only root can reach. */

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { messageOf } from '../../util/error-message.js';
import { type Keeping, StandingSocket } from './standing-socket.js';

/** Requests under way at a time; a further client is turned away. */
const MAX_CLIENTS = 32;
/** Of a request; no order is longer than the names of all instances. */
const MAX_BODY_BYTES = 65_536;

/** What a client asked for cannot be done; the message is its answer. */
export class ControlRequestError extends Error {
  readonly code = 'ERR_CONTROL_REQUEST';
}

/** Nothing can be told yet. */
export class NotReadyError extends Error {
  readonly code = 'ERR_NOT_READY';
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

/** Serves `answers` at `path`, in place of what lies there. Returns what ends it; the process may end without. */
export async function serveHttp(
  path: string,
  answers: ControlAnswers,
  keeping: Keeping,
): Promise<() => Promise<void>> {
  const server = createServer((request, response) => void serve(answers, request, response));
  server.maxConnections = MAX_CLIENTS;
  const socket = new StandingSocket(server, path, keeping);
  try {
    await socket.open();
  } catch (error) {
    server.close();
    throw error;
  }
  let closed: Promise<void> | undefined;
  return () => {
    closed ??= new Promise((resolve) => {
      socket.close();
      server.close(() => resolve());
      server.closeAllConnections();
    });
    return closed;
  };
}
