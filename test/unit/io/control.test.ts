/** The daemon's unix socket and who asks it. */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer as createHttpServer, request } from 'node:http';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { fetchStatus, NoDirectorError } from '../../../src/io/operator/control-client.js';
import {
  ControlSocketError,
  controlSocketPath,
  openControlServer,
} from '../../../src/io/operator/control-server.js';
import { type ControlAnswers, ControlRequestError } from '../../../src/io/operator/http-socket.js';
import { LOOK_MS } from '../../../src/runtime/looks.js';
import { MAIN } from '../../program.js';
import { HandClock } from '../hand-clock.js';

type Answers = ControlAnswers['get'];
const ANSWERS = { '/status': () => ({ version: 1, director: 'lb1' }) };

/** Nobody looks. */
const KEEPING = { clock: new HandClock(), onTrouble: (_words: string) => {} };

/** Short, because the path of a unix socket has at most 107 characters. */
function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'control-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function open(t: Test, directory: string, answers: Answers = ANSWERS, post = {}, keeping = KEEPING) {
  const server = await openControlServer(directory, { get: answers, post }, keeping);
  t.teardown(() => server.close());
  return server;
}

function mode(path: string): string {
  return (statSync(path).mode & 0o777).toString(8);
}

/** Of work in other threads, which has no time of its own here. */
async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 10_000 && !isSo(); turn += 1)
    await new Promise((resolve) => setImmediate(resolve));
}

/** Status code of one request. */
function ask(socketPath: string, path: string, method = 'GET'): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path, method }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
    })
      .on('error', reject)
      .end();
  });
}

function listen(t: Test, server: Server, path: string): Promise<void> {
  t.teardown(() => server.close());
  return new Promise((resolve) => {
    server.listen(path, () => resolve());
  });
}

void t.test('root alone reaches it', async (t) => {
  const directory = join(folder(t), 'made', 'deep');
  const old = process.umask(0);
  t.teardown(() => process.umask(old));
  const server = await open(t, directory);
  t.equal(mode(directory), '700');
  t.equal(mode(controlSocketPath(directory)), '600');
  t.match(await fetchStatus(directory), { version: 1, director: 'lb1' });
  await server.close();
  t.notOk(existsSync(controlSocketPath(directory)), 'nothing is left');
});

void t.test('it answers with the state of now, and to nothing else', async (t) => {
  const directory = folder(t);
  let asked = 0;
  await open(t, directory, {
    '/status': () => {
      asked += 1;
      return { asked };
    },
  });
  t.match(await fetchStatus(directory), { asked: 1 });
  t.match(await fetchStatus(directory), { asked: 2 });
  const path = controlSocketPath(directory);
  t.equal(await ask(path, '/'), 404);
  t.equal(await ask(path, '/toString'), 404);
  t.equal(await ask(path, '/status', 'POST'), 404);
  t.equal(asked, 2);
});

/** Status code and parsed answer of one POST. */
function post(socketPath: string, path: string, body: string): Promise<{ status: number; answer: unknown }> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, method: 'POST' }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, answer: JSON.parse(text) }));
    });
    asked.on('error', reject);
    asked.end(body);
  });
}

void t.test('orders: bounded, JSON, and only where there is one', async (t) => {
  const directory = folder(t);
  const orders: unknown[] = [];
  await open(t, directory, ANSWERS, {
    '/order': (body: unknown) => {
      orders.push(body);
      return { done: true };
    },
    '/refuse': () => {
      throw new ControlRequestError('not today');
    },
    '/fault': async () => {
      throw new Error('a fault of ours');
    },
  });
  const path = controlSocketPath(directory);
  t.same(await post(path, '/order', '{"on":true}'), { status: 200, answer: { done: true } });
  t.same(await post(path, '/order', ''), { status: 200, answer: { done: true } });
  t.same(orders, [{ on: true }, undefined]);
  t.same(await post(path, '/order', '{'), { status: 400, answer: { error: 'the request is no JSON' } });
  t.match(await post(path, '/order', `"${'x'.repeat(70_000)}"`), { status: 400, answer: { error: /bytes/ } });
  t.equal(orders.length, 2, 'the bad ones went nowhere');
  t.same(await post(path, '/refuse', ''), { status: 400, answer: { error: 'not today' } });
  t.same(await post(path, '/fault', ''), { status: 500, answer: { error: 'a fault of ours' } });
  t.same(await post(path, '/status', ''), { status: 404, answer: { error: 'not found' } });
  t.equal(await ask(path, '/order'), 404);
  t.match(await fetchStatus(directory), { version: 1, director: 'lb1' }, 'and it goes on answering');
});

void t.test('of two that start in the same instant one runs', async (t) => {
  const directory = folder(t);
  for (let round = 0; round < 20; round += 1) {
    const both = await Promise.allSettled([
      openControlServer(directory, { get: ANSWERS }, KEEPING),
      openControlServer(directory, { get: ANSWERS }, KEEPING),
    ]);
    const opened = both.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    t.equal(opened.length, 1);
    t.match(await fetchStatus(directory), { version: 1, director: 'lb1' });
    await Promise.all(opened.map((server) => server.close()));
  }
});

void t.test('a second daemon is refused, and the first goes on', async (t) => {
  const directory = folder(t);
  await open(t, directory);
  await t.rejects(openControlServer(directory, { get: {} }, KEEPING), {
    constructor: ControlSocketError,
    code: 'ERR_CONTROL_SOCKET',
    message: `a director runs already: it answers on ${controlSocketPath(directory)}`,
  });
  t.match(await fetchStatus(directory), { version: 1, director: 'lb1' });
});

