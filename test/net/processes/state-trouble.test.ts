/** Running directors whose state files cannot be read or written: the pair serves, reloads, fails over and leaves as ever. */
import { spawnSync } from 'node:child_process';
import { closeSync, constants, mkdirSync, openSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  Bench,
  complaints,
  directorYaml,
  FILE_LIMIT_MS,
  inState,
  type LaunchedDirector,
  leftovers,
  settled,
  statusOf,
  stop,
  test,
} from '../daemon-helpers.js';

t.jobs = 2;
t.setTimeout(FILE_LIMIT_MS);

const START_LIMIT_MS = 60_000;
const FILES = ['vrrp.json', 'services.json'];

/** The files that a director on `host` keeps its state in, and those it writes before it renames them. */
function stateFiles(bench: Bench, host: string): string[] {
  const kept = FILES.map((name) => join(bench.folder, host, name));
  kept.push(join(bench.folder, `${host}-state`, 'maintenance.json'));
  return kept.flatMap((path) => [path, `${path}.new`]);
}

function folders(bench: Bench, host: string): void {
  mkdirSync(join(bench.folder, host), { mode: 0o700 });
  mkdirSync(join(bench.folder, `${host}-state`), { mode: 0o700 });
}

/** Waiting for its files, a start takes seconds more than usual. */
async function started(
  bench: Bench,
  host: string,
  prefix: readonly string[] = [],
): Promise<LaunchedDirector> {
  const director = await bench.launch(host, directorYaml(), prefix);
  const ready = () => director.log.some(({ event }) => event === 'ready');
  await settled(`${host} is ready`, ready, START_LIMIT_MS);
  return director;
}

test('a file system that hangs under the state files of both', async (t) => {
  const bench = await Bench.open(t);
  // FIFOs with nobody at their other end stand for it: each open of one hangs.
  for (const host of ['lb1', 'lb2']) {
    folders(bench, host);
    t.equal(spawnSync('mkfifo', stateFiles(bench, host)).status, 0);
  }
  const lb1 = await started(bench, 'lb1');
  await inState(lb1, 'master');
  const lb2 = await started(bench, 'lb2');
  await settled('lb2 hears lb1', async () => {
    const [instance] = (await statusOf(lb2)).instances;
    return instance?.state === 'backup' && instance.master !== null;
  });
  t.match(complaints(lb1).sort(), [
    /maintenance.json is damaged/,
    /services.json cannot be read \(no answer within 2000 ms\)/,
    /vrrp.json cannot be read \(no answer within 2000 ms\)/,
  ]);
  lb1.child.kill('SIGHUP');
  await settled('the reload is done', () => lb1.log.some(({ msg }) => msg === 'configuration reloaded'));
  const order = ['failover', '--persist', '--runtime-dir', lb1.runtimeDirectory];
  const refused = await bench.command('lb1', order);
  t.match(refused.errors.join(), /maintenance cannot be made to last: .*come back/);
  t.strictSame(await stop(lb1), { status: 0, signal: null });
  await inState(lb2, 'master');
  await bench.heldBy('lb2');
  t.strictSame(await stop(lb2), { status: 0, signal: null });
  await bench.heldBy(undefined);
});

test('state files that fail and heal while the director runs', async (t) => {
  const bench = await Bench.open(t);
  folders(bench, 'lb1');
  const blocked = FILES.map((name) => join(bench.folder, 'lb1', `${name}.new`));
  // A folder in its place: EISDIR stands for what a file system may refuse with.
  for (const path of blocked) mkdirSync(path);
  const lb1 = await bench.start('lb1', directorYaml());
  await inState(lb1, 'master');
  const said = (words: RegExp) => lb1.log.filter(({ msg }) => words.test(msg)).length;
  await settled('both tell', () => said(/cannot be written \(EISDIR/) === 2);
  for (const path of blocked) rmSync(path, { recursive: true });
  await settled('both are written', () => said(/can be written again, after \d+ failures/) === 2);
  t.equal(said(/cannot be written/), 2, 'told once');
  t.strictSame(await stop(lb1), { status: 0, signal: null });
  t.strictSame(await leftovers(lb1), []);
});

test('state files that cannot be read: EIO', async (t) => {
  const bench = await Bench.open(t);
  folders(bench, 'lb1');
  const path = join(bench.folder, 'lb1', 'vrrp.json');
  closeSync(openSync(path, constants.O_CREAT | constants.O_WRONLY, 0o600));
  // Nothing is mapped at address 0 of any process: read(2) of /proc/PID/mem says EIO there.
  const mount = `mount --bind /proc/${process.pid}/mem ${path} && exec "$@"`;
  const lb1 = await started(bench, 'lb1', ['unshare', '--mount', '/bin/sh', '-c', mount, 'sh']);
  await inState(lb1, 'master');
  t.match(complaints(lb1), [/vrrp.json cannot be read \(EIO/, /vrrp.json cannot be written/]);
  t.match(await stop(lb1), { status: 0, signal: null });
  await bench.heldBy(undefined);
});
