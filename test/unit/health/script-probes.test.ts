import t from 'tap';
import type { ScriptStep } from '../../../src/config/model-protocols.js';
import type { CheckKind, TlsCheck } from '../../../src/config/model-servers.js';
import { openProber } from '../../../src/io/checks/probes.js';
import { tlsCheck } from '../config/servers.js';
import { CA_FILE, serve, serveLines } from './servers.js';

const prober = openProber({ run: async () => ({ type: 'cancelled' }), close: async () => {} });
const hex = (text: string) => Buffer.from(text).toString('hex');
const expect = (text: string): ScriptStep => ({ type: 'expect', bytes: hex(text) });
const send = (text: string): ScriptStep => ({ type: 'send', bytes: hex(text) });
const TLS = tlsCheck({ serverName: 'web.example', caFile: CA_FILE });

function script(steps: readonly ScriptStep[], tls?: TlsCheck): CheckKind {
  return { type: 'stream', tls, conversation: { protocol: 'script', steps } };
}

const QUIT = [expect('220'), send('NOOP\r\n'), expect('250'), send('QUIT\r\n')];

for (const tls of [false, true]) {
  await t.test(`a script${tls ? ' over TLS' : ''}`, async (t) => {
    const lines: string[] = [];
    const all = new Promise<void>((resolve) => {
      const answer = (line: string) => {
        lines.push(line);
        if (line === 'QUIT') resolve();
        return line === 'NOOP' ? '250 ok\r\n' : '221 bye\r\n';
      };
      void serveLines(t, '220 ready\r\n', answer, { tls }).then(async (port) => {
        t.same(await prober.probe(script(QUIT, tls ? TLS : undefined), '127.0.0.1', port, 5000), {
          ok: true,
        });
      });
    });
    await all;
    t.strictSame(lines, ['NOOP', 'QUIT'], 'the farewell arrives');
  });
}

await t.test('the server sees FIN and no reset, though it goes on talking', async (t) => {
  const seen: string[] = [];
  const closed = new Promise<void>((resolve) => {
    void serve(t, (socket) => {
      socket.on('error', (error) => seen.push(error.message));
      socket.on('end', () => seen.push('end'));
      socket.on('close', () => resolve());
      socket.resume();
      // More than a probe reads at once.
      socket.write(`220 ready\r\n${'x'.repeat(500_000)}`);
    }).then(async (port) => {
      t.same(await prober.probe(script([expect('220')]), '127.0.0.1', port, 5000), { ok: true });
    });
  });
  await closed;
  t.strictSame(seen, ['end']);
});

await t.test('TLS alone, and who is trusted', async (t) => {
  const port = await serve(t, (socket) => socket.resume(), { tls: true });
  const probe = (tls: Partial<TlsCheck>, at = port) =>
    prober.probe(script([], { ...TLS, ...tls }), '127.0.0.1', at, 5000);
  t.same(await probe({}), { ok: true });
  t.same(await probe({ verify: false, serverName: undefined, caFile: undefined }), { ok: true });
  t.match(await probe({ caFile: undefined }), { ok: false, reason: /of an authority that is not known/ });
  t.match(await probe({ serverName: undefined }), { ok: false, reason: /127\.0\.0\.1/ });
  t.match(await probe({ caFile: '/nonexistent' }), {
    ok: undefined,
    reason: /ca_file \/nonexistent cannot be used/,
  });
  const plain = await serveLines(t, '220 ready\r\n', () => '');
  t.match(await probe({}, plain), { ok: false, reason: /the TLS handshake failed/ });
});

await t.test('what is no answer', async (t) => {
  const probe = (port: number, timeoutMs: number, steps = QUIT) =>
    prober.probe(script(steps), '127.0.0.1', port, timeoutMs);
  const silent = await serveLines(t, '', () => '');
  t.same(await probe(silent, 80), { ok: false, reason: "step 1: no '220' within 80 ms" });
  const half = await serveLines(t, '220 ready\r\n', () => '');
  t.same(await probe(half, 200), { ok: false, reason: "step 3: expected '250', got 'ready' within 200 ms" });
  const bad = await serve(t, (socket) => socket.end('554 go away\r\n'));
  t.same(await probe(bad, 5000), {
    ok: false,
    reason: "step 1: expected '220', got '554 go away' before the end of the connection",
  });
  const gone = await serve(t, (socket) => socket.end());
  t.same(await probe(gone, 5000), { ok: false, reason: "step 1: no '220' before the end of the connection" });
  const reset = await serve(t, (socket) => socket.resetAndDestroy());
  t.same(await probe(reset, 5000), { ok: false, reason: 'connection reset' });
  const endless = await serve(t, (socket) => {
    const talk = (): void => {
      while (!socket.destroyed && socket.write('x'.repeat(10_000))) continue;
    };
    socket.on('drain', talk);
    talk();
  });
  t.same(await probe(endless, 5000), {
    ok: false,
    reason: "step 1: no '220' in the first 65536 bytes of the answer",
  });
  t.same(await probe(1, 5000), { ok: false, reason: 'connection refused' });
});
