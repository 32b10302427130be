/** `GET /metrics` over loopback and over a unix socket. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { type IncomingHttpHeaders, type RequestOptions, request } from 'node:http';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { MetricsListen } from '../../../src/config/model.js';
import { type MetricsText, serveMetrics } from '../../../src/io/operator/metrics-server.js';
import { freePort } from '../../free-port.js';
import { HandClock } from '../hand-clock.js';

const TEXT: MetricsText = {
  contentType: 'text/plain; version=0.0.4; charset=utf-8',
  parts: [Buffer.from('# HELP a A.\n'), Buffer.from('a{b="ü"} 1\n')],
};
const WHOLE = '# HELP a A.\na{b="ü"} 1\n';

/** Nobody looks. */
const KEEPING = { clock: new HandClock(), onTrouble: (_words: string) => {} };

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

function ask(options: RequestOptions): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request({ path: '/metrics', agent: false, ...options }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('end', () =>
        resolve({
          status: response.statusCode,
          headers: response.headers,
          text: Buffer.concat(parts).toString(),
        }),
      );
    })
      .on('error', reject)
      .end();
  });
}

/** Serves until the test ends; what it returns ends it sooner. */
async function serve(t: Test, listen: MetricsListen, scrape = async () => TEXT) {
  const close = await serveMetrics(listen, scrape, KEEPING);
  t.teardown(close);
  return close;
}

function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'metrics-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function listening(t: Test, where: string | { host: string; port: number }): Promise<Server> {
  const server = createServer();
  t.teardown(() => server.close());
  return new Promise((resolve) => {
    server.listen(where, () => resolve(server));
  });
}

void t.test('over loopback', async (t) => {
  const port = await freePort();
  const close = await serve(t, { address: '127.0.0.1', port });
  const answer = await ask({ host: '127.0.0.1', port });
  t.equal(answer.status, 200);
  t.equal(answer.text, WHOLE);
  t.match(answer.headers, {
    'content-type': TEXT.contentType,
    'content-length': String(Buffer.byteLength(WHOLE)),
  });
  await close();
  await t.rejects(ask({ host: '127.0.0.1', port }), { code: 'ECONNREFUSED' });
});

void t.test('over a unix socket, which is root’s alone and goes with it', async (t) => {
  const path = join(folder(t), 'm.sock');
  const old = process.umask(0);
  t.teardown(() => process.umask(old));
  const close = await serve(t, { path });
  t.equal((statSync(path).mode & 0o777).toString(8), '600');
  t.equal((await ask({ socketPath: path })).text, WHOLE);
  await close();
  t.notOk(existsSync(path));
});

void t.test('only this is asked for, and only so', async (t) => {
  const path = join(folder(t), 'm.sock');
  await serve(t, { path });
  t.equal((await ask({ socketPath: path, path: '/' })).status, 404);
  t.equal((await ask({ socketPath: path, path: '/status' })).status, 404);
  t.equal((await ask({ socketPath: path, method: 'POST' })).status, 405);
  t.equal((await ask({ socketPath: path, path: '/metrics?x=1' })).status, 200);
  const head = await ask({ socketPath: path, method: 'HEAD' });
  t.match(head, { status: 200, text: '', headers: { 'content-length': String(Buffer.byteLength(WHOLE)) } });
});

void t.test('a scrape that cannot be answered is told why', async (t) => {
  const path = join(folder(t), 'm.sock');
  await serve(t, { path }, async () => Promise.reject(new Error('still starting')));
  t.match(await ask({ socketPath: path }), { status: 503, text: 'still starting\n' });
});

void t.test('a port that is taken is a fault', async (t) => {
  const port = await freePort();
  await listening(t, { host: '127.0.0.1', port });
  await t.rejects(
    serveMetrics({ address: '127.0.0.1', port }, async () => TEXT, KEEPING),
    { code: 'EADDRINUSE' },
  );
});

void t.test('the socket of a process that was killed is replaced', async (t) => {
  const path = join(folder(t), 'm.sock');
  const program = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`;
  t.equal(spawnSync(process.execPath, ['-e', program, path]).signal, 'SIGKILL');
  t.ok(existsSync(path), 'it is still there');
  await serve(t, { path });
  t.equal((await ask({ socketPath: path })).status, 200);
});

void t.test('a socket that somebody listens at, and what is none, stay', async (t) => {
  const directory = folder(t);
  const path = join(directory, 'theirs.sock');
  await listening(t, path);
  await t.rejects(
    serveMetrics({ path }, async () => TEXT, KEEPING),
    {
      code: 'ERR_METRICS_SOCKET',
      message: `somebody listens at ${path}`,
    },
  );
  const file = join(directory, 'file');
  writeFileSync(file, 'precious');
  await t.rejects(
    serveMetrics({ path: file }, async () => TEXT, KEEPING),
    {
      code: 'ERR_METRICS_SOCKET',
      message: `${file} is there, and is no socket`,
    },
  );
  t.ok(existsSync(file));
  await t.rejects(
    serveMetrics({ path: join(directory, 'no', 'm.sock') }, async () => TEXT, KEEPING),
    {
      message: `there is no folder ${join(directory, 'no')}`,
    },
  );
});

void t.test('a client that never reads holds up nobody, and not the end', async (t) => {
  const path = join(folder(t), 'm.sock');
  const big = { ...TEXT, parts: [Buffer.alloc(8_000_000, '#')] };
  const close = await serve(t, { path }, async () => big);
  const stuck = request({ path: '/metrics', socketPath: path, agent: false }, (response) => response.pause());
  stuck.on('error', () => {});
  stuck.end();
  t.equal((await ask({ socketPath: path })).text.length, 8_000_000);
  await close();
  t.pass('it ended');
});
