import { spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import type { TLSSocket } from 'node:tls';
import { Worker } from 'node:worker_threads';
import t, { type Test } from 'tap';
import type { CheckKind, TlsCheck } from '../../../src/config/model-servers.js';
import { projectFolder } from '../../../src/drill/vm/session.js';
import { MAX_BODY_BYTES } from '../../../src/io/checks/http-body.js';
import { MAX_HEADER_BYTES } from '../../../src/io/checks/outcome.js';
import { openProber } from '../../../src/io/checks/probes.js';
import type {
  CommandOutcome,
  CommandRequest,
  Commands,
} from '../../../src/runtime/services/services-ports.js';
import { httpCheck, tlsCheck } from '../config/servers.js';

type HttpOverrides = Omit<NonNullable<Parameters<typeof httpCheck>[0]>, 'body'>;

const commands: Commands = {
  run: async () => ({ type: 'cancelled' }),
  close: async () => {},
};
const prober = openProber(commands);

async function listen(server: Server | HttpServer): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

function http(status: number, path = '/', host?: string): CheckKind {
  return httpCheck({ paths: [path], status: [[status, status]], host });
}

await t.test('tcp: a handshake is enough, and the server sees FIN and no reset', async (t) => {
  const seen: string[] = [];
  const ended = new Promise<void>((resolve) => {
    const server = createServer((socket) => {
      // A banner that the probe never asked for must not turn its farewell into a reset.
      socket.write('220 ready\r\n');
      socket.on('error', (error) => seen.push(error.message));
      socket.on('end', () => seen.push('end'));
      socket.on('close', () => {
        server.close();
        resolve();
      });
      socket.resume();
    });
    void listen(server).then(async (port) => {
      t.same(await prober.probe({ type: 'tcp' }, '127.0.0.1', port, 1_000), { ok: true });
    });
  });
  await ended;
  t.same(seen, ['end']);
  const held = (): number =>
    process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length;
  const endMs = performance.now() + 500;
  while (held() > 0 && performance.now() < endMs) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  t.equal(held(), 0, 'the socket does not wait for the time-out');
});

await t.test('tcp: refused', async (t) => {
  const server = createServer();
  const port = await listen(server);
  server.close();
  await once(server, 'close');
  t.same(await prober.probe({ type: 'tcp' }, '127.0.0.1', port, 1_000), {
    ok: false,
    reason: 'connection refused',
  });
});

await t.test('http: status decides', async (t) => {
  const requests: string[] = [];
  const server = createHttpServer((request, response) => {
    requests.push(`${request.method} ${request.url} ${request.headers.host} ${request.headers.connection}`);
    response.statusCode = request.url === '/broken' ? 503 : 200;
    if (request.url === '/moved') {
      response.statusCode = 302;
      response.setHeader('location', '/');
    }
    response.end('x'.repeat(1_000_000));
  });
  const port = await listen(server);
  t.teardown(() => server.close());
  t.same(await prober.probe(http(200), '127.0.0.1', port, 1_000), { ok: true });
  t.same(await prober.probe(http(503, '/broken'), '127.0.0.1', port, 1_000), { ok: true });
  t.same(await prober.probe(http(200, '/broken'), '127.0.0.1', port, 1_000), {
    ok: false,
    reason: 'status 503, expected 200',
  });
  t.same(
    await prober.probe(http(200, '/moved', 'www.example.org'), '127.0.0.1', port, 1_000),
    { ok: false, reason: 'status 302, expected 200' },
    'redirects are not followed',
  );
  t.same(requests, [
    `GET / 127.0.0.1:${port} close`,
    `GET /broken 127.0.0.1:${port} close`,
    `GET /broken 127.0.0.1:${port} close`,
    'GET /moved www.example.org close',
  ]);
});

await t.test('a director that stands still longer than the time-out hears the answer', async (t) => {
  // In a thread of its own it answers while this one sleeps.
  const server = new Worker(
    `const { parentPort } = require('node:worker_threads');
    const server = require('node:http').createServer((_, response) => response.end());
    server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));`,
    { eval: true },
  );
  t.teardown(() => server.terminate());
  const [port] = (await once(server, 'message')) as [number];
  const sleeping = new Int32Array(new SharedArrayBuffer(4));
  for (const check of [http(200), { type: 'tcp' } as const]) {
    const probing = prober.probe(check, '127.0.0.1', port, 80);
    // It ends by itself.
    Atomics.wait(sleeping, 0, 0, 300);
    t.same(await probing, { ok: true }, check.type);
  }
});

await t.test('http: what is sent, and which answers are good', async (t) => {
  const requests: string[] = [];
  const server = createHttpServer((request, response) => {
    requests.push(`${request.method} ${request.headers['user-agent']} ${String(request.headers['x-probe'])}`);
    response.statusCode = Number(request.url?.slice(1));
    response.write('state: g');
    response.end('ood');
  });
  const port = await listen(server);
  t.teardown(() => server.close());
  const probe = ({ path, body, ...rest }: HttpOverrides & { path: string; body?: string }) => {
    const rules = body === undefined ? undefined : { text: body, pattern: undefined, digest: undefined };
    return prober.probe(httpCheck({ ...rest, paths: [path], body: rules }), '127.0.0.1', port, 1000);
  };
  const status = [
    [204, 204],
    [300, 399],
  ] as const;
  t.same(await probe({ path: '/301', status }), { ok: true });
  t.same(await probe({ path: '/204', status, method: 'HEAD', headers: { 'x-probe': 'yes' } }), { ok: true });
  t.same(await probe({ path: '/200', status, headers: { 'user-agent': 'mine' } }), {
    ok: false,
    reason: 'status 200, expected 204, 300-399',
  });
  t.strictSame(requests, ['GET lvs-director undefined', 'HEAD lvs-director yes', 'GET mine undefined']);
  t.same(await probe({ path: '/200', body: 'good' }), { ok: true }, 'across two pieces');
  t.same(await probe({ path: '/200', body: 'bad' }), { ok: false, reason: "no 'bad' in the body" });
  t.same(await probe({ path: '/500', body: 'good' }), { ok: false, reason: 'status 500, expected 200' });
});

await t.test('http: a body is read no further than it has to be', async (t) => {
  const GOOD = { text: 'good', pattern: undefined, digest: undefined };
  const head = 'HTTP/1.1 200 OK\r\n\r\n';
  const good = await rawServer(t, `${head}good`, false);
  t.same(await prober.probe(httpCheck({ body: GOOD }), '127.0.0.1', good, 5000), { ok: true });
  const endless = await rawServer(t, head + 'x'.repeat(2 * MAX_BODY_BYTES), false);
  t.match(await prober.probe(httpCheck({ body: GOOD }), '127.0.0.1', endless, 5000), {
    ok: false,
    reason: `no 'good' in the first ${MAX_BODY_BYTES} bytes of the body`,
  });
});

await t.test('https: who is trusted', async (t) => {
  const folder = join(projectFolder(), 'test', 'fixtures', 'tls');
  const read = (name: string) => readFileSync(join(folder, name));
  const names: unknown[] = [];
  const hosts: (string | undefined)[] = [];
  const server = createHttpsServer(
    { cert: read('server.pem'), key: read('server.key') },
    (request, response) => {
      names.push((request.socket as TLSSocket).servername);
      hosts.push(request.headers.host);
      response.end();
    },
  );
  const port = await listen(server);
  t.teardown(() => server.close());
  const probe = (tls: Partial<TlsCheck>, at = port) =>
    prober.probe(httpCheck({ tls: tlsCheck(tls) }), '127.0.0.1', at, 5000);
  const caFile = join(folder, 'ca.pem');
  t.same(await probe({ caFile, serverName: 'web.example' }), { ok: true });
  t.same(await probe({ verify: false }), { ok: true });
  t.strictSame(names, ['web.example', false], 'an address is no server name');
  t.strictSame(hosts, ['web.example', `127.0.0.1:${port}`]);
  t.match(await probe({ serverName: 'web.example' }), {
    ok: false,
    reason: /of an authority that is not known/,
  });
  t.match(await probe({ caFile, serverName: 'other.example' }), { ok: false, reason: /other\.example/ });
  t.match(await probe({ caFile }), { ok: false, reason: /127\.0\.0\.1/ }, 'it is not for the address');
  const plain = createHttpServer();
  const plainPort = await listen(plain);
  t.teardown(() => plain.close());
  t.match(await probe({ verify: false }, plainPort), { ok: false, reason: /the TLS handshake failed/ });
  t.match(await probe({ caFile: '/nonexistent/ca.pem' }), {
    ok: undefined,
    reason: /ca_file \/nonexistent\/ca\.pem cannot be used: ENOENT/,
  });
  const text = join(folder, '..', '..', '..', 'package.json');
  t.match(await probe({ caFile: text }), { ok: undefined, reason: /holds no certificate/ });
});

/** A server that answers every connection with `bytes` and, if told, hangs up. */
async function rawServer(t: Test, bytes: string, hangUp: boolean): Promise<number> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.resume();
    socket.write(bytes);
    if (hangUp) {
      socket.end();
    }
  });
  t.teardown(() => {
    for (const socket of sockets) {
      socket.destroy();
    }
    server.close();
  });
  return listen(server);
}

