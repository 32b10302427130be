/** Running directors whose log cannot be written: the pair serves on, fails over, obeys, and tells afterwards. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  Bench,
  directorYaml,
  FILE_LIMIT_MS,
  type LaunchedDirector,
  settled,
  statusOf,
  stop,
  test,
} from './daemon-helpers.js';

t.jobs = 2;
t.setTimeout(FILE_LIMIT_MS);

const YAML = directorYaml();
/** Where standard output and standard error go; "$0" is the folder of the test, "$@" the director. */
const TROUBLES = {
  'a full file system':
    'mkdir "$0/full-$$" && cd "$0/full-$$" && mount -t tmpfs -o size=64k none . && cd "$PWD" && ' +
    '{ cat /dev/zero > fill || :; } 2>/dev/null && exec "$@" > log 2>&1',
  'a device that is always full': 'exec "$@" > /dev/full 2>&1',
  'a pipe that nobody reads':
    'mkfifo "$0/pipe-$$" && exec 9<> "$0/pipe-$$" && head -c 65536 /dev/zero >&9 && exec "$@" > "$0/pipe-$$" 2>&1',
  'a pipe whose reader is gone':
    'mkfifo "$0/pipe-$$" && exec 9<> "$0/pipe-$$" 8> "$0/pipe-$$" 9<&- && exec "$@" >&8 2>&1',
  nothing: 'exec "$@" >&- 2>&-',
};

/** In a mount namespace of its own, so that nothing stays mounted. */
function troubled(bench: Bench, host: string, shell: string): Promise<LaunchedDirector> {
  return bench.launch(host, YAML, ['unshare', '--mount', '/bin/sh', '-c', shell, bench.folder]);
}

async function becomes(director: LaunchedDirector, state: string): Promise<void> {
  await settled(`${director.host} is ${state}`, async () => {
    if (!director.child.running) throw new Error(`${director.host} ended`);
    // Its socket comes when it has begun.
    const status = await statusOf(director).catch(() => undefined);
    const [instance] = status?.instances ?? [];
    return instance?.state === state && (state === 'master' || instance.master !== null);
  });
}

for (const [name, shell] of Object.entries(TROUBLES)) {
  test(`the log of both goes to ${name}`, async (t) => {
    const bench = await Bench.open(t);
    const lb1 = await troubled(bench, 'lb1', shell);
    await becomes(lb1, 'master');
    const lb2 = await troubled(bench, 'lb2', shell);
    await becomes(lb2, 'backup');
    await bench.heldBy('lb1');
    t.match(await stop(lb1), { status: 0, signal: null }, 'it hands over and leaves');
    await becomes(lb2, 'master');
    await bench.heldBy('lb2');
    t.match(await stop(lb2), { status: 0, signal: null });
    await bench.heldBy(undefined);
  });
}

test('when there is room again, the log goes on and says what befell it', async (t) => {
  const bench = await Bench.open(t);
  const lb1 = await troubled(bench, 'lb1', TROUBLES['a full file system']);
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
