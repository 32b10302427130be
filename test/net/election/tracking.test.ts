/** Running directors with tracked objects, hooks and somebody who listens to the events. */
import { chmodSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { MAIN } from '../../program.js';
import {
  Bench,
  complaints,
  directorYaml,
  FILE_LIMIT_MS,
  inState,
  settled,
  stop,
  test,
  VIP,
} from '../daemon-helpers.js';

t.jobs = 2;
t.setTimeout(FILE_LIMIT_MS);

const NOBODY = 65_534;

/** Where nobody may write, with a hook that writes a line for each call, and its lines. */
async function hookFolder(bench: Bench) {
  chmodSync(bench.folder, 0o755);
  const out = join(bench.folder, 'out');
  await mkdir(out);
  chmodSync(out, 0o777);
  const hook = await bench.file(
    'hook',
    `#!/bin/sh\necho "$LVS_DIRECTOR_INSTANCE $LVS_DIRECTOR_FROM>$LVS_DIRECTOR_STATE $LVS_DIRECTOR_ADDRESSES" >> ${out}/calls\n`,
  );
  chmodSync(hook, 0o755);
  const calls = join(out, 'calls');
  const lines = () => (existsSync(calls) ? readFileSync(calls, 'utf8').trimEnd().split('\n') : []);
  return { hook, calls, lines };
}

test('a failing script moves the role, hooks run in order, and the events tell it', async (t) => {
  const bench = await Bench.open(t);
  const { hook, calls, lines } = await hookFolder(bench);
  const down = join(bench.folder, 'down');
  const plain = directorYaml({ preempt: true });
  const lb1 = await bench.start(
    'lb1',
    [
      plain.replace('addresses: [', 'track: [broken]\n      addresses: [').trimEnd(),
      `  track: [{ name: broken, script: [/usr/bin/test, '!', -e, ${down}], interval: 3s }]`,
      `  hooks: [{ command: [${hook}] }]`,
      '',
    ].join('\n'),
  );
  await inState(lb1, 'master');
  const seen: Record<string, unknown>[] = [];
  const argv = [MAIN, 'events', '--runtime-dir', lb1.runtimeDirectory];
  const listener = bench.lab.start('lb1', [process.execPath, ...argv], {
    onLine: (line) => seen.push(JSON.parse(line)),
  });
  await settled('the snapshot', () => seen.length > 0);
  t.match(seen[0], {
    event: 'snapshot',
    director: 'lb1',
    instances: [{ name: 'outside', group: null, state: 'master' }],
    tracked: [{ object: 'broken', state: 'up' }],
  });
  const lb2 = await bench.start('lb2', plain);
  await inState(lb2, 'backup');

  writeFileSync(down, '');
  await inState(lb1, 'fault');
  await inState(lb2, 'master');
  await bench.heldBy('lb2', VIP);
  rmSync(down);
  await inState(lb1, 'master');
  await bench.heldBy('lb1', VIP);
  await stop(lb1);
  await settled('the listener ends', () => !listener.running);

  const states = lines().map((line) => line.split(' ')[1] ?? '');
  t.equal(states[0], 'initialize>backup');
  t.match(states.at(-1), />initialize$/, 'the hand-over too');
  for (const [index, step] of states.entries()) {
    if (index > 0) t.equal(step.split('>')[0], states[index - 1]?.split('>')[1], 'an unbroken chain');
  }
  t.ok(states.includes('master>fault'));
  t.equal(lines()[0], `outside initialize>backup ${VIP}/24`);
  t.equal(statSync(calls).uid, NOBODY);

  const roles = seen.filter(({ event }) => event === 'role').map(({ from, to }) => [from, to].join('>'));
  t.same(
    roles,
    states.slice(states.indexOf('master>fault')),
    'the listener saw the same from the snapshot on',
  );
  const verdicts = seen.filter(({ event }) => event === 'tracked').map(({ state }) => state);
  t.same(verdicts, ['down', 'up']);
  t.equal(seen.at(-1)?.['event'], 'end');
  await stop(lb2);
  t.same(complaints(lb2), []);
});

test('a number in a file weighs, and a hook that hangs delays nothing', async (t) => {
  const bench = await Bench.open(t);
  const number = join(bench.folder, 'number');
  writeFileSync(number, '0\n');
  const plain = directorYaml({ preempt: true });
  const lb1 = await bench.start(
    'lb1',
    [
      plain.replace('addresses: [', 'track: [{ name: load, weight: -2 }]\n      addresses: [').trimEnd(),
      `  track: [{ name: load, file: ${number}, interval: 100ms }]`,
      '  hooks: [{ command: [/bin/sleep, "100"], timeout: 60s }]',
      '',
    ].join('\n'),
  );
  const lb2 = await bench.start('lb2', plain);
  await inState(lb1, 'master');
  await inState(lb2, 'backup');
  writeFileSync(number, '30\n');
  await inState(lb2, 'master');
  await inState(lb1, 'backup');
  writeFileSync(number, 'nonsense\n');
  await settled('the garbage is told', () => lb1.log.some(({ event }) => event === 'tracked-unusable'));
  await inState(lb2, 'master');
  writeFileSync(number, '20\n');
  await inState(lb1, 'master');
  await stop(lb1);
  t.ok(lb1.log.some(({ msg }) => msg.includes('before the hooks of outside are done')));
  await stop(lb2);
});
