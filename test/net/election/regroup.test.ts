/** Reloads that change which instances there are and how they form groups: on a lone master, and on a pair in turn. */
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { stopChild } from '../../../src/drill/lab/process.js';
import {
  Bench,
  directorYaml,
  FILE_LIMIT_MS,
  INSIDE,
  type InstanceOptions,
  inState,
  OUTSIDE,
  type RunningDirector,
  settled,
  statusOf,
  stop,
  test,
  VIP,
} from '../daemon-helpers.js';

t.jobs = 2;
t.setTimeout(FILE_LIMIT_MS);

const OTHER: InstanceOptions = { name: 'other', interface: 'eth0', id: 60, addresses: ['192.168.7.252/24'] };

/** Without sync groups. */
function apart(instances: readonly InstanceOptions[]): string {
  return directorYaml({ instances }).replace(/ {2}sync_groups:\n.*\n/, '');
}

async function reload(director: RunningDirector, yaml: string): Promise<void> {
  const reloads = () => director.log.filter(({ event }) => event === 'reload');
  const before = reloads().length;
  writeFileSync(director.configFile, yaml);
  director.child.kill('SIGHUP');
  await settled('the reload is done', () => reloads().length > before);
  t.match(reloads().at(-1), { msg: 'configuration reloaded' });
}

/** Changes of state since the line at `from`, such as `outside: backup -> master`. */
function roles(director: RunningDirector, from: number): string[] {
  return director.log
    .slice(from)
    .filter(({ event }) => event === 'role')
    .map(({ msg }) => msg);
}

test('a pair reloaded in turn keeps its roles: a member more, a member less, no group, another one', async (t) => {
  const bench = await Bench.open(t);
  const pair = await bench.pair(directorYaml({ instances: [OUTSIDE] }));
  const [lb1, lb2] = pair;
  const steps: readonly [string, string, number][] = [
    ['a member more', directorYaml({ instances: [OUTSIDE, INSIDE] }), 2],
    ['no group', apart([OUTSIDE, INSIDE]), 2],
    ['one group, and one beside it', directorYaml({ instances: [OUTSIDE, INSIDE] }), 2],
    ['a member less', directorYaml({ instances: [OUTSIDE] }), 1],
    ['one beside it', apart([OUTSIDE, OTHER]), 2],
    ['all in one group', directorYaml({ instances: [OUTSIDE, INSIDE, OTHER] }), 3],
  ];
  for (const [what, yaml, count] of steps) {
    const marks = pair.map(({ log }) => log.length);
    for (const director of pair) await reload(director, yaml);
    await inState(lb1, 'master');
    await settled(`${what}: lb2 hears lb1`, async () => {
      const { instances } = await statusOf(lb2);
      return (
        instances.length === count &&
        instances.every(({ state, master }) => state === 'backup' && master !== null)
      );
    });
    await bench.heldBy('lb1', VIP);
    for (const [index, director] of pair.entries()) {
      const moved = roles(director, marks[index] ?? 0).filter((text) => text.startsWith('outside:'));
      t.strictSame(moved, [], `${what}: ${director.host} is what it was`);
    }
  }
  for (const director of [lb2, lb1]) t.match(await stop(director), { status: 0 });
});

