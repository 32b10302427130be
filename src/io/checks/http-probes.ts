/** Health probes by HTTP, with and without TLS. */
import { readFile } from 'node:fs/promises';
import { type ClientRequest, type RequestOptions, request as requestPlainly } from 'node:http';
import { request as requestByTls } from 'node:https';
import { isIPv6 } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import type { CheckKind, TlsCheck } from '../../config/model-servers.js';
import type { ProbeOutcome } from '../../runtime/services/services-ports.js';
import { BoundedLooks } from '../host/bounded-looks.js';
import { monotonicClock } from '../host/clock.js';
import { afterListening } from './listening-time.js';
import { failed, MAX_HEADER_BYTES, NO_ANSWER, OK, outcomeOf } from './outcome.js';

/** What is read of a body before the connection is cut. */
export const MAX_BODY_BYTES = 64 * 1024;

/** A file of certificates is read again after so long, and waited for so long: its file system may hang. */
const CA_FRESH_MS = 60_000;
const CA_READ_MS = 1000;
const MAX_CA_READS = 4;

type HttpCheck = CheckKind & { readonly type: 'http' };

interface KnownContext {
  readonly untilMs: number;
  readonly context: SecureContext;
}

export class HttpProbes {
  readonly #contexts = new Map<string, KnownContext>();
  /** With the authorities that Node.js knows: to make it costs more than a handshake. */
  #usual: SecureContext | undefined;
  readonly #reads = new BoundedLooks<SecureContext | string>(MAX_CA_READS, CA_READ_MS);

  async probe(check: HttpCheck, address: string, port: number, timeoutMs: number): Promise<ProbeOutcome> {
    const context = check.tls && (await this.#contextFor(check.tls));
    // What this host cannot read says nothing of the real server.
    if (typeof context === 'string') return { ok: undefined, reason: context };
    return probeHttp(check, context, address, port, timeoutMs);
  }

  /** Or why its file of trusted certificates cannot be used. */
  async #contextFor({ caFile: file }: TlsCheck): Promise<SecureContext | string> {
    if (file === undefined) {
      this.#usual ??= createSecureContext();
      return this.#usual;
    }
    const known = this.#contexts.get(file);
    const nowMs = monotonicClock.nowMs();
    if (known !== undefined && nowMs < known.untilMs) return known.context;
    const look = await this.#reads.look(file, () => readContext(file));
    const context = look.type === 'late' ? `ca_file ${file}: ${look.reason}` : look.value;
    if (typeof context !== 'string') this.#contexts.set(file, { untilMs: nowMs + CA_FRESH_MS, context });
    return context;
  }
}

async function readContext(file: string): Promise<SecureContext | string> {
  try {
    const ca = await readFile(file, 'latin1');
    // What holds none would be taken, and then nobody is trusted.
    if (!ca.includes('-----BEGIN ')) return `ca_file ${file} holds no certificate`;
    return createSecureContext({ ca });
  } catch (error) {
    return `ca_file ${file} cannot be used: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function open(check: HttpCheck, context: SecureContext | undefined, options: RequestOptions): ClientRequest {
  const { tls } = check;
  if (tls === undefined) return requestPlainly(options);
  return requestByTls({ ...options, ...tlsOptions(tls), ...(context && { secureContext: context }) });
}

/** An address is no server name (RFC 6066 section 3): without one the certificate has to be for the address. */
function tlsOptions({ serverName, verify }: TlsCheck) {
  return { rejectUnauthorized: verify, servername: serverName ?? '' };
}

/** The status line is the verdict, and the body where it is looked at; it is read to its end, so that the real server sees no reset. */
function probeHttp(
  check: HttpCheck,
  context: SecureContext | undefined,
  address: string,
  port: number,
  timeoutMs: number,
): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const probe = open(check, context, {
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
