/** Health probes by gRPC: one call of grpc.health.v1.Health/Check over HTTP/2, with and without TLS. */
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  connect,
  type IncomingHttpHeaders,
  type IncomingHttpStatusHeader,
  type SecureClientSessionOptions,
} from 'node:http2';
import type { TLSSocket } from 'node:tls';
import type { CheckKind } from '../../config/model-servers.js';
import {
  encodeHealthRequest,
  HEALTH_CHECK_PATH,
  healthFault,
  MAX_MESSAGE_BYTES,
} from '../../protocols/grpc-health.js';
import type { ProbeOutcome } from '../../runtime/services/services-ports.js';
import { endpointText } from '../../util/ip-address.js';
import { afterListening } from './listening-time.js';
import { failed, NO_ANSWER, OK, outcomeOf } from './outcome.js';
import { sourceOf } from './source.js';
import type { Handshake } from './tls-contexts.js';

type Head = IncomingHttpHeaders & IncomingHttpStatusHeader;
type GrpcCheck = CheckKind & { readonly type: 'grpc' };

export function probeGrpc(
  check: GrpcCheck,
  handshake: Handshake | undefined,
  address: string,
  port: number,
  timeoutMs: number,
): Promise<ProbeOutcome> {
  // In it are the options of the connection's socket, which its type does not know of.
  const options: SecureClientSessionOptions = {
    ...handshake?.options,
    ...sourceOf(check),
    // In megabytes: of what a server may make this process keep.
    maxSessionMemory: 1,
    settings: { enablePush: false },
  };
  const scheme = handshake === undefined ? 'http' : 'https';
  const session = connect(`${scheme}://${endpointText(address, port)}`, options);
  session.once('connect', (_, socket) => handshake?.done(socket as TLSSocket, address, port));
  const authority = check.tls?.serverName ?? endpointText(address, port);
  const call = session.request({
    ':method': 'POST',
    ':path': HEALTH_CHECK_PATH,
    ':authority': authority,
    te: 'trailers',
    'content-type': 'application/grpc',
    'user-agent': 'lvs-director',
  });
  call.end(encodeHealthRequest(check.service));
  return judge(session, call, timeoutMs);
}

function judge(
  session: ClientHttp2Session,
  call: ClientHttp2Stream,
  timeoutMs: number,
): Promise<ProbeOutcome> {
  return new Promise((resolve) => {
    const finish = (outcome: ProbeOutcome): void => {
      resolve(outcome);
      session.destroy();
    };
    const cancel = afterListening(timeoutMs, () => finish(failed(`no answer within ${timeoutMs} ms`)));
    const pieces: Buffer[] = [];
    let length = 0;
    let head: Head | undefined;
    let tail: IncomingHttpHeaders | undefined;
    call.once('response', (headers) => {
      head = headers;
    });
    // A call that fails at once has them in the head.
    call.once('trailers', (headers) => {
      tail = headers;
    });
    call.on('data', (piece: Buffer) => {
      length += piece.length;
      if (length > MAX_MESSAGE_BYTES)
        return finish(failed('the answer is no HealthCheckResponse: it is too long'));
      pieces.push(piece);
    });
    call.once('end', () => {
      resolve(head === undefined ? failed(NO_ANSWER) : verdictOf(head, tail ?? head, Buffer.concat(pieces)));
      // In order: GOAWAY, and the connection's end.
      session.close();
    });
    call.on('error', (error) => finish(outcomeOfHttp2(error)));
    session.on('error', (error) => finish(outcomeOfHttp2(error)));
    session.once('close', () => {
      cancel();
      resolve(failed(NO_ANSWER));
    });
  });
}

function verdictOf(head: Head, tail: IncomingHttpHeaders, body: Buffer): ProbeOutcome {
  const status = head[':status'];
  if (status !== 200) return failed(`status ${status} of HTTP, expected 200`);
  const fault = healthFault(body, textOf(tail['grpc-status']), textOf(tail['grpc-message']));
  return fault === undefined ? OK : failed(fault);
}

function textOf(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}

function outcomeOfHttp2(error: Error): ProbeOutcome {
  // A call that was cancelled has in it why the connection went.
  if (error.cause instanceof Error) return outcomeOf(error.cause);
  if ('code' in error && error.code === 'ERR_HTTP2_ERROR') return failed('the answer is not HTTP/2');
  return outcomeOf(error);
}
