/** Reloads whose reader or whose services process comes to grief: each is told in one line, and no role moves. */
import { execFileSync, spawnSync } from 'node:child_process';
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import t from 'tap';
import {
  Bench,
  directorYaml,
  FILE_LIMIT_MS,
  inState,
  type LogLine,
  makePipe,
  pipeReader,
  type RunningDirector,
  settled,
  statusOf,
  stop,
  test,
  VIP,
} from '../daemon-helpers.js';

t.jobs = 2;
t.setTimeout(FILE_LIMIT_MS);

const MIB = 1024 * 1024;

function reloads(one: RunningDirector): LogLine[] {
  return one.log.filter(({ event }) => event === 'reload');
}

/** Its next line about a reload, which it is asked for, and what happens meanwhile. */
async function reload(one: RunningDirector, meanwhile = async () => {}): Promise<LogLine> {
  const before = reloads(one).length;
  one.child.kill('SIGHUP');
  await meanwhile();
  await settled('the reload is told', () => reloads(one).length > before, 60_000);
  return reloads(one)[before] ?? { level: 0, msg: '' };
}

/** Configurations in the runtime directory. */
function kept(one: RunningDirector): string[] {
  return readdirSync(one.runtimeDirectory).filter((name) => name.startsWith('configuration-'));
}

/** Ids of the loaders that read for `one`. */
function loaders(one: RunningDirector): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => {
      try {
        const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        return argv.includes('load') && argv.some((word) => word.includes(one.configFile));
      } catch {
        return false;
      }
    });
}

/** The roles that it took since it is master. */
function rolesSince(one: RunningDirector, start: number): LogLine[] {
  return one.log.slice(start).filter(({ event }) => event === 'role');
}

test('a reader that is killed, and a services process that is, while the file is read', async (t) => {
  const bench = await Bench.open(t);
  const lb1 = await bench.start('lb1', directorYaml());
  await inState(lb1, 'master');
  const start = lb1.log.length;
  const { sha256 } = (await statusOf(lb1)).configuration;
  makePipe(lb1.configFile);
  const killed = await reload(lb1, async () => {
    const endReading = await pipeReader(lb1.configFile);
    for (const pid of loaders(lb1)) process.kill(pid, 'SIGKILL');
    endReading();
  });
  t.match(killed, {
    level: 50,
    msg: /its reader ended early \(SIGKILL\): the director goes on with what it had/,
  });
  const { services } = await statusOf(lb1);
  // The pipe goes away under its reader; the file is there when the VRRP process has it read itself.
  const orphaned = await reload(lb1, async () => {
    const endReading = await pipeReader(lb1.configFile);
    writeFileSync(`${lb1.configFile}.new`, directorYaml({ interval: '300ms' }));
    renameSync(`${lb1.configFile}.new`, lb1.configFile);
    process.kill(services.pid ?? 0, 'SIGKILL');
    endReading();
  });
  t.match(orphaned, { level: 30, msg: 'configuration reloaded' });
  await settled('services are back', async () => (await statusOf(lb1)).services.answers);
  const status = await statusOf(lb1);
  t.not(status.configuration.sha256, sha256);
  t.equal(status.instances[0]?.advertisement_interval_ms, 300);
  t.strictSame(kept(lb1).length, 1);
  t.strictSame(rolesSince(lb1, start), []);
  await bench.heldBy('lb1', VIP);
  t.match(await stop(lb1), { status: 0 });
  t.strictSame(loaders(lb1), []);
});

test('a file that is too long, one with thousands of faults, none, a folder', async (t) => {
  const bench = await Bench.open(t);
  const lb1 = await bench.start('lb1', directorYaml());
  await inState(lb1, 'master');
  const start = lb1.log.length;
  truncateSync(lb1.configFile, 100 * MIB);
  t.match(await reload(lb1), { level: 50, msg: /goes on with what it had/ });
  const faults = Array.from({ length: 5000 }, (_, i) => `key${i}: 1\n`).join('');
  writeFileSync(lb1.configFile, `${directorYaml()}${faults}`);
  const faulty = await reload(lb1);
  t.match(faulty, { level: 50, msg: /key0: unknown key.*and \d+ more: the director goes on/s });
  t.ok(JSON.stringify(faulty).length < 10_000, `${JSON.stringify(faulty).length} characters`);
  rmSync(lb1.configFile);
  t.match(await reload(lb1), { level: 50, msg: /no such file or directory/ });
  mkdirSync(lb1.configFile);
  t.match(await reload(lb1), { level: 50, msg: /cannot read the configuration/ });
  t.strictSame(rolesSince(lb1, start), []);
  t.strictSame(kept(lb1).length, 1);
  t.match(await stop(lb1), { status: 0 });
});

test('a runtime directory without room', async (t) => {
  const bench = await Bench.open(t);
  const directory = `${bench.folder}/lb1`;
  mkdirSync(directory, { mode: 0o700 });
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=700', 'none', directory]);
  t.teardown(() => spawnSync('umount', ['-l', directory]));
  const lb1 = await bench.start('lb1', directorYaml());
  await inState(lb1, 'master');
  const start = lb1.log.length;
  spawnSync('dd', ['if=/dev/zero', `of=${directory}/filler`, 'bs=4k']);
  writeFileSync(lb1.configFile, directorYaml({ interval: '300ms' }));
  t.match(await reload(lb1), {
    level: 50,
    msg: /cannot be left in .*: ENOSPC.*: the director goes on with what it had/,
  });
  t.strictSame(kept(lb1).length, 1);
  rmSync(`${directory}/filler`);
  t.match(await reload(lb1), { level: 30, msg: 'configuration reloaded' });
  t.strictSame(rolesSince(lb1, start), []);
  t.match(await stop(lb1), { status: 0 });
});
