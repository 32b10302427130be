/** The services process's own unix socket: what it tells may be megabytes, and does not pass through the election. */
import { join } from 'node:path';
import type { ServicesStatus } from '../runtime/services-messages.js';
import { NotReadyError, serveHttp } from './http-socket.js';

/** Who asks so soon after another gets the same answer: to make it costs a tenth of a second with 10,000 virtual servers. */
const SAME_ANSWER_MS = 200;

export function servicesSocketPath(runtimeDirectory: string): string {
  return join(runtimeDirectory, 'services.sock');
}

/** Serves `GET /status`. `status` is undefined while there is nothing to tell. Returns what ends it. */
export function openServicesSocket(
  runtimeDirectory: string,
  status: () => ServicesStatus | undefined,
  nowMs: () => number,
): Promise<() => Promise<void>> {
  let last: { readonly atMs: number; readonly text: Buffer } | undefined;
  const answer = (): Buffer => {
    if (last !== undefined && nowMs() - last.atMs < SAME_ANSWER_MS) return last.text;
    const told = status();
    if (told === undefined) throw new NotReadyError('the services process is still starting');
    const text = Buffer.from(JSON.stringify(told));
    last = { atMs: nowMs(), text };
    return text;
  };
  return serveHttp(servicesSocketPath(runtimeDirectory), { get: { '/status': answer } });
}
