/** An update replaces the program under a director that goes on: what runs stays one program to its end. */
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import t from 'tap';
import { projectFolder } from '../../../src/drill/vm/session.js';
import { MAIN } from '../../program.js';
import {
  Bench,
  childrenOf,
  complaints,
  directorYaml,
  FILE_LIMIT_MS,
  GUARDIAN,
  inState,
  isAlive,
  leftovers,
  servicesPid,
  settled,
  statusOf,
  stop,
  test,
} from '../daemon-helpers.js';

t.jobs = 2;
t.setTimeout(FILE_LIMIT_MS);

/** Copies the program as it is installed to a folder of the bench's own, from which its directors are started then. */
function install(bench: Bench): string {
  const [from, folder] = [projectFolder(), join(bench.folder, 'installed')];
  mkdirSync(join(folder, 'native'), { recursive: true });
  for (const part of ['package.json', 'dist/director', 'native/build']) {
    cpSync(join(from, part), join(folder, part), { recursive: true });
  }
  symlinkSync(join(from, 'node_modules'), join(folder, 'node_modules'));
  bench.main = join(folder, 'dist/director/main.js');
  return folder;
}

/** With a script that says `ok` into a file each time it runs. */
async function withScript(bench: Bench): Promise<{ yaml: string; ran: string }> {
  const ran = join(bench.folder, 'ran');
  const script = await bench.file('script', `#!/bin/sh\necho ok >>${ran}\n`);
  chmodSync(bench.folder, 0o755);
  chmodSync(script, 0o755);
  const track = `  track: [{ name: looks, script: [${script}], user: root, interval: 500ms }]\n`;
  const yaml = directorYaml({ more: track }).replace('addresses: [', 'track: [looks]\n      addresses: [');
  return { yaml, ran };
}

test('what the processes of a director load later', async (t) => {
  const folder = dirname(MAIN);
  const later = readdirSync(folder)
    .filter((name) => /^(services|daemon)-.*\.js$/.test(name))
    .flatMap((name) => [...readFileSync(join(folder, name), 'utf8').matchAll(/\bimport\("\.\/([a-z-]+)-/g)])
    .map(([, part]) => part ?? '');
  // With the configuration that asks for metrics, which a program that was replaced does not take.
  t.strictSame(later.sort(), ['exposition', 'metrics-server']);
});

test('a program that was removed: all goes on, and ends in order', async (t) => {
  const bench = await Bench.open(t);
  const folder = install(bench);
  const { yaml, ran } = await withScript(bench);
  const lb1 = await bench.start('lb1', yaml);
  await inState(lb1, 'master');
  renameSync(folder, `${folder}.gone`);
  rmSync(ran, { force: true });
  await settled('the script goes on', () => existsSync(ran));

  process.kill(lb1.guardian, 'SIGKILL');
  await settled('there is a new guardian', () =>
    childrenOf(lb1.child.pid, GUARDIAN).some((pid) => pid !== lb1.guardian && isAlive(pid)),
  );
  await inState(lb1, 'master');
  t.strictSame(await stop(lb1), { status: 0, signal: null });
  t.strictSame(await leftovers(lb1), []);
  t.strictSame(complaints(lb1), ['the guardian is in trouble'], 'and nothing else');
});

test('a program that was replaced by another: its processes are not mixed', async (t) => {
  const bench = await Bench.open(t);
  const folder = install(bench);
  const lb1 = await bench.start('lb1', directorYaml());
  await inState(lb1, 'master');
  appendFileSync(bench.main, '// Another one.\n');

  const words = (what: RegExp) => complaints(lb1).some((line) => what.test(line));
  lb1.child.kill('SIGHUP');
  await settled('the reload is refused', () => words(/could not be read: .* is not the one that runs/));
  process.kill(await servicesPid(lb1), 'SIGKILL');
  await settled('the services process is not started again', () =>
    words(/the services process ended \(.* is not the one that runs/),
  );
  await inState(lb1, 'master');

  cpSync(join(projectFolder(), 'dist/director/main.js'), join(folder, 'dist/director/main.js'));
  await settled(
    'it is started as soon as it is the same one again',
    async () => (await statusOf(lb1)).services.state === 'running',
  );
  t.strictSame(await stop(lb1), { status: 0, signal: null });
  t.strictSame(await leftovers(lb1), []);
});
