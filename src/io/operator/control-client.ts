/** Asks a running daemon over its unix socket. */
import { request } from 'node:http';
import type { VirtualServer } from '../../config/model-servers.js';
import type { Override, OverrideOrder } from '../../planning/overrides.js';
import { mergedStatus } from '../../runtime/merged-status.js';
import type { ServicesStatus } from '../../runtime/services/services-messages.js';
import type {
  DirectorStatus,
  ElectionStatus,
  MaintenanceAnswer,
  MaintenanceOrder,
} from '../../runtime/status.js';
import { readConfiguration } from '../host/configuration-files.js';
import { controlSocketPath } from './control-server.js';
import { servicesSocketPath } from './services-socket.js';

/** Without a byte from the director. */
const ANSWER_TIMEOUT_MS = 5000;
const SERVICES_TIMEOUT_MS = 1000;
/** Until the kernel's table is as the operator wants it, which waits for a reload that is under way. */
const ORDER_TIMEOUT_MS = 60_000;
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** No daemon answers: not started, no permission, or hung. */
export class NoDirectorError extends Error {
  readonly code = 'ERR_NO_DIRECTOR';
}

/** The daemon answered that it will not; the message is its own. */
export class RefusedError extends Error {
  readonly code = 'ERR_REFUSED';
}

function reasonOf(error: NodeJS.ErrnoException, path: string): string {
  if (error.code === 'EACCES') return `only root may ask the director: no access to ${path}`;
  if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') {
    return `no director runs here: nothing answers on ${path} (start it with 'systemctl start lvs-director' or 'director run')`;
  }
  return `the director on ${path} does not answer: ${error.message}`;
}

/** Status and text of the answer. */
function ask(
  socketPath: string,
  path: string,
  order: object | undefined,
  timeoutMs = ANSWER_TIMEOUT_MS,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) =>
      reject(new NoDirectorError(reasonOf(error, socketPath), { cause: error }));
    const method = order === undefined ? 'GET' : 'POST';
    // A connection of its own: one kept from before may lead to a daemon that has ended.
    const options = { socketPath, path, method, timeout: timeoutMs, agent: false };
    const asked = request(options, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
        if (text.length > MAX_ANSWER_BYTES) asked.destroy(new Error('the answer is too long'));
      });
      response.on('error', fail);
      response.on('end', () => {
        const { statusCode: status = 0 } = response;
        if (status === 200 || (status === 400 && order !== undefined)) return resolve({ status, text });
        if (status === 503) return fail(new Error('it is still starting'));
        fail(new Error(`HTTP status ${status}`));
      });
    });
    asked.on('timeout', () => asked.destroy(new Error(`nothing within ${timeoutMs} ms`)));
    asked.on('error', fail);
    asked.end(order === undefined ? undefined : JSON.stringify(order));
  });
}

/** What `JSON.parse` gives for the answer of our own program, at the other end. */
function parse(text: string, socketPath: string): ReturnType<typeof JSON.parse> {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const error = cause instanceof Error ? cause : new Error('no JSON');
    throw new NoDirectorError(reasonOf(error, socketPath), { cause });
  }
}

/**
 * Both processes are asked.
 * @throws NoDirectorError with a sentence that says why and what to do.
 */
export async function fetchStatus(runtimeDirectory: string): Promise<DirectorStatus> {
  const socketPath = controlSocketPath(runtimeDirectory);
  const [{ text }, services] = await Promise.all([
    ask(socketPath, '/status', undefined),
    servicesStatus(runtimeDirectory),
  ]);
  const election: ElectionStatus = parse(text, socketPath);
  return mergedStatus(election, services, services === undefined ? await configured(election) : []);
}

/** Undefined when the services process does not answer. */
async function servicesStatus(runtimeDirectory: string): Promise<ServicesStatus | undefined> {
  const socketPath = servicesSocketPath(runtimeDirectory);
  try {
    const { text } = await ask(socketPath, '/status', undefined, SERVICES_TIMEOUT_MS);
    return parse(text, socketPath);
  } catch {
    return undefined;
  }
}

/** None where the file cannot be read: a reload may have replaced it this moment. */
async function configured({ configuration }: ElectionStatus): Promise<readonly VirtualServer[]> {
  try {
    return (await readConfiguration(configuration.path)).virtualServers;
  } catch {
    return [];
  }
}

/**
 * Says something of a real server at run time.
 * @throws NoDirectorError, or RefusedError with the director's own words.
 */
export async function orderOverride(
  runtimeDirectory: string,
  order: OverrideOrder,
): Promise<{ readonly real_servers: readonly Override[] }> {
  return give(servicesSocketPath(runtimeDirectory), '/override', order, ORDER_TIMEOUT_MS);
}

/**
 * Turns maintenance on or off.
 * @throws NoDirectorError, or RefusedError with the director's own words.
 */
export async function orderMaintenance(
  runtimeDirectory: string,
  order: MaintenanceOrder,
): Promise<MaintenanceAnswer> {
  return give(controlSocketPath(runtimeDirectory), '/maintenance', order);
}

/** Gives an order; the answer, or RefusedError with the director's own words. */
async function give(
  socketPath: string,
  path: string,
  order: object,
  timeoutMs?: number,
): Promise<ReturnType<typeof JSON.parse>> {
  const { status, text } = await ask(socketPath, path, order, timeoutMs);
  const answer = parse(text, socketPath);
  if (status === 200) return answer;
  throw new RefusedError(String(answer?.error));
}
