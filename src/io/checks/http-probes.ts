/** Health probes by HTTP, with and without TLS. */
import { request as requestPlainly } from 'node:http';
import { request as requestByTls } from 'node:https';
import { isIPv6 } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import type { CheckKind } from '../../config/model-servers.js';
import type { ProbeOutcome } from '../../runtime/services/services-ports.js';
import { afterListening } from './listening-time.js';
import { failed, MAX_HEADER_BYTES, NO_ANSWER, OK, outcomeOf } from './outcome.js';
import type { TlsContexts } from './tls-contexts.js';

/** What is read of a body before the connection is cut. */
export const MAX_BODY_BYTES = 64 * 1024;

type HttpCheck = CheckKind & { readonly type: 'http' };

export async function probeHttp(
  check: HttpCheck,
  contexts: TlsContexts,
  address: string,
  port: number,
  timeoutMs: number,
): Promise<ProbeOutcome> {
  const tls = check.tls && (await contexts.optionsOf(check.tls));
  // What this host cannot read says nothing of the real server.
  if (typeof tls === 'string') return { ok: undefined, reason: tls };
  return ask(check, tls, address, port, timeoutMs);
}

/** The status line is the verdict, and the body where it is looked at; it is read to its end, so that the real server sees no reset. */
function ask(
  check: HttpCheck,
  tls: ConnectionOptions | undefined,
  address: string,
  port: number,
  timeoutMs: number,
): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const probe = (tls === undefined ? requestPlainly : requestByTls)({
      ...tls,
      host: address,
      port,
      path: check.path,
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
    const finish = (outcome: ProbeOutcome): void => {
      resolve(outcome);
      probe.destroy();
    };
    const cancel = afterListening(timeoutMs, () => finish(failed(`no answer within ${timeoutMs} ms`)));
    probe.once('response', (response) => {
      const verdict = judgeStatus(check, response.statusCode);
      const search = check.body === undefined || !verdict.ok ? undefined : new Search(check.body);
      if (search === undefined) resolve(verdict);
      let received = 0;
      response.on('error', () => undefined);
      response.on('data', (chunk: Buffer) => {
        received += chunk.length;
        if (search?.foundIn(chunk) === true) resolve(OK);
        if (received <= MAX_BODY_BYTES) return;
        resolve(failed(`the first ${MAX_BODY_BYTES} bytes of the body do not hold '${check.body}'`));
        probe.destroy();
      });
      response.once('end', () => resolve(failed(`the body does not hold '${check.body}'`)));
    });
    probe.on('upgrade', (response) => finish(judgeStatus(check, response.statusCode)));
    probe.on('error', (error) => finish(outcomeOf(error)));
    probe.once('close', () => {
      cancel();
      resolve(failed(NO_ANSWER));
    });
    probe.end();
  });
}

/** Looks for a text in a body that comes in pieces. */
class Search {
  readonly #wanted: Buffer;
  #tail = Buffer.alloc(0);

  constructor(wanted: string) {
    this.#wanted = Buffer.from(wanted);
  }

  /** In this piece, or across it and those before. */
  foundIn(piece: Buffer): boolean {
    const seen = Buffer.concat([this.#tail, piece]);
    this.#tail = seen.subarray(Math.max(0, seen.length - this.#wanted.length + 1));
    return seen.includes(this.#wanted);
  }
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
