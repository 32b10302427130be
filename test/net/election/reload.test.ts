/** Reloads of a running director that come at a bad time, or with half a file. */
import { readFileSync, writeFileSync } from 'node:fs';
import t from 'tap';
import {
  Bench,
  directorYaml,
  FILE_LIMIT_MS,
  inState,
  makePipe,
  pipeReader,
  settled,
  statusOf,
  stop,
  test,
  VIP,
} from '../daemon-helpers.js';

t.jobs = 2;
t.setTimeout(FILE_LIMIT_MS);

test('a file that was cut off takes nothing away, one that says so does', async (t) => {
  const bench = await Bench.open(t);
  const lb1 = await bench.start('lb1', directorYaml());
  await inState(lb1, 'master');
  await bench.heldBy('lb1', VIP);
  const whole = readFileSync(lb1.configFile, 'utf8');
  const head = whole.slice(0, whole.indexOf('vrrp:'));
  const reloads = () => lb1.log.filter(({ event }) => event === 'reload');
  writeFileSync(lb1.configFile, head);
  lb1.child.kill('SIGHUP');
  await settled('the reload is refused', () => reloads().length === 1);
  t.match(reloads()[0], { level: 50, msg: /says nothing of vrrp, and may have been cut off/ });
  await bench.heldBy('lb1', VIP);
  writeFileSync(lb1.configFile, `${head}vrrp: { instances: [] }\n`);
  lb1.child.kill('SIGHUP');
  await settled('the reload is done', () => reloads().length === 2);
  t.match(reloads()[1], { msg: 'configuration reloaded' });
  await bench.heldBy(undefined, VIP);
  t.match(await stop(lb1), { status: 0 });
});

test('SIGTERM during a reload that does not get on hands over at once', async (t) => {
  const bench = await Bench.open(t);
  const [lb1, lb2] = await bench.pair(directorYaml());
  const { services } = await statusOf(lb1);
  const pid = services.pid ?? 0;
  // A file that gives nothing: its reader waits.
  makePipe(lb1.configFile);
  t.teardown(() => {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended, as it should.
    }
  });
  lb1.child.kill('SIGHUP');
  const endReading = await pipeReader(lb1.configFile);
  process.kill(pid, 'SIGSTOP');
  lb1.child.kill('SIGTERM');
  await inState(lb2, 'master');
  await bench.heldBy('lb2', VIP);
  lb1.child.kill('SIGHUP');
  process.kill(pid, 'SIGCONT');
  t.match(await lb1.child.exited, { status: 0, signal: null });
  t.notOk(
    lb1.log.some(({ event }) => event === 'reload'),
    'nothing is told of a reload that was given up',
  );
  endReading();
  await stop(lb2);
});
