/** Routes and rules of a running director: who takes them away, and that they come back. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  Bench,
  complaints,
  directorYaml,
  FILE_LIMIT_MS,
  inState,
  instanceOf,
  type RunningDirector,
  settled,
  stop,
  test,
  VIP,
} from '../daemon-helpers.js';

t.jobs = 2;
t.setTimeout(FILE_LIMIT_MS);

const ROUTES = `routes: [{ to: 198.51.100.0/24, via: 192.168.7.100 }, { to: default, via: 192.168.7.100, table: 100 }]`;
const RULES = `rules: [{ priority: 500, from: 10.7.0.0/24, table: 100 }]`;

function yamlWith(...parts: string[]): string {
  return directorYaml().replace(
    'addresses: [',
    `${parts.map((part) => `${part}\n      `).join('')}addresses: [`,
  );
}

const YAML = yamlWith(ROUTES, RULES);

/** What of it the kernel of `host` has. */
async function parts(bench: Bench, host = 'lb1'): Promise<string[]> {
  const run = (...words: string[]) => bench.lab.run(host, ['ip', ...words]);
  const found: string[] = [];
  if ((await run('route', 'show', '198.51.100.0/24', 'proto', '112')).includes('via 192.168.7.100')) {
    found.push('route');
  }
  const table = await run('route', 'show', 'table', '100', 'proto', '112').catch(() => '');
  if (table.includes('default via 192.168.7.100')) found.push('table');
  if (/500:\s+from 10\.7\.0\.0\/24 lookup 100 proto 112/.test(await run('-N', 'rule', 'show'))) {
    found.push('rule');
  }
  return found;
}

async function has(bench: Bench, what: string, host = 'lb1', expected = 'route table rule'): Promise<void> {
  let last = '';
  await settled(
    () => `${what}: ${host} has '${expected}', it has '${last}'`,
    async () => {
      last = (await parts(bench, host)).join(' ');
      return last === expected;
    },
  );
}

async function neverLeft(t: Test, director: RunningDirector): Promise<void> {
  const { state, counters } = await instanceOf(director);
  t.equal(state, 'master');
  t.equal(counters['became_master'], 1);
}

test('routes and rules move with the role', async (t) => {
  const bench = await Bench.open(t);
  const [lb1, lb2] = await bench.pair(YAML);
  await has(bench, 'at first');
  await has(bench, 'at first', 'lb2', '');
  await stop(lb1);
  await has(bench, 'after the stop', 'lb2');
  await has(bench, 'after the stop', 'lb1', '');
  lb2.child.kill('SIGKILL');
  await has(bench, 'the guardian', 'lb2', '');
  await bench.heldBy(undefined, VIP);
});

test('deleted, flushed, replaced: it comes back, and the role stays', async (t) => {
  const bench = await Bench.open(t);
  const ip = (command: string) => bench.lab.run('lb1', ['ip', ...command.split(' ')]);
  const director = await bench.start('lb1', YAML);
  await inState(director, 'master');
  await has(bench, 'at first');
  for (const command of [
    'route del 198.51.100.0/24',
    'route flush table 100',
    'rule del priority 500',
    'route replace 198.51.100.0/24 via 192.168.7.12',
    'route replace default via 192.168.7.12 table 100',
  ]) {
    await ip(command);
    await has(bench, command);
  }
  t.match(await ip('route show 198.51.100.0/24'), /via 192\.168\.7\.12/, 'his stays, behind ours');
  await ip('route del 198.51.100.0/24 via 192.168.7.12');
  await has(bench, 'his gone');
  await ip(`addr del ${VIP}/24 dev eth0`);
  await bench.heldBy('lb1', VIP);
  await bench.lab.run('lb1', [
    'sh',
    '-c',
    `ip route flush proto 112; ip route flush table 100; ip rule del priority 500; ip addr del ${VIP}/24 dev eth0`,
  ]);
  await has(bench, 'all at once');
  await bench.heldBy('lb1', VIP);
  await neverLeft(t, director);
  t.ok(complaints(director).some((words) => words.includes('somebody removed 198.51.100.0/24')));
});

