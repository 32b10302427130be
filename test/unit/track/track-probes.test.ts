/** Looks at real files and processes, and what the outcomes of scripts mean. */
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { MAX_STATES_A_TURN, ProcessTable } from '../../../src/io/checks/process-table.js';
import { openTrackProber } from '../../../src/io/checks/track-probes.js';
import type { CommandOutcome, Commands } from '../../../src/runtime/services/services-ports.js';
import type { LookKind } from '../../../src/track/track.js';

const NEVER = new AbortController().signal;

function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'track-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function commands(outcome: CommandOutcome): Commands {
  return { run: () => Promise.resolve(outcome), close: () => Promise.resolve() };
}

function look(kind: LookKind, outcome: CommandOutcome = { type: 'cancelled' }) {
  return openTrackProber(commands(outcome)).look(kind, NEVER);
}

void t.test('a file holds a whole number', async (t) => {
  const path = join(folder(t), 'number');
  const holds = (text: string) => {
    writeFileSync(path, text);
    return look({ type: 'file', path });
  };
  t.same(await look({ type: 'file', path }), { type: 'seen', ok: true, value: 0 }, 'missing');
  t.same(await holds(''), { type: 'seen', ok: true, value: 0 });
  t.same(await holds(' \n'), { type: 'seen', ok: true, value: 0 });
  t.same(await holds('0\n'), { type: 'seen', ok: true, value: 0 });
  t.same(await holds('-0'), { type: 'seen', ok: true, value: 0 });
  t.match(await holds('17\n'), { type: 'seen', ok: false, value: 17 });
  t.match(await holds(' -254 '), { value: -254 });
  t.match(await holds('+3'), { value: 3 });
  for (const garbage of ['x', '1.5', '0x10', '1 2', '1e3', '99999999999', '1'.repeat(100), '1\0', '٣']) {
    t.match(await holds(garbage), { type: 'unusable', reason: 'holds no whole number' }, garbage);
  }
  t.match(await holds(`5${' '.repeat(1000)}`), { type: 'unusable' });
});

void t.test('what is no file is said so, and a pipe does not hold up', async (t) => {
  const directory = folder(t);
  t.match(await look({ type: 'file', path: directory }), { type: 'unusable', reason: 'no regular file' });
  const pipe = join(directory, 'pipe');
  execFileSync('mkfifo', [pipe]);
  t.match(await look({ type: 'file', path: pipe }), { type: 'unusable', reason: 'no regular file' });
  t.match(await look({ type: 'file', path: join(directory, 'a\0b') }), { type: 'unusable' });
});

void t.test('files that hang leave scripts, processes and other files alone', async (t) => {
  const read = (path: string) =>
    path.startsWith('/hung/') ? new Promise<undefined>(() => {}) : Promise.resolve('1');
  const script: CommandOutcome = { type: 'exited', status: 0, output: '' };
  const prober = openTrackProber(commands(script), undefined, read);
  const hung = [1, 2, 3, 4].map((n) => prober.look({ type: 'file', path: `/hung/${n}` }, NEVER));
  t.match(await prober.look({ type: 'file', path: '/well' }, NEVER), { type: 'seen', value: 1 });
  const one = { type: 'script', command: ['/x'], user: undefined, timeoutMs: 70 } as const;
  t.match(await prober.look(one, NEVER), { type: 'seen', ok: true });
  for (const outcome of await Promise.all(hung)) t.match(outcome, { type: 'unusable', reason: /no answer/ });
});

void t.test('a script is up with exit status 0 only', async (t) => {
  const script = { type: 'script', command: ['/x'], user: undefined, timeoutMs: 70 } as const;
  t.same(await look(script, { type: 'exited', status: 0, output: 'x' }), { type: 'seen', ok: true });
  t.same(await look(script, { type: 'exited', status: 2, output: 'no\nroute' }), {
    type: 'seen',
    ok: false,
    reason: 'exit status 2: no route',
  });
  t.match(await look(script, { type: 'killed', signal: 'SIGSEGV', output: '' }), {
    ok: false,
    reason: 'ended by SIGSEGV',
  });
  t.match(await look(script, { type: 'timed-out', output: '' }), {
    ok: false,
    reason: 'not done within 70 ms',
  });
  t.match(await look(script, { type: 'refused', reason: 'no user' }), {
    ok: false,
    reason: 'not run: no user',
  });
  t.match(await look(script, { type: 'cancelled' }), { type: 'unusable' });
});