await t.test('http: what is no answer', async (t) => {
  const cases: [name: string, bytes: string, hangUp: boolean, reason: string | RegExp][] = [
    ['silence', '', false, 'no answer within 80 ms'],
    ['half a status line', 'HTTP/1.1 20', false, 'no answer within 80 ms'],
    ['hang-up', '', true, 'connection closed without an answer'],
    ['another protocol', 'SSH-2.0-OpenSSH\r\n\r\n', false, /the answer is not HTTP/],
    [
      'endless headers',
      `HTTP/1.1 200 OK\r\nx: ${'y'.repeat(2 * MAX_HEADER_BYTES)}`,
      false,
      `more than ${MAX_HEADER_BYTES} bytes of headers`,
    ],
  ];
  for (const [name, bytes, hangUp, reason] of cases) {
    const port = await rawServer(t, bytes, hangUp);
    const timeoutMs = name.startsWith('s') || name.startsWith('half') ? 80 : 5_000;
    const outcome = await prober.probe(http(200), '127.0.0.1', port, timeoutMs);
    t.match(outcome, { ok: false, reason }, name);
  }
});

await t.test('http: a status line is enough though the body never ends', async (t) => {
  const port = await rawServer(t, 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nabc', false);
  t.same(await prober.probe(http(200), '127.0.0.1', port, 200), { ok: true });
});

async function udpServer(t: Test, answer: (message: Buffer) => Buffer | undefined): Promise<number> {
  const socket = createSocket('udp4');
  socket.on('message', (message, peer) => {
    const reply = answer(message);
    if (reply !== undefined) socket.send(reply, peer.port, peer.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  t.teardown(() => socket.close());
  return socket.address().port;
}

await t.test('udp: an answer, and the right one', async (t) => {
  const heard: string[] = [];
  const port = await udpServer(t, (message) => {
    heard.push(message.toString('hex'));
    return message.length === 0 ? undefined : Buffer.from('pong\0');
  });
  const probe = (send: string, expect?: string, at = port) =>
    prober.probe({ type: 'udp', send, expect }, '127.0.0.1', at, 200);
  t.same(await probe('00ff'), { ok: true });
  t.same(await probe('00ff', '6700'), { ok: true });
  t.same(await probe('00ff', '6701'), { ok: false, reason: 'the answer is another one' });
  t.same(await probe(''), { ok: false, reason: 'no answer within 200 ms' });
  t.strictSame(heard, ['00ff', '00ff', '00ff', '']);
  const gone = createSocket('udp4');
  gone.bind(0, '127.0.0.1');
  await once(gone, 'listening');
  const closed = gone.address().port;
  gone.close();
  t.match(
    await prober.probe({ type: 'udp', send: '00', expect: undefined }, '255.255.255.255', port, 200),
    { ok: false, reason: /route that prohibits it/ },
    'what the system refuses at once',
  );
  t.same(await probe('00', undefined, closed), { ok: false, reason: 'connection refused' });
});

/** A name server's answer: the question again, with a code (RFC 1035 section 4.1.1) and a copy of `record` if there is one. */
function dnsAnswer(question: Buffer, code: number, record?: Buffer): Buffer {
  // Without what comes behind the question (EDNS).
  const name = question.indexOf(0, 12);
  const answer = Buffer.from(question.subarray(0, name + 5));
  answer.writeUInt16BE(0x8180 | code, 2);
  answer.writeUInt16BE(record === undefined ? 0 : 1, 6);
  answer.writeUInt16BE(0, 8);
  answer.writeUInt16BE(0, 10);
  return record === undefined ? answer : Buffer.concat([answer, record]);
}

await t.test('dns: a name server that knows the record', async (t) => {
  // A pointer to the question's name, type A, class IN, a minute, four bytes.
  const record = Buffer.from('c00c000100010000003c0004c0000201', 'hex');
  const codes: Readonly<Record<string, number>> = { good: 0, bad: 2, unknown: 3, no: 5 };
  const port = await udpServer(t, (question) => {
    const name = question.toString('latin1', 13, 13 + (question[12] ?? 0));
    if (name === 'silent') return undefined;
    return dnsAnswer(question, codes[name] ?? 0, name === 'good' ? record : undefined);
  });
  const probe = (name: string, recordType = 'A') =>
    prober.probe({ type: 'dns', name, recordType }, '127.0.0.1', port, 300);
  t.same(await probe('good'), { ok: true });
  t.same(await probe('bad'), { ok: false, reason: 'the server could not answer (SERVFAIL)' });
  t.same(await probe('unknown'), { ok: false, reason: 'the name is not known' });
  t.same(await probe('no'), { ok: false, reason: 'the server refuses the question (REFUSED)' });
  t.same(await probe('empty'), { ok: false, reason: 'the name has no such record' });
  t.same(await probe('silent'), { ok: false, reason: 'no answer within 300 ms' });
});

await t.test('command: with whom it is about, and a few at a time', async (t) => {
  const requests: CommandRequest[] = [];
  const ends: (() => void)[] = [];
  const byCommand = openProber({
    run: (request) => {
      requests.push(request);
      return new Promise((resolve) => {
        ends.push(() => resolve({ type: 'exited', status: requests.length % 2, output: 'so it is' }));
      });
    },
    close: async () => {},
  });
  const check = {
    type: 'command',
    command: ['/bin/check', '-x'],
    user: undefined,
    exitStatusWeight: false,
  } as const;
  const all = Array.from({ length: 40 }, (_, last) => byCommand.probe(check, `10.0.0.${last}`, 80, 500));
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(requests.length, 16);
  t.same(requests[3], {
    command: ['/bin/check', '-x'],
    user: undefined,
    timeoutMs: 500,
    environment: { LVS_DIRECTOR_REAL_SERVER: '10.0.0.3', LVS_DIRECTOR_PORT: '80' },
  });
  while (ends.length > 0) {
    t.ok(ends.length <= 16);
    ends.shift()?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  t.equal(requests.length, 40, 'each has its turn');
  const outcomes = await Promise.all(all);
  t.ok(outcomes.some(({ ok }) => ok === true));
  t.match(
    outcomes.find(({ ok }) => ok === false),
    { reason: 'exit status 1: so it is' },
  );
});

await t.test('command: an exit status may carry a weight', async (t) => {
  const outcomeOf = async (outcome: CommandOutcome, exitStatusWeight: boolean) => {
    const byCommand = openProber({ run: async () => outcome, close: async () => {} });
    const check = { type: 'command', command: ['/bin/check'], user: undefined, exitStatusWeight } as const;
    return byCommand.probe(check, '10.0.0.2', 80, 500);
  };
  const exited = (status: number) => ({ type: 'exited', status, output: '' }) as const;
  t.strictSame(await outcomeOf(exited(0), true), { ok: true }, 'the configured one');
  t.strictSame(await outcomeOf(exited(1), true), { ok: false, reason: 'exit status 1' });
  t.strictSame(await outcomeOf(exited(2), true), { ok: true, weight: 0 });
  t.strictSame(await outcomeOf(exited(255), true), { ok: true, weight: 253 });
  t.match(await outcomeOf({ type: 'timed-out', output: '' }, true), { ok: false });
  t.match(await outcomeOf(exited(2), false), { ok: false, reason: 'exit status 2' });
});

await t.test('out of file descriptors: the host says nothing of the server', async (t) => {
  const server = createServer((socket) => socket.end());
  const port = await listen(server);
  t.teardown(() => server.close());
  const module = new URL('../../../src/io/checks/probes.js', import.meta.url).href;
  const program = `
    const { openSync } = await import('node:fs');
    const prober = (await import(${JSON.stringify(module)})).openProber({});
    const probe = (check) => prober.probe(check, '127.0.0.1', ${port}, 10_000);
    const http = ${JSON.stringify(httpCheck())};
    try { for (;;) openSync('/dev/null'); } catch {}
    console.log(JSON.stringify([await probe({ type: 'tcp' }), await probe(http)]));`;
  // As an argument: the shell has nothing to read in it.
  const child = spawn('/bin/sh', [
    '-c',
    'ulimit -n 64; exec "$0" --input-type=module -e "$1"',
    process.execPath,
    program,
  ]);
  let out = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
  });
  await once(child, 'close');
  const left = { reason: 'this director has no file descriptor left' };
  t.same(JSON.parse(out), [left, left]);
});

await t.test('a refusal of this host is told in words', async (t) => {
  // A broadcast address is the one that every host refuses (EACCES).
  const outcome = await prober.probe({ type: 'tcp' }, '255.255.255.255', 80, 1_000);
  t.equal(outcome.ok, false);
  t.notMatch(outcome, { reason: /connect|Local|[A-Z]{4}/ });
});

await t.test('never rejects', async (t) => {
  const outcome = await prober.probe(http(200, '/a b'), '127.0.0.1', 1, 100);
  t.match(outcome, { ok: false, reason: /path/ });
  t.match(await prober.probe({ type: 'tcp' }, '127.0.0.1', 70_000, 100), { ok: false, reason: /port/i });
});