void t.test('a socket that somebody removes comes back, who is connected stays so', async (t) => {
  const directory = folder(t);
  const path = controlSocketPath(directory);
  const clock = new HandClock();
  const trouble: string[] = [];
  const keeping = { clock, onTrouble: (words: string) => void trouble.push(words) };
  let release = () => {};
  let isAsked = false;
  const wait = () => {
    isAsked = true;
    return new Promise((resolve) => {
      release = () => resolve({ waited: true });
    });
  };
  const server = await open(t, directory, { ...ANSWERS, '/slow': wait }, {}, keeping);
  const look = async () => {
    await clock.advance(LOOK_MS);
    // lstat(2) is at work in another thread.
    await until(() => existsSync(path));
  };
  await clock.advance(10 * LOOK_MS);
  t.same(trouble, [], 'it is there');
  const slow = ask(path, '/slow');
  await until(() => isAsked);
  for (const remove of [
    () => rmSync(path),
    () => renameSync(path, `${path}.away`),
    () => rmSync(directory, { recursive: true }),
  ]) {
    remove();
    await t.rejects(fetchStatus(directory), { code: 'ERR_NO_DIRECTOR' });
    await look();
    t.match(await fetchStatus(directory), { version: 1, director: 'lb1' });
    t.equal(mode(path), '600');
    t.equal(mode(directory), '700');
    t.match(trouble.splice(0), [/somebody removed .*director.sock: made again/]);
    await t.rejects(openControlServer(directory, { get: {} }, KEEPING), {
      code: 'ERR_CONTROL_SOCKET',
      message: /runs already/,
    });
  }
  release();
  t.equal(await slow, 200);
  await server.close();
  await clock.advance(10 * LOOK_MS);
  t.notOk(existsSync(path), 'nobody looks any more');
});

void t.test('not beside another director that has the directory by now', async (t) => {
  const directory = folder(t);
  const clock = new HandClock();
  const trouble: string[] = [];
  await open(t, directory, ANSWERS, {}, { clock, onTrouble: (words: string) => void trouble.push(words) });
  rmSync(directory, { recursive: true });
  await open(t, directory, { '/status': () => ({ version: 1, director: 'lb2' }) });
  rmSync(controlSocketPath(directory));
  await clock.advance(LOOK_MS);
  await until(() => trouble.length > 0);
  t.match(trouble, [/cannot be made again: a director runs already/]);
  await clock.advance(3 * LOOK_MS);
  t.equal(trouble.length, 1, 'told once');
  t.notOk(existsSync(controlSocketPath(directory)));
});

void t.test('the socket of a killed daemon is replaced', async (t) => {
  const directory = folder(t);
  const path = controlSocketPath(directory);
  const dead = createServer();
  await listen(t, dead, `${path}.before`);
  renameSync(`${path}.before`, path);
  await new Promise((resolve) => dead.close(resolve));
  t.ok(statSync(path).isSocket(), 'it lies there');
  await t.rejects(fetchStatus(directory), { code: 'ERR_NO_DIRECTOR', message: /no director runs here/ });
  await open(t, directory);
  t.match(await fetchStatus(directory), { version: 1, director: 'lb1' });
});

void t.test('a place that cannot be used is told', async (t) => {
  const directory = folder(t);
  const file = join(directory, 'file');
  writeFileSync(file, '');
  await t.rejects(openControlServer(join(file, 'x'), { get: {} }, KEEPING), {
    code: 'ERR_CONTROL_SOCKET',
    message: new RegExp(`^cannot make ${file}/x: `),
  });
  const long = join(directory, 'x'.repeat(120));
  await t.rejects(openControlServer(long, { get: {} }, KEEPING), {
    code: 'ERR_CONTROL_SOCKET',
    message: new RegExp(`^cannot listen on ${long}/director.sock: `),
  });
});

void t.test('nobody there: what to do', async (t) => {
  const directory = folder(t);
  await t.rejects(fetchStatus(directory), {
    constructor: NoDirectorError,
    code: 'ERR_NO_DIRECTOR',
    message: `no director runs here: nothing answers on ${controlSocketPath(directory)} (start it with 'systemctl start lvs-director' or 'director run')`,
  });
});

void t.test('somebody there who is no director', async (t) => {
  const silent = folder(t);
  await listen(
    t,
    createServer((socket) => socket.end()),
    controlSocketPath(silent),
  );
  const words = (directory: string) =>
    new RegExp(`^the director on ${controlSocketPath(directory)} does not answer: `);
  await t.rejects(fetchStatus(silent), { code: 'ERR_NO_DIRECTOR', message: words(silent) });

  const garbage = folder(t);
  await listen(
    t,
    createHttpServer((_, response) => response.end('no JSON')),
    controlSocketPath(garbage),
  );
  await t.rejects(fetchStatus(garbage), { code: 'ERR_NO_DIRECTOR', message: words(garbage) });

  const other = folder(t);
  await open(t, other, {});
  await t.rejects(fetchStatus(other), { code: 'ERR_NO_DIRECTOR', message: /does not answer: .*404/ });
});

void t.test('without access', async (t) => {
  const directory = folder(t);
  await open(t, directory);
  chmodSync(directory, 0);
  t.teardown(() => chmodSync(directory, 0o700));
  // User 0 without its capabilities is bound by modes like anybody else.
  const asAnybody =
    process.getuid?.() === 0 ? ['setpriv', '--bounding-set', '-all', '--inh-caps', '-all'] : ['env'];
  const argv = [...asAnybody, process.execPath, MAIN, 'status', '--runtime-dir', directory];
  const { status, stdout, stderr } = spawnSync(argv[0] ?? '', argv.slice(1), { encoding: 'utf8' });
  t.equal(status, 1);
  t.equal(stdout, '');
  t.equal(stderr, `director: only root may ask the director: no access to ${controlSocketPath(directory)}\n`);
});
