/** `director failover` on a pair, with a client that pings. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import {
  Bench,
  DIP,
  directorYaml,
  FILE_LIMIT_MS,
  INSIDE,
  inState,
  instanceOf,
  OUTSIDE,
  pause,
  settled,
  stop,
  test,
  VIP,
} from '../daemon-helpers.js';

t.jobs = 3;
t.setTimeout(FILE_LIMIT_MS);

test('the role moves without a gap, stays away, and comes back when told', async (t) => {
  const bench = await Bench.open(t);
  const [lb1, lb2] = await bench.pair(directorYaml({ instances: [OUTSIDE, INSIDE], interval: '1s' }));
  await bench.heldBy('lb1', VIP, DIP);
  const answered = new Set<number>();
  const ping = bench.lab.start('client', ['ping', '-n', '-i', '0.01', VIP], {
    onLine: (line) => {
      const sequence = /icmp_seq=(\d+) ttl/.exec(line)?.[1];
      if (sequence !== undefined) answered.add(Number(sequence));
    },
  });
  await settled('the client gets answers', () => answered.size > 20);

  const socket = ['--runtime-dir', lb1.runtimeDirectory];
  const done = await bench.command('lb1', ['failover', '--instance', 'inside', ...socket]);
  t.strictSame(done, {
    status: 0,
    output: ['outside: 192.168.7.12 is master', 'inside: 10.7.0.12 is master'],
    errors: [],
  });
  await inState(lb2, 'master');
  await bench.heldBy('lb2', VIP, DIP);
  const before = answered.size;
  await settled('the successor answers', () => answered.size > before + 50);
  ping.kill('SIGINT');
  await ping.exited;
  let longest = 0;
  let last = 1;
  for (const sequence of [...answered].sort((a, b) => a - b)) {
    longest = Math.max(longest, sequence - last - 1);
    last = sequence;
  }
  t.ok(longest < 30, `longest gap ${longest} pings of 10 ms`);
  t.equal((await instanceOf(lb1)).maintenance, 'on');
  t.match((await bench.command('lb1', ['status', ...socket])).output.join('\n'), 'backup (maintenance)');

  // With priority 150 against 100 it would be the better one, but for the maintenance.
  const back = await bench.command('lb2', ['failover', '--json', '--runtime-dir', lb2.runtimeDirectory]);
  t.equal(back.status, 0);
  t.match(JSON.parse(back.output.join('\n')), {
    passed: true,
    instances: [
      { name: 'outside', state: 'backup', master: '192.168.7.11' },
      { name: 'inside', state: 'backup', master: '10.7.0.11' },
    ],
  });
  await bench.heldBy('lb1', VIP, DIP);
  const over = await bench.command('lb1', ['failover', '--end', ...socket]);
  t.strictSame(over, { status: 0, output: ['maintenance is over: outside, inside'], errors: [] });
  t.equal((await instanceOf(lb1)).maintenance, 'off');
});

test('nobody takes over: the director goes on and says so', async (t) => {
  const bench = await Bench.open(t);
  const lb1 = await bench.start('lb1', directorYaml());
  await inState(lb1, 'master');
  await bench.heldBy('lb1');
  const socket = ['--runtime-dir', lb1.runtimeDirectory];
  const alone = await bench.command('lb1', ['failover', ...socket]);
  t.strictSame(alone, {
    status: 1,
    output: ['outside: nobody took over, this director goes on as master'],
    errors: [],
  });
  await inState(lb1, 'master');
  await bench.heldBy('lb1');

  const wrong = await bench.command('lb1', ['failover', '--instance', 'outsid', ...socket]);
  t.strictSame(wrong, {
    status: 1,
    output: [],
    errors: ["director: there is no VRRP instance 'outsid': there are outside"],
  });
  t.equal((await bench.command('lb1', ['failover', '--end', '--persist', ...socket])).status, 2);
  t.equal((await bench.command('lb1', ['failover', '--timeout', 'soon', ...socket])).status, 2);
});

test('of the whole director: what a reload adds stays behind, too', async (t) => {
  const bench = await Bench.open(t);
  const [lb1, lb2] = await bench.pair(directorYaml({ preempt: true }));
  t.equal((await bench.command('lb1', ['failover', '--runtime-dir', lb1.runtimeDirectory])).status, 0);
  await bench.heldBy('lb2');
  const [both = ''] = directorYaml({ preempt: true, instances: [OUTSIDE, INSIDE] }).split('  sync_groups:');
  for (const director of [lb1, lb2]) {
    writeFileSync(director.configFile, both);
    director.child.kill('SIGHUP');
    await settled('it has reloaded', () => director.log.some(({ msg }) => msg === 'configuration reloaded'));
  }
  await settled('lb2 is master of both', async () => (await instanceOf(lb2, 'inside')).state === 'master');
  // With its 150 it would have taken the role back by then.
  await settled('lb1 hears it', async () => {
    const { counters, maintenance } = await instanceOf(lb1, 'inside');
    return maintenance === 'on' && (counters['advertisements_received'] ?? 0) > 20;
  });
  await inState(lb1, 'backup');
  await bench.heldBy('lb2', VIP, DIP);
});

test('--persist survives a restart, --end ends that', async (t) => {
  const bench = await Bench.open(t);
  const yaml = directorYaml({ preempt: true });
  const [first, lb2] = await bench.pair(yaml);
  const socket = ['--runtime-dir', first.runtimeDirectory];
  t.equal((await bench.command('lb1', ['failover', '--persist', ...socket])).status, 0);
  await bench.heldBy('lb2');
  const file = join(bench.folder, 'lb1-state', 'maintenance.json');
  t.ok(existsSync(file));
  await stop(first);

  const lb1 = await bench.start('lb1', yaml);
  await inState(lb1, 'backup');
  t.equal((await instanceOf(lb1)).maintenance, 'persistent');
  await settled('it hears the master', async () => (await instanceOf(lb1)).master === '192.168.7.12');
  await pause(1500);
  await inState(lb2, 'master');
  t.equal((await bench.command('lb1', ['failover', '--end', ...socket])).status, 0);
  t.notOk(existsSync(file));
  // With preemption the higher priority counts again.
  await inState(lb1, 'master');
  await bench.heldBy('lb1');
});
