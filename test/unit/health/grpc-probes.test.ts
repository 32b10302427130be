import { once } from 'node:events';
import {
  createSecureServer,
  createServer,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import type { TlsCheck } from '../../../src/config/model-servers.js';
import { openProber } from '../../../src/io/checks/probes.js';
import { tlsCheck } from '../config/servers.js';
import { CA_FILE, CERTIFICATE, serve } from './servers.js';

const prober = openProber({ run: async () => ({ type: 'cancelled' }), close: async () => {} });

/** A gRPC server; `answer` gets the request's body. */
async function grpcServer(
  t: Test,
  answer: (stream: ServerHttp2Stream, service: string, headers: IncomingHttpHeaders) => void,
  isSecure = false,
): Promise<number> {
  const server = isSecure ? createSecureServer(CERTIFICATE) : createServer();
  const sessions = new Set<ServerHttp2Session>();
  server.on('session', (session) => sessions.add(session));
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    stream.on('error', () => undefined);
    const pieces: Buffer[] = [];
    stream.on('data', (piece: Buffer) => pieces.push(piece));
    stream.once('end', () => answer(stream, Buffer.concat(pieces).toString('latin1', 7), headers));
  });
  t.teardown(() => {
    for (const session of sessions) session.destroy();
    server.close();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function reply(stream: ServerHttp2Stream, body: Buffer, status: string): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': status }));
  stream.end(body);
}

function probe(
  port: number,
  { service = '', tls, timeoutMs = 5000 }: { service?: string; tls?: TlsCheck; timeoutMs?: number } = {},
) {
  return prober.probe({ type: 'grpc', service, tls }, '127.0.0.1', port, timeoutMs);
}

for (const isSecure of [false, true]) {
  await t.test(`states of services${isSecure ? ', over TLS' : ''}`, async (t) => {
    const asked: unknown[] = [];
    const port = await grpcServer(
      t,
      (stream, service, headers) => {
        asked.push([headers[':path'], headers[':authority'], headers['content-type'], headers['te']]);
        if (service === 'gone') {
          stream.respond(
            { ':status': 200, 'grpc-status': '5', 'grpc-message': 'no%20such' },
            { endStream: true },
          );
          return;
        }
        reply(stream, Buffer.from([0, 0, 0, 0, 2, 8, service === 'bad' ? 2 : 1]), '0');
      },
      isSecure,
    );
    const tls = isSecure ? tlsCheck({ serverName: 'web.example', caFile: CA_FILE }) : undefined;
    const ask = (service: string) => probe(port, { service, ...(tls && { tls }) });
    t.same(await ask(''), { ok: true });
    t.same(await ask('good'), { ok: true });
    t.same(await ask('bad'), { ok: false, reason: 'the service is NOT_SERVING' });
    t.same(await ask('gone'), { ok: false, reason: "grpc-status 5 (NOT_FOUND), 'no such'" });
    const authority = isSecure ? 'web.example' : `127.0.0.1:${port}`;
    t.strictSame(asked[0], ['/grpc.health.v1.Health/Check', authority, 'application/grpc', 'trailers']);
    if (isSecure)
      t.match(await probe(port, { tls: tlsCheck() }), { ok: false, reason: /authority that is not known/ });
  });
}

await t.test('the connection is ended in order', async (t) => {
  const ended = new Promise<number>((resolve) => {
    void grpcServer(t, (stream) => {
      stream.session?.once('goaway', resolve);
      reply(stream, Buffer.from([0, 0, 0, 0, 2, 8, 1]), '0');
    }).then(async (port) => t.same(await probe(port), { ok: true }));
  });
  t.equal(await ended, 0, 'NO_ERROR');
});

await t.test('what is no answer', async (t) => {
  t.same(await probe(1), { ok: false, reason: 'connection refused' });
  const silent = await serve(t, (socket) => socket.resume());
  t.same(await probe(silent, { timeoutMs: 80 }), { ok: false, reason: 'no answer within 80 ms' });
  const http1 = await serve(t, (socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
  t.same(await probe(http1), { ok: false, reason: 'the answer is not HTTP/2' });
  const gone = await serve(t, (socket) => socket.end());
  t.same(await probe(gone), { ok: false, reason: 'connection closed without an answer' });
  const reset = await serve(t, (socket) => socket.resetAndDestroy());
  t.same(await probe(reset), { ok: false, reason: 'connection reset' });
  const web = await grpcServer(t, (stream) => {
    stream.respond({ ':status': 404 }, { endStream: true });
  });
  t.same(await probe(web), { ok: false, reason: 'status 404 of HTTP, expected 200' });
  const plain = await grpcServer(t, (stream) => {
    stream.respond({ ':status': 200 });
    stream.end('hello');
  });
  t.same(await probe(plain), { ok: false, reason: 'the answer is not gRPC: it has no grpc-status' });
  const endless = await grpcServer(t, (stream) => {
    stream.respond({ ':status': 200 });
    const talk = (): void => {
      while (!stream.destroyed && stream.write('x'.repeat(1000))) continue;
    };
    stream.on('drain', talk);
    talk();
  });
  t.match(await probe(endless), { ok: false, reason: /it is too long/ });
  const refused = await grpcServer(t, (stream) => stream.close(7));
  t.match(await probe(refused), { ok: false, reason: /NGHTTP2_REFUSED_STREAM/ });
});
