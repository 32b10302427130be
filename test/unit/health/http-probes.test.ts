/** What HTTP checks can ask beyond one path and a status: see probes.test.ts for those. */
import { createHash, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer, type Server } from 'node:http';
import { createServer as createHttpsServer, type ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import type { BodyRules, CheckKind, TlsCheck } from '../../../src/config/model-servers.js';
import { MAX_BODY_BYTES } from '../../../src/io/checks/http-body.js';
import { openProber } from '../../../src/io/checks/probes.js';
import { httpCheck, tlsCheck } from '../config/servers.js';
import { CA_FILE, CERTIFICATE } from './servers.js';

const commands = { run: async () => ({ type: 'cancelled' as const }), close: async () => {} };
const prober = openProber(commands);

async function listen(t: Test, server: Server): Promise<number> {
  t.teardown(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

await t.test('several paths, one after the other', async (t) => {
  const asked: (string | undefined)[] = [];
  const server = createHttpServer((request, response) => {
    asked.push(request.url);
    if (request.url === '/silent') return;
    response.statusCode = request.url === '/bad' ? 503 : 200;
    response.end('fine');
  });
  const port = await listen(t, server);
  const probe = (paths: string[], timeoutMs = 5000) =>
    prober.probe(httpCheck({ paths }), '127.0.0.1', port, timeoutMs);
  t.same(await probe(['/a', '/b', '/c']), { ok: true });
  t.strictSame(asked.splice(0), ['/a', '/b', '/c']);
  t.same(await probe(['/a', '/bad', '/c']), { ok: false, reason: '/bad: status 503, expected 200' });
  t.strictSame(asked.splice(0), ['/a', '/bad'], 'the first that fails decides');
  t.same(await probe(['/a', '/silent'], 1500), { ok: false, reason: '/silent: no answer within 1500 ms' });
  server.closeAllConnections();
});

await t.test('a body that matches', async (t) => {
  const bodies: Record<string, string> = {
    '/ok': 'state: ok\nsince: 5 s',
    '/long': `${'x'.repeat(MAX_BODY_BYTES - 1)}yz${'x'.repeat(MAX_BODY_BYTES)}`,
    '/trap': `${'a'.repeat(5000)}!`,
  };
  const port = await listen(
    t,
    createHttpServer((request, response) => {
      const body = bodies[request.url ?? ''] ?? '';
      response.write(body.slice(0, 7));
      response.end(body.slice(7));
    }),
  );
  const probe = (path: string, pattern: string, text?: string) => {
    const body: BodyRules = { text, pattern, digest: undefined };
    return prober.probe(httpCheck({ paths: [path], body }), '127.0.0.1', port, 5000);
  };
  t.same(await probe('/ok', '^state: (ok|fine)\\n'), { ok: true });
  t.same(await probe('/ok', '^since'), { ok: false, reason: "nothing in the body matches '^since'" });
  t.same(await probe('/ok', 'ok', 'since'), { ok: true });
  t.same(await probe('/ok', 'ok', 'until'), { ok: false, reason: "no 'until' in the body" });
  t.same(await probe('/long', 'y$'), { ok: true }, 'the first 64 KiB are looked at');
  t.same(await probe('/long', 'yz'), {
    ok: false,
    reason: `nothing in the first ${MAX_BODY_BYTES} bytes of the body matches 'yz'`,
  });
  t.match(await probe('/trap', '(a+)+b'), { ok: undefined, reason: /body_matches takes longer than 20 ms/ });
  t.same(await probe('/ok', 'ok'), { ok: true }, 'and the next one is matched as ever');
});

await t.test('a digest', async (t) => {
  const body = Buffer.from('so it is');
  const port = await listen(
    t,
    createHttpServer((request, response) => {
      response.end(request.url === '/long' ? Buffer.alloc(MAX_BODY_BYTES + 1) : body);
    }),
  );
  const probe = (algorithm: 'sha256' | 'md5', of: Buffer, path = '/') => {
    const digest = { algorithm, hex: createHash(algorithm).update(of).digest('hex') };
    const check = httpCheck({ paths: [path], body: { text: undefined, pattern: undefined, digest } });
    return prober.probe(check, '127.0.0.1', port, 5000);
  };
  t.same(await probe('sha256', body), { ok: true });
  t.same(await probe('md5', body), { ok: true });
  t.same(await probe('md5', Buffer.from('so it was')), {
    ok: false,
    reason: `the body has another md5 digest: ${createHash('md5').update(body).digest('hex')}`,
  });
  t.same(await probe('sha256', Buffer.alloc(MAX_BODY_BYTES), '/long'), {
    ok: false,
    reason: `the body is longer than ${MAX_BODY_BYTES} bytes`,
  });
});

function httpsServer(t: Test, options: ServerOptions): Promise<number> {
  return listen(
    t,
    createHttpsServer({ ...CERTIFICATE, ...options }, (_, response) => response.end()),
  );
}

await t.test('TLS versions', async (t) => {
  const old = await httpsServer(t, {
    minVersion: 'TLSv1',
    maxVersion: 'TLSv1.1',
    ciphers: 'DEFAULT@SECLEVEL=0',
  });
  const middle = await httpsServer(t, { maxVersion: 'TLSv1.2' });
  const probe = (port: number, tls: Partial<TlsCheck>) =>
    prober.probe(httpCheck({ tls: tlsCheck({ verify: false, ...tls }) }), '127.0.0.1', port, 5000);
  t.same(await probe(middle, {}), { ok: true });
  t.same(await probe(middle, { maxVersion: 'TLSv1.2', caFile: CA_FILE }), { ok: true });
  t.match(await probe(middle, { minVersion: 'TLSv1.3' }), { ok: false, reason: /TLS handshake failed/ });
  t.match(await probe(old, {}), { ok: false, reason: /TLS handshake failed/ });
  t.same(await probe(old, { minVersion: 'TLSv1' }), { ok: true });
  t.match(await probe(old, { minVersion: 'TLSv1', maxVersion: 'TLSv1' }), { ok: true });
});

await t.test('a certificate that is about to expire is told of once a day', async (t) => {
  const endMs = Date.parse(new X509Certificate(CERTIFICATE.cert).validTo);
  const day = new Date(endMs).toISOString().slice(0, 10);
  const port = await httpsServer(t, {});
  const told: string[] = [];
  let nowMs = 0;
  const watched = openProber(commands, {
    tellCertificate: (words) => told.push(words),
    nowEpochMs: () => nowMs,
  });
  const tls = tlsCheck({ serverName: 'web.example', caFile: CA_FILE });
  const probe = async (daysLeft: number, check: CheckKind = httpCheck({ tls })) => {
    nowMs = endMs - daysLeft * 86_400_000;
    t.same(await watched.probe(check, '127.0.0.1', port, 5000), { ok: true });
    return told.splice(0);
  };
  const server = `127.0.0.1:${port} (web.example)`;
  t.strictSame(await probe(14.1), []);
  t.strictSame(await probe(14.09), [], 'looked at once an hour');
  t.strictSame(await probe(13.9), [`the certificate of ${server} expires on ${day}, in 13 days`]);
  t.strictSame(await probe(13), []);
  t.strictSame(await probe(12.9), [`the certificate of ${server} expires on ${day}, in 12 days`]);
  t.strictSame(await probe(-0.1), [`the certificate of ${server} has expired on ${day}`]);
  const byTcp: CheckKind = {
    type: 'stream',
    tls: tlsCheck({ verify: false }),
    conversation: { protocol: 'script', steps: [] },
  };
  t.strictSame(await probe(5, byTcp), [`the certificate of 127.0.0.1:${port} expires on ${day}, in 5 days`]);
});