/** Starts a program under a name of its own. */
async function start(t: Test, argv0: string, program = 'sleep') {
  const child = spawn(program, ['60'], { argv0, stdio: 'ignore' });
  t.teardown(() => child.kill('SIGKILL'));
  await new Promise((resolve) => child.once('spawn', resolve));
  return child;
}

void t.test('a process is found by its argv[0] and by its comm, and missed when it is gone', async (t) => {
  const id = randomBytes(4).toString('hex');
  const prober = openTrackProber(commands({ type: 'cancelled' }));
  const find = (process: string) => prober.look({ type: 'process', process }, NEVER);
  const name = `named-by-argv0-${id}`;
  t.same(await find(name), { type: 'seen', ok: false, reason: `no process ${name} runs` });
  const child = await start(t, `/usr/lib/${name}`);
  t.match(await find(name), { ok: true });
  t.match(await find(name), { ok: true }, 'the one remembered');
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
  t.match(await find(name), { ok: false });

  const program = join(folder(t), `comm-${id}`);
  copyFileSync(execFileSync('sh', ['-c', 'command -v sleep'], { encoding: 'utf8' }).trim(), program);
  await start(t, 'other', program);
  t.match(await find(`comm-${id}`), { ok: true });
});

void t.test('a zombie, a comm cut short and odd names', async (t) => {
  const proc = folder(t);
  const put = (pid: number, comm: string, state: string, cmdline: string) => {
    mkdirSync(join(proc, String(pid)), { recursive: true });
    writeFileSync(join(proc, String(pid), 'stat'), `${pid} (${comm}) ${state} 1 1`);
    writeFileSync(join(proc, String(pid), 'cmdline'), cmdline);
  };
  mkdirSync(join(proc, 'self'));
  put(10, 'zombie', 'Z', '');
  put(11, 'a) R (b', 'S', 'x\0');
  put(12, 'fifteen-letters', 'S', '/usr/bin/fifteen-letters-and-more\0-d\0');
  put(13, 'kthreadd', 'S', '');
  put(process.pid, 'self-named', 'S', 'self-named\0');
  const table = new ProcessTable(proc);
  t.equal(await table.has('zombie'), false);
  t.equal(await table.has('a) R (b'), true);
  t.equal(await table.has('fifteen-letters'), true);
  t.equal(await table.has('fifteen-letters-and-more'), true);
  t.equal(await table.has('fifteen-letters-and-less'), false);
  t.equal(await table.has(''), false);
  t.equal(await table.has('self-named'), false);
  t.same(await Promise.all(['kthreadd', 'nobody', 'x'].map((name) => table.has(name))), [true, false, true]);
  put(12, 'another', 'S', 'another\0');
  t.equal(await table.has('fifteen-letters'), false, 'the id belongs to another program now');
  await t.rejects(new ProcessTable(join(proc, 'none')).has('x'), { code: 'ENOENT' });
});

void t.test('many objects share one search, which never holds the event loop for long', async (t) => {
  const proc = folder(t);
  const processes = 5 * MAX_STATES_A_TURN;
  for (let pid = 1; pid <= processes; pid += 1) {
    mkdirSync(join(proc, String(pid)));
    writeFileSync(join(proc, String(pid), 'stat'), `${pid} (p${pid}) S 1 1`);
    writeFileSync(join(proc, String(pid), 'cmdline'), `p${pid}\0`);
  }
  let turns = 0;
  const table = new ProcessTable(proc, async () => {
    turns += 1;
  });
  const names = Array.from({ length: 300 }, (_, i) => `none${i}`);
  const found = await Promise.all([...names, `p${processes}`].map((name) => table.has(name)));
  t.same(
    found,
    [...names, 'p'].map((name) => name === 'p'),
  );
  t.equal(turns, 4, 'one search of five turns for all of them');
});
