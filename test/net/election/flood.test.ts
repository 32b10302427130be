/** Forged VRRP of every sort, for a few seconds: what bench:flood does for longer and with more of it. */
import { fileURLToPath } from 'node:url';
import { Bench, directorYaml, inState, instanceOf, type RunningDirector, test } from '../daemon-helpers.js';

const SOURCE = fileURLToPath(new URL('../../bench/support/flood-source.js', import.meta.url));
const PER_SECOND = 20_000;
const SECONDS = 4;
const MAX_LOG_BYTES = 100_000;

async function flood(bench: Bench, ...within: readonly string[]): Promise<number> {
  let sent = 0;
  const argv = [process.execPath, SOURCE, 'eth0', String(PER_SECOND), String(SECONDS), '', ...within];
  const source = bench.lab.start('client', argv, {
    onLine: (line) => {
      if (line.startsWith('{')) sent = JSON.parse(line).sent;
    },
  });
  await source.exited;
  return sent;
}

const roles = ({ log }: RunningDirector): unknown[] => log.filter(({ event }) => event === 'role');
const bytesOf = ({ log }: RunningDirector): number => JSON.stringify(log).length;

test('a flood of forged VRRP moves no role and fills no log', async (t) => {
  const bench = await Bench.open(t);
  const pair = await bench.pair(directorYaml({ interval: '100ms' }));
  const before = pair.map((one) => ({ roles: roles(one).length, bytes: bytesOf(one) }));
  const sent = await flood(bench);
  t.ok(sent > 0, `${sent} packets`);
  for (const [i, one] of pair.entries()) {
    await inState(one, i === 0 ? 'master' : 'backup');
    t.equal(roles(one).length, before[i]?.roles, `${one.host}: no role changed`);
    t.ok(bytesOf(one) - (before[i]?.bytes ?? 0) < MAX_LOG_BYTES, `${one.host}: ${bytesOf(one)} bytes of log`);
    const { counters } = await instanceOf(one);
    for (const reason of ['bad_checksum', 'bad_ttl', 'bad_length', 'unknown_vrid', 'other_cluster']) {
      t.ok((counters[`discarded_${reason}`] ?? 0) > 0, `${one.host}: ${reason} is counted`);
    }
    t.ok((counters['discarded_unread'] ?? 0) > sent / 4, `${one.host}: most are dropped by the kernel`);
    t.ok(one.log.some(({ msg }) => /uses VRID 51 .* for other addresses/.test(msg)));
  }
});

const PORT = 8112;

for (const [name, transport, destination] of [
  ['to the group', 'udp', '224.0.0.18'],
  [
    'to the backup of two peers',
    '{ udp: { peers: { lb1: 192.168.7.11, lb2: 192.168.7.12 } } }',
    '192.168.7.12',
  ],
] as const) {
  test(`a flood within UDP moves no role and fills no log: ${name}`, async (t) => {
    const bench = await Bench.open(t);
    const yaml = directorYaml({ interval: '100ms' });
    const pair = await bench.pair(
      yaml.replace('      preempt:', `      transport: ${transport}\n      preempt:`),
    );
    const before = pair.map((one) => ({ roles: roles(one).length, bytes: bytesOf(one) }));
    const sent = await flood(bench, String(PORT), destination);
    t.ok(sent > 0, `${sent} packets`);
    for (const [i, one] of pair.entries()) {
      await inState(one, i === 0 ? 'master' : 'backup');
      t.equal(roles(one).length, before[i]?.roles, `${one.host}: no role changed`);
      t.ok(
        bytesOf(one) - (before[i]?.bytes ?? 0) < MAX_LOG_BYTES,
        `${one.host}: ${bytesOf(one)} bytes of log`,
      );
    }
    const [, backup] = pair;
    const { counters } = await instanceOf(backup);
    t.ok((counters['discarded_unread'] ?? 0) > sent / 4, 'most are dropped by the kernel');
    t.ok((counters[`discarded_${transport === 'udp' ? 'bad_checksum' : 'unknown_peer'}`] ?? 0) > 0);
  });
}
