/** The services process's own unix socket: what it tells may be megabytes, and does not pass through the election. */
import { join } from 'node:path';
import { OVERRIDE_ACTIONS, type OverrideOrder, type OverrideResult } from '../../planning/overrides.js';
import type { ServicesStatus } from '../../runtime/services/services-messages.js';
import { isMapping } from '../../util/mapping.js';
import { ControlRequestError, NotReadyError, serveHttp } from './http-socket.js';
import type { Keeping } from './standing-socket.js';

/**
 * Who asks so soon after another gets the same answer: to make it costs a tenth of a second with 10,000 virtual servers,
 * and must not take more than a fifth of this process's time, however often it is asked for.
 */
const SAME_ANSWER_MS = 200;
const REST_FACTOR = 4;
const OLDEST_ANSWER_MS = 2000;

export function servicesSocketPath(runtimeDirectory: string): string {
  return join(runtimeDirectory, 'services.sock');
}

/**
 * Serves `GET /status` and `POST /override`. `status` is undefined while there is nothing to tell. Returns what ends it.
 */
export function openServicesSocket(
  runtimeDirectory: string,
  status: () => ServicesStatus | undefined,
  order: (order: OverrideOrder) => Promise<OverrideResult>,
  keeping: Keeping,
): Promise<() => Promise<void>> {
  let last: { readonly untilMs: number; readonly text: Buffer } | undefined;
  const { clock } = keeping;
  const answer = (): Buffer => {
    const begunMs = clock.nowMs();
    if (last !== undefined && begunMs < last.untilMs) return last.text;
    const told = status();
    if (told === undefined) throw new NotReadyError('the services process is still starting');
    const text = Buffer.from(JSON.stringify(told));
    const endedMs = clock.nowMs();
    const restMs = Math.max(SAME_ANSWER_MS, REST_FACTOR * (endedMs - begunMs));
    last = { untilMs: endedMs + Math.min(restMs, OLDEST_ANSWER_MS), text };
    return text;
  };
  const override = async (body: unknown): Promise<unknown> => {
    const result = await order(orderOf(body));
    if (!result.ok) throw new ControlRequestError(result.reason);
    last = undefined;
    return { real_servers: result.meant };
  };
  const answers = { get: { '/status': answer }, post: { '/override': override } };
  return serveHttp(servicesSocketPath(runtimeDirectory), answers, keeping);
}

function orderOf(body: unknown): OverrideOrder {
  const fields = isMapping(body) ? body : {};
  const action = OVERRIDE_ACTIONS.find((name) => name === fields['action']);
  const { address, virtualServer = null, port = null, weight = null } = fields;
  const isWhole = (value: unknown): value is number | null =>
    value === null || (typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 65_535);
  const isName = virtualServer === null || typeof virtualServer === 'string';
  if (action === undefined || typeof address !== 'string' || !isName || !isWhole(port) || !isWhole(weight))
    throw new ControlRequestError('an order names an action and a real server');
  return { action, virtualServer, address, port, weight };
}
