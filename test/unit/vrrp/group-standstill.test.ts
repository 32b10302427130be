/** Time in which the host stood still is no time in which a backup heard nothing (docs/decisions/0006). */
import t from 'tap';
import { Bench, instance } from './group-bench.js';

const SKEW_MS = (156 * 10) / 256;
const DOWN_MS = 30 + SKEW_MS;
/** After a standstill: an interval and Skew_Time. */
const LISTENING_MS = 10 + SKEW_MS;

/** A backup that heard its master at 1000. */
function backup(more = {}): Bench {
  const bench = new Bench([instance('outside', { advertisementIntervalMs: 10, ...more })]);
  bench.at(0, { type: 'start' });
  bench.hear(1000, 'outside', 150);
  return bench;
}

/** What is due runs when the standstill ends. */
function standsStill(bench: Bench, untilMs: number): string[] {
  return bench.deadline <= untilMs ? bench.at(untilMs, { type: 'deadline' }) : [];
}

await t.test('a backup looks when an advertisement is overdue by half an interval', async (t) => {
  const bench = backup();
  t.equal(bench.deadline, 1015);
  t.equal(bench.timer, 1000 + DOWN_MS);
  t.same(bench.run(1015), []);
  t.equal(bench.deadline, 1000 + DOWN_MS, 'and costs a takeover nothing');
});

await t.test('while advertisements come in time it never wakes', async (t) => {
  const bench = backup();
  for (let now = 1010; now < 2000; now += 10) {
    t.ok(bench.deadline > now + 4, `at ${now}`);
    bench.hear(now, 'outside', 150);
  }
});

await t.test('a look that is late by half an interval slows nothing', async (t) => {
  const bench = backup();
  standsStill(bench, 1020);
  t.equal(bench.deadline, 1000 + DOWN_MS);
});

await t.test('whatever a standstill’s length, its end is followed by an interval of listening', async (t) => {
  for (const beginMs of [1000.5, 1005, 1009.5]) {
    for (let lengthMs = 1; lengthMs <= 120; lengthMs += 0.5) {
      const bench = backup();
      const endMs = beginMs + lengthMs;
      standsStill(bench, endMs);
      bench.run(endMs + 11);
      if (bench.roles() === 'backup') continue;
      t.fail(`master ${bench.now - endMs} ms after a standstill of ${lengthMs} ms from ${beginMs} on`);
      return;
    }
  }
  t.pass();
});

await t.test(
  '26 to 46 ms: the master’s next word is heard; without one the role is taken soon',
  async (t) => {
    for (const lengthMs of [26, 30, 36.5, 46]) {
      const bench = backup();
      const endMs = 1000 + lengthMs;
      t.same(standsStill(bench, endMs), []);
      t.equal(bench.timer, endMs + LISTENING_MS);
      t.same(bench.run(bench.timer - 0.001), []);
      bench.run(bench.timer);
      t.equal(bench.roles(), 'master');
    }
  },
);

await t.test('where Skew_Time is next to nothing: an interval and a quarter', async (t) => {
  const bench = backup({ priority: 254 });
  standsStill(bench, 1030);
  t.equal(bench.timer, 1030 + 12.5);
});

await t.test('longer: for a whole Master_Down_Interval, and tells', async (t) => {
  const bench = backup();
  t.same(standsStill(bench, 1000 + DOWN_MS + 10.5), ['outside paused']);
  t.equal(bench.deadline, 1000 + DOWN_MS + 10.5 + DOWN_MS);
});

await t.test('a host that is slow at every deadline takes over all the same', async (t) => {
  const bench = backup();
  let turns = 0;
  while (bench.roles() === 'backup' && turns < 10) {
    bench.at(bench.deadline + 9, { type: 'deadline' });
    turns += 1;
  }
  t.equal(turns, 2);
});

await t.test('a packet that lay in the receive buffer for long is no proof of silence', async (t) => {
  const bench = backup();
  const { advertised: addresses } = bench.member().config;
  bench.at(1030, {
    type: 'advertisement',
    instance: 'outside',
    source: '192.168.1.11',
    receivedAtMs: 1010,
    advertisement: {
      version: 3,
      family: 'ipv4',
      virtualRouterId: 51,
      priority: 150,
      advertisementIntervalMs: 10,
      addresses,
    },
  });
  standsStill(bench, 1030);
  bench.run(1030 + LISTENING_MS - 0.001);
  t.equal(bench.roles(), 'backup');
});

await t.test('after a farewell there is nothing to look for', async (t) => {
  const bench = backup();
  bench.hear(1005, 'outside', 0);
  t.equal(bench.deadline, 1005 + SKEW_MS);
});

await t.test('version 2 by its own interval', async (t) => {
  const bench = backup({ version: 2, advertisementIntervalMs: 1000 });
  t.equal(bench.deadline, 1000 + 1500);
  standsStill(bench, 1000 + 4000);
  t.equal(bench.deadline, 1000 + 4000 + 1000 + 609.375);
});
