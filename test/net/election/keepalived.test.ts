/** A director and a keepalived as one pair, with VRRPv3, each in each role. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { type Child, stopChild } from '../../../src/drill/lab/process.js';
import type { InstanceStatus } from '../../../src/runtime/status.js';
import {
  Bench,
  complaints,
  directorYaml,
  FILE_LIMIT_MS,
  inState,
  instanceOf,
  isAlive,
  pause,
  type RunningDirector,
  settled,
  skipWithout,
  stop,
  testUnless,
  VIP,
} from '../daemon-helpers.js';

const skip = skipWithout('keepalived');
/** Some advertisement intervals of 200 ms: long enough for a role to move if it wanted to. */
const QUIET_MS = 1500;
const OURS = '192.168.7.11';

// Most of the time these tests wait.
t.jobs = 4;
t.setTimeout(FILE_LIMIT_MS);

interface Keepalived {
  readonly child: Child;
  readonly output: string[];
  /** Its VRRP process. */
  readonly vrrp: number;
}

function keepalivedConf(priority: number): string {
  return `global_defs {
  vrrp_version 3
  vrrp_garp_master_delay 1
}
vrrp_instance outside {
  state BACKUP
  nopreempt
  interface eth0
  virtual_router_id 51
  priority ${priority}
  advert_int 0.2
  virtual_ipaddress {
    ${VIP}/24 dev eth0
  }
}
`;
}

/** Starts keepalived on lb2, with all its files in the test's own folder. */
async function startKeepalived(bench: Bench, priority: number): Promise<Keepalived> {
  const file = await bench.file('keepalived.conf', keepalivedConf(priority));
  const pidFile = (name: string) => join(bench.folder, `keepalived-${name}.pid`);
  const output: string[] = [];
  const take = (line: string) => output.push(line);
  const argv = ['--vrrp', '-R', '-n', '-l', '-D', '-G', '-f', file, '-p', pidFile('main')];
  const child = bench.lab.start('lb2', ['keepalived', ...argv, '-r', pidFile('vrrp')], {
    onLine: take,
    onErrorLine: take,
  });
  await settled(
    () => `keepalived runs: ${output.join('\n')}`,
    () => child.running && output.some((line) => line.includes('Entering BACKUP STATE')),
  );
  const vrrp = Number(readFileSync(pidFile('vrrp'), 'utf8'));
  return { child, output, vrrp };
}

/** Kills both its processes at once, so that neither can clean up for the other. */
async function kill(keepalived: Keepalived): Promise<void> {
  keepalived.child.kill('SIGSTOP');
  process.kill(keepalived.vrrp, 'SIGKILL');
  keepalived.child.kill('SIGKILL');
  await keepalived.child.exited;
  await settled('keepalived is gone', () => !isAlive(keepalived.vrrp));
}

/** Lines in which keepalived finds fault with a packet. Its words: vrrp_check_packet() in vrrp.c. */
function faults(keepalived: Keepalived): string[] {
  const words =
    /invalid|checksum|ttl|mismatch|wrong|bogus|expected|incorrect|too short|discard|unexpected|conflict/i;
  return keepalived.output.filter((line) => words.test(line));
}

function discards({ counters }: InstanceStatus): string[] {
  return Object.keys(counters).filter((name) => name.startsWith('discarded'));
}

async function neitherComplains(t: Test, director: RunningDirector, keepalived: Keepalived): Promise<void> {
  t.strictSame(faults(keepalived), [], 'keepalived finds no fault with our packets');
  t.strictSame(discards(await instanceOf(director)), [], 'nor we with those of keepalived');
}

/** Our instance is a backup that hears keepalived. */
async function followsKeepalived(director: RunningDirector): Promise<void> {
  await settled('the director hears keepalived', async () => {
    const { state, master } = await instanceOf(director);
    return state === 'backup' && master === '192.168.7.12';
  });
}

async function becomesMaster(keepalived: Keepalived): Promise<void> {
  await settled(
    () => `keepalived becomes master:\n${keepalived.output.join('\n')}`,
    () => keepalived.output.findLast((line) => line.includes('STATE'))?.includes('MASTER STATE') === true,
  );
}

const test = testUnless(skip);

