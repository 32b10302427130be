/** Directors with a log in trouble: one is killed, a terminal goes away, the trouble ends and is told. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  Bench,
  childrenOf,
  directorYaml,
  FILE_LIMIT_MS,
  isAlive,
  settled,
  statusOf,
  stop,
  test,
} from '../daemon-helpers.js';
import { becomes, FULL, troubled } from './log-troubles.js';

t.jobs = 2;
t.setTimeout(FILE_LIMIT_MS);

/** In a pseudo-terminal, whose other side is script(1), which takes one text: `launch` knows that one as the child. */
const QUOTED = `for word; do all="$all '$(printf %s "$word" | sed "s/'/'\\\\''/g")'"; done`;
const TERMINAL = ['/bin/sh', '-c', `${QUOTED}; exec script -qec "exec $all" /dev/null`, 'sh'];

test('one of two whose logs are full is killed', async (t) => {
  const bench = await Bench.open(t);
  const lb1 = await troubled(bench, 'lb1', FULL);
  await becomes(lb1, 'master');
  const lb2 = await troubled(bench, 'lb2', FULL);
  await becomes(lb2, 'backup');
  lb1.child.kill('SIGKILL');
  await becomes(lb2, 'master');
  await bench.heldBy('lb2');
  t.match(await stop(lb2), { status: 0, signal: null });
  await bench.heldBy(undefined);
});

test('a terminal that goes away', async (t) => {
  const bench = await Bench.open(t);
  const lb1 = await bench.launch('lb1', directorYaml(), TERMINAL);
  await settled('it runs', () => childrenOf(lb1.child.pid, 'node').length === 1);
  const [pid = 0] = childrenOf(lb1.child.pid, 'node');
  t.teardown(() => {
    if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  });
  await becomes(lb1, 'master');
  lb1.child.kill('SIGKILL');
  await lb1.child.exited;
  // The kernel sends SIGHUP to who had it as its controlling terminal: a reload, which has something to say.
  await settled('the status tells', async () => (await statusOf(lb1)).log.failed_writes > 0);
  t.match((await statusOf(lb1)).log.error, /i\/o error/);
  t.equal((await statusOf(lb1)).instances[0]?.state, 'master');
  process.kill(pid, 'SIGTERM');
  await settled('it leaves', () => !isAlive(pid));
  await bench.heldBy(undefined);
});

test('when there is room again, the log goes on and says what befell it', async (t) => {
  const bench = await Bench.open(t);
  const lb1 = await troubled(bench, 'lb1', FULL);
  await becomes(lb1, 'master');
  await settled('status tells it', async () => /no space/.test((await statusOf(lb1)).log.error ?? ''));
  const folder = join('/proc', String(lb1.child.pid), 'root', bench.folder, `full-${lb1.child.pid}`);
  rmSync(join(folder, 'fill'));
  const log = join(folder, 'log');
  await settled('the log tells it', () => existsSync(log) && readFileSync(log, 'utf8').includes('no space'));
  await settled('both processes write again', async () => {
    const { log: ours, services } = await statusOf(lb1);
    return ours.error === null && services.log?.error === null;
  });
  t.equal((await statusOf(lb1)).log.lines_lost, 0, 'what waited is written');
  for (const line of readFileSync(log, 'utf8').trimEnd().split('\n')) JSON.parse(line);
  t.match(readFileSync(log, 'utf8'), /"event":"role".*"to":"master"/);
  t.match(await stop(lb1), { status: 0, signal: null });
});
