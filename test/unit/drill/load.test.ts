/** The drill's load and its real servers (native/load.c), over loopback. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { parseLoad, type RequestSample } from '../../../src/drill/client/load.js';
import { nativeFile } from '../../../src/io/sockets/native.js';

function start(t: Test, ...argv: readonly string[]): ChildProcess {
  const child = spawn(nativeFile('load'), argv, { stdio: ['ignore', 'pipe', 'pipe'] });
  t.teardown(() => child.kill('SIGKILL'));
  return child;
}

async function freePort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no port');
  return address.port;
}

async function serve(t: Test, ...ports: readonly (readonly [string, number])[]): Promise<ChildProcess> {
  const child = start(t, 'serve', 'rs1', ...ports.flatMap(([kind, port]) => [`--${kind}`, String(port)]));
  await once(child.stdout ?? child, 'data');
  return child;
}

/** Asks until `enough` of the output's lines are there, and then what is under way to its end. */
async function ask(
  t: Test,
  port: number,
  limitMs: number,
  enough: number,
  addresses: readonly string[] = ['127.0.0.1'],
): Promise<RequestSample[]> {
  const child = start(t, 'ask', String(port), '500', String(limitMs), ...addresses);
  let text = '';
  // Buffered: what is there at the end is what counts, and it ends by our word.
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    if (text.split('\n').length > enough) child.kill('SIGTERM');
  });
  await once(child, 'close');
  return parseLoad(text);
}

async function listening(t: Test, onConnection: (socket: Socket) => void): Promise<number> {
  const server: Server = createServer((socket) => {
    socket.on('error', () => {});
    onConnection(socket);
  });
  await once(server.listen(0, '127.0.0.1'), 'listening');
  t.teardown(() => server.close());
  const address = server.address();
  return address === null || typeof address === 'string' ? 0 : address.port;
}

await t.test('every request is answered, over either family', async (t) => {
  const port = await freePort();
  await serve(t, ['http', port]);
  const samples = await ask(t, port, 5000, 100, ['127.0.0.1', '::1']);
  t.ok(samples.length >= 100);
  t.ok(samples.every(({ server, error }) => server === 'rs1' && error === ''));
  const counts = ['127.0.0.1', '::1'].map((one) => samples.filter(({ address }) => address === one).length);
  t.ok(Math.abs((counts[0] ?? 0) - (counts[1] ?? 0)) <= 1, 'in turn');
  t.ok(Math.abs((samples[0]?.startMs ?? 0) - Date.now()) < 600_000, 'times are of the wall clock');
});

await t.test('failures are told apart', async (t) => {
  const errors = async (port: number, limitMs: number): Promise<string[]> => {
    const samples = await ask(t, port, limitMs, 50);
    t.ok(samples.every(({ server }) => server === null));
    return [...new Set(samples.map(({ error }) => error))];
  };
  t.same(await errors(await freePort(), 5000), ['ECONNREFUSED']);
  t.same(await errors(await listening(t, (socket) => socket.resetAndDestroy()), 5000), ['ECONNRESET']);
  t.same(await errors(await listening(t, (socket) => socket.resume()), 50), ['no answer in time']);
  t.same(
    await errors(await listening(t, (socket) => socket.resume().once('data', () => socket.end())), 5000),
    ['closed without an answer'],
  );
  t.same(
    await errors(
      await listening(t, (socket) => socket.once('data', () => socket.end('HTTP/1.1 503 No\r\n\r\n'))),
      5000,
    ),
    ['no whole answer'],
  );
});

await t.test('a real server: keep-alive, the last request, plain TCP and UDP', async (t) => {
  const [http, tcp] = [await freePort(), await freePort()];
  await serve(t, ['http', http], ['tcp', tcp], ['udp', http]);
  const socket = connect(http, '127.0.0.1').setEncoding('latin1');
  let text = '';
  socket.on('data', (chunk: string) => {
    text += chunk;
  });
  const request = 'GET / HTTP/1.1\r\nHost: x\r\n';
  // Two in one go, one in pieces, the last one.
  socket.write(`${request}\r\n${request}\r\nGET`);
  socket.write(` / HTTP/1.1\r\n`);
  socket.write(`Host: x\r\n\r\n${request}connection: Close\r\n\r\n`);
  await once(socket, 'end');
  const answers = text.match(/HTTP\/1\.1 200 OK\r\n.*?\r\n\r\nrs1\n/gs) ?? [];
  t.equal(answers.length, 4);
  t.equal(answers.join(''), text, 'and nothing else');
  t.same(
    answers.map((answer) => /Connection: (\S+)/.exec(answer)?.[1]),
    ['keep-alive', 'keep-alive', 'keep-alive', 'close'],
  );

  const plain = connect(tcp, '127.0.0.1');
  t.equal(String((await once(plain, 'data'))[0]), '220 rs1\r\n');
  plain.destroy();

  const udp = createSocket('udp4');
  t.teardown(() => udp.close());
  udp.send('17', http, '127.0.0.1');
  t.equal(String((await once(udp, 'message'))[0]), 'rs1 17');
});

await t.test('a request without an end costs its connection, and nobody else', async (t) => {
  const port = await freePort();
  await serve(t, ['http', port]);
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => {});
  socket.write('x'.repeat(10_000));
  await new Promise((resolve) => socket.once('close', resolve));
  const samples = await ask(t, port, 5000, 10);
  t.ok(samples.every(({ server }) => server === 'rs1'));
});

await t.test('a download is whole with its last byte, however its bytes come', async (t) => {
  const head = 'HTTP/1.0 200 OK\r\n\r\n';
  const download = async (...pieces: readonly string[]): Promise<unknown> => {
    const port = await listening(t, (socket) =>
      socket.once('data', () => {
        for (const piece of pieces) socket.write(piece);
        socket.end();
      }),
    );
    const child = start(t, 'download', '127.0.0.1', String(port));
    let text = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    await once(child, 'close');
    const { whole, end } = JSON.parse(text.split('\n')[1] ?? '');
    return [whole, end];
  };
  t.same(await download(head, 'more\n'.repeat(120)), [true, 'in order']);
  t.same(
    await download(`${head}more\n`, 'more\n'.repeat(119)),
    [true, 'in order'],
    'the first with the head',
  );
  t.same(await download(head, 'more\n'.repeat(119)), [false, 'in order'], 'the last one is missing');
});