test('a lone master under another VRID, by another name, in another version: the address stays', async (t) => {
  const bench = await Bench.open(t);
  const lb1 = await bench.start('lb1', directorYaml());
  await inState(lb1, 'master');
  await bench.heldBy('lb1', VIP);
  const deleted: string[] = [];
  const monitor = bench.lab.start('lb1', ['ip', 'monitor', 'address'], {
    onLine: (line) => {
      if (/^Deleted .*192\.168\.7\.25/.test(line)) deleted.push(line);
    },
    onErrorLine: () => {},
  });
  // It sees what is deleted.
  await settled('ip monitor looks', async () => {
    await bench.lab.run('lb1', ['ip', 'addr', 'add', '192.168.7.250/24', 'dev', 'eth0']);
    await bench.lab.run('lb1', ['ip', 'addr', 'del', '192.168.7.250/24', 'dev', 'eth0']);
    return deleted.splice(0).length > 0;
  });
  deleted.length = 0;
  const changes: readonly [string, string][] = [
    ['VRID', directorYaml({ instances: [{ ...OUTSIDE, id: 77 }] })],
    ['name', directorYaml({ instances: [{ ...OUTSIDE, name: 'front', id: 77 }] })],
    ['interval', directorYaml({ instances: [{ ...OUTSIDE, name: 'front', id: 77 }], interval: '1s' })],
    [
      'VRRPv2',
      directorYaml({ instances: [{ ...OUTSIDE, name: 'front', id: 77 }], interval: '1s' }).replace(
        'preempt:',
        'version: 2\n      preempt:',
      ),
    ],
  ];
  for (const [what, yaml] of changes) {
    await reload(lb1, yaml);
    await inState(lb1, 'master');
    t.strictSame((await statusOf(lb1)).instances[0]?.virtual_router_id, 77, what);
    await bench.heldBy('lb1', VIP);
    const removed = deleted.filter((line) => line.includes(`${VIP}/`));
    t.strictSame(removed, [], `${what}: the address was there all the time`);
  }
  t.match(await stop(lb1), { status: 0 });
  await settled('in the end it goes', () => deleted.some((line) => line.includes(`${VIP}/`)));
  await stopChild(monitor);
});

test('another VRID on a pair: one host holds the address when both have the new file', async (t) => {
  const bench = await Bench.open(t);
  const pair = await bench.pair(directorYaml());
  const yaml = directorYaml({ instances: [{ ...OUTSIDE, id: 77 }] });
  for (const director of pair) await reload(director, yaml);
  await settled('one is master, the other hears it', async () => {
    const states = await Promise.all(pair.map(async (director) => (await statusOf(director)).instances[0]));
    const backups = states.filter((one) => one?.state === 'backup' && one.master !== null);
    return states.filter((one) => one?.state === 'master').length === 1 && backups.length === 1;
  });
  const [holder] = await bench.holders();
  await bench.heldBy(holder, VIP);
  for (const director of pair) t.match(await stop(director), { status: 0 });
});

test('a host that refuses what the new file needs keeps what it had', async (t) => {
  const bench = await Bench.open(t);
  // A fake nft that refuses everything but to remove the table.
  const programs = join(bench.folder, 'programs');
  mkdirSync(programs);
  writeFileSync(
    join(programs, 'nft'),
    '#!/bin/sh\ngrep -q chain || exit 0\necho "no such hook" >&2\nexit 1\n',
  );
  chmodSync(join(programs, 'nft'), 0o755);
  const launched = await bench.launch('lb1', directorYaml(), [
    'env',
    `PATH=${programs}:${process.env['PATH'] ?? ''}`,
  ]);
  const lb1 = { ...launched, guardian: 0 };
  await settled('lb1 is ready', () => lb1.log.some(({ event }) => event === 'ready'));
  await inState(lb1, 'master');
  const mark = lb1.log.length;
  const refused = directorYaml({ instances: [OUTSIDE, OTHER] }).replaceAll(
    'preempt:',
    'accept_mode: false\n      preempt:',
  );
  writeFileSync(lb1.configFile, refused);
  lb1.child.kill('SIGHUP');
  await settled('the reload is refused', () =>
    lb1.log.slice(mark).some(({ event, level }) => event === 'reload' && level === 50),
  );
  t.strictSame(roles(lb1, mark), []);
  t.strictSame(
    (await statusOf(lb1)).instances.map(({ name, state }) => [name, state]),
    [['outside', 'master']],
  );
  await bench.heldBy('lb1', VIP);
  await reload(lb1, directorYaml({ instances: [OUTSIDE, OTHER] }));
  t.match(await stop(lb1), { status: 0 });
});
