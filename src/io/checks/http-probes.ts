/** Health probes by HTTP, with and without TLS. */
import { type ClientRequest, request as requestPlainly } from 'node:http';
import { request as requestByTls } from 'node:https';
import { isIPv6 } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { CheckKind } from '../../config/model-servers.js';
import type { ProbeOutcome } from '../../runtime/services/services-ports.js';
import { BodyJudge, MAX_BODY_BYTES } from './http-body.js';
import { afterListening } from './listening-time.js';
import { failed, MAX_HEADER_BYTES, NO_ANSWER, OK, outcomeOf } from './outcome.js';
import { sourceOf } from './source.js';
import type { Handshake } from './tls-contexts.js';

type HttpCheck = CheckKind & { readonly type: 'http' };

/** One path after the other, each over a connection of its own; the first that fails decides. */
export async function probeHttp(
  check: HttpCheck,
  handshake: Handshake | undefined,
  address: string,
  port: number,
  timeoutMs: number,
): Promise<ProbeOutcome> {
  const late: (() => void)[] = [];
  const cancel = afterListening(timeoutMs, () => {
    for (const end of late) end();
  });
  const closed: Promise<void>[] = [];
  try {
    for (const path of check.paths) {
      const probe = begin(check, handshake, path, address, port);
      probe.once('socket', (socket) => {
        socket.once('secureConnect', () => handshake?.done(socket as TLSSocket, address, port));
      });
      closed.push(new Promise((resolve) => probe.once('close', resolve)));
      const outcome = await judge(check, probe, late, `no answer within ${timeoutMs} ms`);
      if (outcome.ok === true) continue;
      return check.paths.length === 1 ? outcome : { ...outcome, reason: `${path}: ${outcome.reason}` };
    }
    return OK;
  } finally {
    // The rest of a body is waited for no longer, either.
    void Promise.all(closed).then(cancel);
  }
}

function begin(
  check: HttpCheck,
  handshake: Handshake | undefined,
  path: string,
  address: string,
  port: number,
): ClientRequest {
  const request: ClientRequest = (handshake === undefined ? requestPlainly : requestByTls)({
    ...handshake?.options,
    ...sourceOf(check),
    host: address,
    port,
    path,
    method: check.method,
    agent: false,
    maxHeaderSize: MAX_HEADER_BYTES,
    headers: {
      'user-agent': 'lvs-director',
      accept: '*/*',
      ...check.headers,
      host: check.host ?? check.tls?.serverName ?? hostHeader(check, address, port),
      connection: 'close',
    },
  });
  request.end();
  return request;
}

/**
 * The status line is the verdict, and the body where it is looked at; it is read to its end, so that the real server sees
 * no reset. `late` gets what ends it when the time is over.
 */
function judge(
  check: HttpCheck,
  probe: ClientRequest,
  late: (() => void)[],
  lateReason: string,
): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const finish = (outcome: ProbeOutcome): void => {
      resolve(outcome);
      probe.destroy();
    };
    late.push(() => finish(failed(lateReason)));
    probe.once('response', (response) => {
      const verdict = judgeStatus(check, response.statusCode);
      const body = check.body === undefined || !verdict.ok ? undefined : new BodyJudge(check.body);
      if (body === undefined) resolve(verdict);
      let received = 0;
      response.on('error', () => undefined);
      response.on('data', (chunk: Buffer) => {
        received += chunk.length;
        const said = body?.take(chunk);
        if (said !== undefined) resolve(said);
        if (received > MAX_BODY_BYTES) probe.destroy();
      });
      response.once('end', () => resolve(body?.end() ?? verdict));
    });
    probe.on('upgrade', (response) => finish(judgeStatus(check, response.statusCode)));
    probe.on('error', (error) => finish(outcomeOf(error)));
    probe.once('close', () => resolve(failed(NO_ANSWER)));
  });
}

function judgeStatus({ status: ranges }: HttpCheck, status = 0): ProbeOutcome {
  if (ranges.some(([first, last]) => status >= first && status <= last)) return OK;
  const texts = ranges.map(([first, last]) => (first === last ? String(first) : `${first}-${last}`));
  return failed(`status ${status}, expected ${texts.join(', ')}`);
}

/** RFC 9110 section 7.2: the port is named unless it is the scheme's own. */
function hostHeader({ tls }: HttpCheck, address: string, port: number): string {
  const host = isIPv6(address) ? `[${address}]` : address;
  return port === (tls === undefined ? 80 : 443) ? host : `${host}:${port}`;
}
