/** Checks that go from a certain address of this host, or to another one than the real server's. */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';
import type { AddressInfo, Server } from 'node:net';
import t, { type Test } from 'tap';
import type { CheckKind } from '../../../src/config/model-servers.js';
import { openProber } from '../../../src/io/checks/probes.js';
import { httpCheck, tlsCheck } from '../config/servers.js';
import { serve } from './servers.js';

const prober = openProber({ run: async () => ({ type: 'cancelled' }), close: async () => {} });
const SOURCE = '127.0.0.2';

async function listen(t: Test, server: Server): Promise<number> {
  t.teardown(() => server.close());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

await t.test('over TCP', async (t) => {
  const seen: (string | undefined)[] = [];
  const plain = await serve(t, (socket) => seen.push(socket.resume().remoteAddress));
  const secure = await serve(t, (socket) => seen.push(socket.resume().remoteAddress), { tls: true });
  const web = createHttpServer((request, response) => {
    seen.push(request.socket.remoteAddress);
    response.end();
  });
  const grpc = createHttp2Server();
  grpc.on('stream', (stream) => {
    seen.push(stream.session?.socket.remoteAddress);
    stream.respond({ ':status': 200 }, { waitForTrailers: true });
    stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    stream.end(Buffer.from([0, 0, 0, 0, 2, 8, 1]));
  });
  const conversation = { protocol: 'script', steps: [] } as const;
  const cases: readonly (readonly [number, CheckKind])[] = [
    [plain, { type: 'tcp' }],
    [plain, { type: 'stream', tls: undefined, conversation }],
    [secure, { type: 'stream', tls: tlsCheck({ verify: false }), conversation }],
    [await listen(t, web), httpCheck()],
    [await listen(t, grpc), { type: 'grpc', tls: undefined, service: '' }],
  ];
  for (const [port, check] of cases) {
    t.same(await prober.probe({ ...check, from: SOURCE }, '127.0.0.1', port, 5000), { ok: true }, check.type);
    const to = { ...check, to: '127.0.0.1' };
    t.same(await prober.probe(to, '255.255.255.255', port, 5000), { ok: true }, check.type);
    // A connection is accepted before its server hears of it.
    while (seen.length < 2) await new Promise((resolve) => setImmediate(resolve));
    t.strictSame(seen.splice(0), [SOURCE, '127.0.0.1'], check.type);
    const from = '192.0.2.77';
    t.match(
      await prober.probe({ ...check, from }, '127.0.0.1', port, 5000),
      { ok: undefined, reason: /this host lacks the address/ },
      `${check.type} from an address of another host`,
    );
  }
});

await t.test('by UDP', async (t) => {
  const seen: string[] = [];
  const socket = createSocket('udp4');
  socket.on('message', (message, peer) => {
    seen.push(peer.address);
    // A question with its header made an answer without records: NODATA.
    message.writeUInt16BE(0x8180, 2);
    message.writeUInt16BE(0, 10);
    const end = message.indexOf(0, 12) + 5;
    socket.send(message.subarray(0, end), peer.port, peer.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.teardown(() => socket.close());
  const { port } = socket.address();
  const udp: CheckKind = { type: 'udp', send: '00'.repeat(20), expect: undefined, from: SOURCE };
  t.same(await prober.probe(udp, '127.0.0.1', port, 5000), { ok: true });
  const dns: CheckKind = { type: 'dns', name: 'a.example', recordType: 'A', from: SOURCE };
  t.match(await prober.probe(dns, '127.0.0.1', port, 5000), { reason: 'the name has no such record' });
  t.strictSame(seen, [SOURCE, SOURCE]);
  t.match(await prober.probe({ ...udp, from: '192.0.2.77' }, '127.0.0.1', port, 5000), {
    ok: undefined,
    reason: /this host lacks the address/,
  });
});
