/** Asks a running daemon over its unix socket. */
import { request } from 'node:http';
import type { DirectorStatus } from '../runtime/status.js';
import { controlSocketPath } from './control-server.js';

const ANSWER_TIMEOUT_MS = 5000;
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

/** No daemon answers: not started, no permission, or hung. */
export class NoDirectorError extends Error {
  readonly code = 'ERR_NO_DIRECTOR';
}

function reasonOf(error: NodeJS.ErrnoException, path: string): string {
  if (error.code === 'EACCES') return `only root may ask the director: no access to ${path}`;
  if (error.code === 'ENOENT' || error.code === 'ECONNREFUSED') {
    return `no director runs here: nothing answers on ${path} (start it with 'systemctl start lvs-director' or 'director run')`;
  }
  return `the director on ${path} does not answer: ${error.message}`;
}

/** @throws NoDirectorError with a sentence that says why and what to do. */
export function fetchStatus(runtimeDirectory: string): Promise<DirectorStatus> {
  const socketPath = controlSocketPath(runtimeDirectory);
  return new Promise((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) =>
      reject(new NoDirectorError(reasonOf(error, socketPath), { cause: error }));
    const asked = request({ socketPath, path: '/status', timeout: ANSWER_TIMEOUT_MS }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
        if (text.length > MAX_ANSWER_BYTES) asked.destroy(new Error('the answer is too long'));
      });
      response.on('error', fail);
      response.on('end', () => {
        if (response.statusCode !== 200) return fail(new Error(`HTTP status ${response.statusCode}`));
        try {
          const status: DirectorStatus = JSON.parse(text);
          resolve(status);
        } catch (error) {
          fail(error instanceof Error ? error : new Error('no JSON'));
        }
      });
    });
    asked.on('timeout', () => asked.destroy(new Error(`nothing within ${ANSWER_TIMEOUT_MS} ms`)));
    asked.on('error', fail);
    asked.end();
  });
}