test('a rival who takes away again and again is not fought at any price', async (t) => {
  const bench = await Bench.open(t);
  const director = await bench.start('lb1', YAML);
  await inState(director, 'master');
  await has(bench, 'at first');
  const ticks = async () => {
    const stat = await bench.lab.run('lb1', ['cat', `/proc/${director.child.pid}/stat`]);
    const [user, system] = stat.slice(stat.lastIndexOf(')')).split(' ').slice(12, 14);
    return Number(user) + Number(system);
  };
  const before = await ticks();
  const lines = director.log.length;
  const rival = bench.lab.start('lb1', [
    'sh',
    '-c',
    `while :; do ip route del 198.51.100.0/24; ip route flush table 100; ip rule del priority 500; ip addr del ${VIP}/24 dev eth0; done 2>/dev/null`,
  ]);
  await new Promise((resolve) => setTimeout(resolve, 8000));
  const spent = (await ticks()) - before;
  t.comment(`${spent} ticks of 10 ms in 8 s, ${director.log.length - lines} lines`);
  t.ok(director.log.length - lines < 30, 'no flood of lines');
  rival.kill('SIGKILL');
  await has(bench, 'the rival has gone');
  await bench.heldBy('lb1', VIP);
  await neverLeft(t, director);
});

test('what a killed director and its guardian left goes with the next start', async (t) => {
  const bench = await Bench.open(t);
  const first = await bench.start('lb1', YAML);
  await inState(first, 'master');
  await has(bench, 'at first');
  process.kill(first.guardian, 'SIGSTOP');
  first.child.kill('SIGKILL');
  process.kill(first.guardian, 'SIGKILL');
  await first.child.exited;
  await has(bench, 'left');
  await bench.lab.run('lb1', ['ip', 'rule', 'add', 'priority', '77', 'from', '10.0.0.0/8', 'table', '100']);
  const second = await bench.start('lb1', directorYaml({ priorities: [100, 100] }));
  await has(bench, 'the next one', 'lb1', '');
  t.match(await bench.lab.run('lb1', ['ip', 'rule', 'show']), /77:/, 'others stay');
  t.ok(complaints(second).some((words) => /removed \d+ routes and rules left by an earlier run/.test(words)));
});

test('a reload adds and removes them, and an address that moves between instances stays', async (t) => {
  const bench = await Bench.open(t);
  const director = await bench.start('lb1', directorYaml());
  await inState(director, 'master');
  const reload = async (yaml: string) => {
    const before = director.log.filter(({ event }) => event === 'reload').length;
    await writeFile(director.configFile, yaml);
    director.child.kill('SIGHUP');
    await settled('it reloads', () => director.log.filter(({ event }) => event === 'reload').length > before);
  };
  const file = join(bench.folder, 'next.yaml');
  await writeFile(file, YAML);
  const argv = ['plan', '-c', file, '--director', 'lb1', '--runtime-dir', director.runtimeDirectory];
  const planned = await bench.command('lb1', argv);
  t.match(planned.output.join('\n'), /add route 198\.51\.100\.0\/24 via 192\.168\.7\.100 dev eth0/);
  t.match(planned.output.join('\n'), /add rule priority 500 from 10\.7\.0\.0\/24 table 100/);
  await reload(YAML);
  await has(bench, 'added');
  await reload(yamlWith(ROUTES));
  await has(bench, 'the rule gone', 'lb1', 'route table');
  await reload(directorYaml());
  await has(bench, 'all gone', 'lb1', '');
  await neverLeft(t, director);

  const two = (first: string, second: string) =>
    directorYaml({
      instances: [
        { name: 'outside', interface: 'eth0', id: 51, addresses: first.split(' ') },
        { name: 'other', interface: 'eth0', id: 52, addresses: second.split(' ') },
      ],
    }).replace(/ {2}sync_groups:\n.*\n/, '');
  const moved = '192.168.7.200/24';
  await reload(two(`${VIP}/24 ${moved}`, '192.168.7.201/24'));
  await inState(director, 'master');
  await bench.heldBy('lb1', VIP, '192.168.7.200', '192.168.7.201');
  const events: string[] = [];
  const monitor = bench.lab.start('lb1', ['ip', '-o', 'monitor', 'address'], {
    onLine: (line) => events.push(line),
  });
  const warned = complaints(director).length;
  for (const file of [
    two(`${VIP}/24`, `192.168.7.201/24 ${moved}`),
    two(`${VIP}/24 ${moved}`, '192.168.7.201/24'),
  ]) {
    await reload(file);
  }
  await bench.lab.run('lb1', ['ip', 'addr', 'add', '192.168.7.77/32', 'dev', 'lo']);
  await settled('the monitor has seen all', () => events.some((line) => line.includes('192.168.7.77')));
  t.same(
    events.filter((line) => line.startsWith('Deleted') && line.includes('192.168.7.200')),
    [],
    'it never left',
  );
  t.equal(complaints(director).length, warned, 'and nobody is accused');
  await bench.heldBy('lb1', '192.168.7.200');
  monitor.kill('SIGKILL');
});