test('ours is master: stopped, it hands over; comes back as backup; keepalived stops, ours takes over', async (t) => {
  const bench = await Bench.open(t);
  const yaml = directorYaml();
  const first = await bench.start('lb1', yaml);
  await inState(first, 'master');
  const keepalived = await startKeepalived(bench, 100);
  await pause(QUIET_MS);
  await bench.heldBy('lb1');
  t.equal((await instanceOf(first)).master, OURS);
  await neitherComplains(t, first, keepalived);

  t.strictSame(await stop(first), { status: 0, signal: null });
  await becomesMaster(keepalived);
  await bench.heldBy('lb2');
  t.strictSame(complaints(first), []);

  const again = await bench.start('lb1', yaml);
  await followsKeepalived(again);
  await pause(QUIET_MS);
  await inState(again, 'backup');
  await bench.heldBy('lb2');

  await stopChild(keepalived.child);
  await inState(again, 'master');
  await bench.heldBy('lb1');
  t.ok((await instanceOf(again)).counters['priority_zero_received'], 'keepalived said farewell');
  await neitherComplains(t, again, keepalived);
});

test('keepalived is master: stopped, ours takes over; comes back as backup; ours stops, keepalived takes over', async (t) => {
  const bench = await Bench.open(t);
  const first = await startKeepalived(bench, 150);
  await becomesMaster(first);
  const director = await bench.start('lb1', directorYaml({ priorities: [100, 100] }));
  await followsKeepalived(director);
  await bench.heldBy('lb2');

  await stopChild(first.child);
  await inState(director, 'master');
  await bench.heldBy('lb1');
  await neitherComplains(t, director, first);

  const again = await startKeepalived(bench, 150);
  await pause(QUIET_MS);
  await inState(director, 'master');
  await bench.heldBy('lb1');
  await neitherComplains(t, director, again);

  t.strictSame(await stop(director), { status: 0, signal: null });
  await becomesMaster(again);
  await bench.heldBy('lb2');
});

test('ours is killed as master: keepalived takes over and holds the address alone', async (t) => {
  const bench = await Bench.open(t);
  const director = await bench.start('lb1', directorYaml());
  await inState(director, 'master');
  const keepalived = await startKeepalived(bench, 100);
  await pause(QUIET_MS);
  await bench.heldBy('lb1');
  director.child.kill('SIGKILL');
  await becomesMaster(keepalived);
  await bench.heldBy('lb2');
  await settled('the guardian is gone', () => !isAlive(director.guardian));
  t.strictSame(faults(keepalived), [], "the guardian's farewell is well formed");
});

test('keepalived is killed as master: ours takes over', async (t) => {
  const bench = await Bench.open(t);
  const keepalived = await startKeepalived(bench, 150);
  await becomesMaster(keepalived);
  const director = await bench.start('lb1', directorYaml({ priorities: [100, 100] }));
  await followsKeepalived(director);
  await kill(keepalived);
  await inState(director, 'master');
  t.ok((await bench.holders()).includes('lb1'));
  // A killed keepalived leaves its address behind: its operator has to remove it.
  await bench.lab.run('lb2', ['ip', 'addr', 'del', `${VIP}/24`, 'dev', 'eth0']);
  await bench.heldBy('lb1');
});

test('preemption: ours with the higher priority takes the role from keepalived, and not from a higher one', async (t) => {
  const bench = await Bench.open(t);
  const keepalived = await startKeepalived(bench, 120);
  await becomesMaster(keepalived);
  const director = await bench.start('lb1', directorYaml({ preempt: true }));
  await inState(director, 'master');
  await bench.heldBy('lb1');
  await neitherComplains(t, director, keepalived);
  await stop(director);
  await becomesMaster(keepalived);

  const lower = await bench.start('lb1', directorYaml({ preempt: true, priorities: [110, 100] }));
  await followsKeepalived(lower);
  await pause(QUIET_MS);
  await inState(lower, 'backup');
  await bench.heldBy('lb2');
  await neitherComplains(t, lower, keepalived);
});

test('keepalived tells a checksum it does not like: its silence elsewhere means something', async (t) => {
  const bench = await Bench.open(t);
  const yaml = directorYaml().replace('preempt: false', 'preempt: false\n      checksum: rfc9568');
  const director = await bench.start('lb1', yaml);
  await inState(director, 'master');
  const keepalived = await startKeepalived(bench, 100);
  await settled('keepalived complains', () => faults(keepalived).length > 0);
  t.match(faults(keepalived)[0], 'checksum');
  await settled(
    'we read those of keepalived',
    async () => (await instanceOf(director)).counters['advertisements_received'] !== undefined,
  );
  t.strictSame(discards(await instanceOf(director)), []);
});
