/** Ready checks against servers on loopback; what each answer means is in test/unit/protocols. */
import t from 'tap';
import type { Conversation } from '../../../src/config/model-protocols.js';
import type { TlsCheck } from '../../../src/config/model-servers.js';
import { openProber } from '../../../src/io/checks/probes.js';
import { tlsCheck } from '../config/servers.js';
import { CA_FILE, serve, serveLines } from './servers.js';

const prober = openProber({ run: async () => ({ type: 'cancelled' }), close: async () => {} });
const TLS = tlsCheck({ serverName: 'web.example', caFile: CA_FILE });

function probe(
  conversation: Conversation,
  port: number,
  { tls, timeoutMs = 5000 }: { tls?: TlsCheck; timeoutMs?: number } = {},
) {
  return prober.probe({ type: 'stream', tls, conversation }, '127.0.0.1', port, timeoutMs);
}

for (const tls of [false, true]) {
  await t.test(`smtp, to the farewell${tls ? ', over TLS' : ''}`, async (t) => {
    const lines: string[] = [];
    await new Promise<void>((resolve) => {
      const answer = (line: string) => {
        lines.push(line);
        if (line === 'QUIT') resolve();
        return line === 'QUIT' ? '221 bye\r\n' : '250 hello\r\n';
      };
      void serveLines(t, '220-mail\r\n220 ready\r\n', answer, { tls }).then(async (port) => {
        t.same(await probe({ protocol: 'smtp', helo: 'lb1' }, port, tls ? { tls: TLS } : {}), { ok: true });
      });
    });
    t.strictSame(lines, ['HELO lb1', 'QUIT']);
  });
}

await t.test('lines', async (t) => {
  const greets = (greeting: string) => serveLines(t, greeting, () => '');
  t.same(await probe({ protocol: 'ftp' }, await greets('220 files\r\n')), { ok: true });
  t.same(await probe({ protocol: 'imap' }, await greets('* OK ready\r\n')), { ok: true });
  t.same(await probe({ protocol: 'pop3' }, await greets('+OK ready\r\n')), { ok: true });
  const redis = await serveLines(t, '', (line) => (line === 'PING' ? '+PONG\r\n' : '-ERR\r\n'));
  t.same(await probe({ protocol: 'redis' }, redis), { ok: true });
  t.same(await probe({ protocol: 'imap' }, await greets('* BYE busy\r\n')), {
    ok: false,
    reason: "expected greeting OK, got '* BYE busy'",
  });
  t.same(await probe({ protocol: 'pop3' }, await greets(''), { timeoutMs: 80 }), {
    ok: false,
    reason: 'no greeting +OK within 80 ms',
  });
});

await t.test('mysql: the login is over before the connection ends', async (t) => {
  const heard: string[] = [];
  const ended = new Promise<void>((resolve) => {
    void serve(t, (socket) => {
      socket.write(Buffer.from(`\x1a\0\0\0\x0a8.0.40\0${'\x01'.repeat(18)}`, 'latin1'));
      socket.on('data', (piece) => {
        heard.push(piece.toString('latin1'));
        if (heard.length === 1) socket.write(Buffer.from('\x07\0\0\x02\0\0\0\x02\0\0\0', 'latin1'));
      });
      socket.on('end', () => {
        heard.push('end');
        resolve();
      });
    }).then(async (port) => t.same(await probe({ protocol: 'mysql', user: 'check' }, port), { ok: true }));
  });
  await ended;
  t.match(heard, [/check\0\0mysql_native_password\0$/, '\x01\0\0\0\x01', 'end']);
});

await t.test('postgresql: a server that starts is not there yet', async (t) => {
  const answers = ['R\0\0\0\x08\0\0\0\0', 'E\0\0\0\x28SFATAL\0C57P03\0Mit is starting up\0\0\0\0'];
  const port = await serve(t, (socket) => {
    socket.once('data', () => socket.write(Buffer.from(answers.shift() ?? '', 'latin1')));
  });
  const check = { protocol: 'postgresql', user: 'check', database: undefined } as const;
  t.same(await probe(check, port), { ok: true });
  t.same(await probe(check, port), { ok: false, reason: "error 57P03: 'it is starting up'" });
});
