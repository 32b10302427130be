import t from 'tap';
import { createGroup } from '../../../src/vrrp/group-create.js';
import {
  ROGUE_BACK_OFF_MAX_MS,
  ROGUE_BACK_OFF_MIN_MS,
  ROGUE_QUIET_MS,
} from '../../../src/vrrp/group-election.js';
import { Bench, instance, masterBench } from './group-bench.js';
import { virtualRoute, virtualRule } from './instances.js';

const STRONGER = '192.168.1.13';
const preempting = { preempt: { mode: 'always', delayMs: 0 } } as const;

await t.test('start-up delay: nothing heard, nothing said, then a full Master_Down_Timer', async (t) => {
  const bench = new Bench([instance('outside', { startupDelayMs: 5000 })]);
  t.same(bench.at(0, { type: 'start' }), []);
  t.equal(bench.state.phase, 'starting');
  t.equal(bench.deadline, 5000);
  t.same(bench.hear(1000, 'outside', 0), []);
  t.same(bench.hear(1000, 'outside', 50), []);
  t.equal(bench.counters.size, 0, 'not even counted');
  t.same(bench.run(5000), ['5000 outside initialize->backup']);
  t.equal(bench.timer, 5000 + 3609.375);
});

await t.test('start-up delay: an owner waits too, and a group waits for its longest', async (t) => {
  const owner = new Bench([
    instance('outside', { startupDelayMs: 5000, priority: 255 }),
    instance('inside', { startupDelayMs: 8000, priority: 255 }),
  ]);
  t.same(owner.at(0, { type: 'start' }), []);
  t.same(
    owner.run(8000).filter((line) => line.includes('master')),
    ['8000 outside backup->master', '8000 inside backup->master'],
  );
});

await t.test('start-up delay: a link that is down is found at its end; stop ends it', async (t) => {
  const bench = new Bench([instance('outside', { startupDelayMs: 5000 })]);
  bench.at(0, { type: 'start' });
  t.same(bench.at(100, { type: 'link', instance: 'outside', up: false }), []);
  t.same(bench.run(5000), ['5000 outside initialize->fault']);
  const stopped = new Bench([instance('outside', { startupDelayMs: 5000 })]);
  stopped.at(0, { type: 'start' });
  t.same(stopped.at(100, { type: 'stop' }), ['stopped']);
  t.equal(stopped.deadline, Number.POSITIVE_INFINITY);
});

await t.test('equal priority: addresses are compared as numbers, not as text', async (t) => {
  const v4 = () => masterBench([instance('outside')], { source: '192.168.1.9' });
  t.same(v4().hear(4000, 'outside', 100, '192.168.1.10'), [
    'outside send 100',
    'outside remove-addresses',
    'outside master->backup',
  ]);
  t.match(v4().hear(4000, 'outside', 100, '192.168.1.8'), ['outside send 100']);
  const v6 = () => masterBench([instance('outside', { family: 'ipv6' })], { source: 'fe80::9' });
  t.same(v6().hear(4000, 'outside', 100, 'fe80::10'), [
    'outside send 100',
    'outside remove-addresses',
    'outside master->backup',
  ]);
  t.match(v6().hear(4000, 'outside', 100, 'fe80::8'), ['outside send 100']);
});

await t.test('its own advertisement that comes back is nobody', async (t) => {
  const bench = masterBench([instance('outside')]);
  t.same(bench.hear(4000, 'outside', 100, '192.168.1.12'), []);
  t.same(bench.hear(4000, 'outside', 0, '192.168.1.12'), []);
  t.equal(bench.counters.get('outside discarded_own'), 2);
});

await t.test('an advertisement from its own address that it did not send is another host', async (t) => {
  const kinds = (bench: Bench) => bench.notices.map(({ kind }) => kind);
  const backup = new Bench([instance('outside')]);
  backup.at(0, { type: 'start' });
  backup.hear(100, 'outside', 100, '192.168.1.12');
  backup.hear(200, 'outside', 100, '192.168.1.12');
  t.same(kinds(backup), ['own-source'], 'once');
  const master = masterBench([instance('outside')]);
  master.hear(4000, 'outside', 100, '192.168.1.12');
  t.same(kinds(master), [], 'what it said comes back');
  master.hear(4000, 'outside', 150, '192.168.1.12');
  t.same(kinds(master), ['own-source'], 'what it did not say');
  t.equal(master.roles(), 'master');
});

await t.test('an owner beats every other priority and preempts whatever the file says', async (t) => {
  const bench = new Bench([instance('outside', { priority: 255 })]);
  bench.at(0, { type: 'start' });
  t.equal(bench.roles(), 'master');
  t.same(bench.hear(100, 'outside', 254, STRONGER), ['outside send 255', 'outside still-master']);
  bench.at(200, { type: 'withdrawn' });
  for (let now = 500; now < 3000; now += 500) bench.hear(now, 'outside', 254, STRONGER);
  bench.run(200 + 3000 + 4);
  t.equal(bench.roles(), 'master');
});

await t.test('rogue owner', async (t) => {
  const owner = () => {
    const bench = new Bench([instance('outside', { priority: 255 })]);
    bench.at(0, { type: 'start' });
    return bench;
  };
  /** The rogue advertises every second; the times at which the owner spoke up. */
  const claims = (bench: Bench, until: number) => {
    const times: number[] = [];
    for (let now = 1000; now < until; now += 1000) {
      for (const line of bench.run(now)) if (line.includes('->master')) times.push(Number.parseInt(line, 10));
      if (bench.hear(now, 'outside', 255, STRONGER).some((line) => line.includes('->master')))
        times.push(now);
    }
    return times;
  };
  await t.test('with the greater address: yields, and claims again after growing back-offs', async (t) => {
    const bench = owner();
    const [first = 0, second = 0, third = 0] = claims(bench, 100_000);
    t.equal(first, 1000 + ROGUE_BACK_OFF_MIN_MS);
    t.equal(second, first + 2 * ROGUE_BACK_OFF_MIN_MS, 'the rogue is heard in the same instant');
    t.equal(third, second + 4 * ROGUE_BACK_OFF_MIN_MS);
    t.same(bench.notices[0], { kind: 'rogue-owner', source: STRONGER, backOffMs: ROGUE_BACK_OFF_MIN_MS });
  });
  await t.test('the back-off is bounded', async (t) => {
    const times = claims(owner(), 3_000_000);
    const gaps = times.slice(1).map((time, i) => time - (times[i] ?? 0));
    t.equal(Math.max(...gaps), ROGUE_BACK_OFF_MAX_MS);
  });
  await t.test('after a quiet time it is short again', async (t) => {
    const bench = owner();
    claims(bench, 100_000);
    bench.run(110_000);
    t.equal(bench.roles(), 'master', 'the rogue is gone: Master_Down_Timer ran out');
    bench.run(99_000 + ROGUE_QUIET_MS + 1000);
    bench.hear(99_000 + ROGUE_QUIET_MS + 1001, 'outside', 255, STRONGER);
    t.equal(bench.state.backOffMs, ROGUE_BACK_OFF_MIN_MS);
  });
  await t.test('with the lower address: stays, and tells once a minute', async (t) => {
    const bench = owner();
    for (let now = 1000; now <= 62_000; now += 1000) {
      bench.run(now);
      bench.hear(now, 'outside', 255);
    }
    t.equal(bench.roles(), 'master');
    t.equal(bench.notices.filter(({ kind }) => kind === 'rogue-owner').length, 2);
  });
});

await t.test('announcing', async (t) => {
  const announcements = (lines: string[]) =>
    lines.filter((line) => line.endsWith('announce')).map((line) => Number.parseInt(line, 10));
  const bench = (repeatMs: number[], refreshMs?: number) =>
    masterBench([instance('outside', { announcing: { repeatMs, refreshMs } })]);
  await t.test('repeats, and all over again at the refresh interval', async (t) => {
    const seen = announcements(bench([100, 1000], 10_000).run(30_000));
    t.same(seen, [3709, 4609, 13_609, 13_709, 14_609, 23_609, 23_709, 24_609]);
  });
  await t.test('no refresh unless told', async (t) => {
    t.same(announcements(bench([100, 1000]).run(100_000)), [3709, 4609]);
  });
  await t.test('all repeats again after another master was heard', async (t) => {
    const healed = bench([100, 1000]);
    healed.run(10_000);
    healed.hear(10_000, 'outside', 50);
    t.same(announcements(healed.run(20_000)), [10_100, 11_000]);
    const none = bench([]);
    none.hear(4000, 'outside', 50);
    t.same(announcements(none.run(20_000)), [4100], 'once at least');
  });
  await t.test('a master that never yields cannot put the announcement off', async (t) => {
    const pestered = bench([100, 1000]);
    pestered.run(10_000);
    const seen: string[] = [];
    for (let now = 10_000; now < 11_000; now += 50) {
      seen.push(...pestered.run(now));
      pestered.hear(now, 'outside', 50);
    }
    t.ok(announcements(seen).length >= 5);
  });
  await t.test('a loser announces no more', async (t) => {
    const loser = bench([100, 1000], 500);
    loser.hear(3650, 'outside', 200);
    t.same(announcements(loser.run(6000)), []);
  });
});

await t.test('version 2', async (t) => {
  const v2 = (overrides = {}) => instance('outside', { version: 2, ...overrides });
  await t.test('Skew_Time is a fraction of a second whatever the interval', async (t) => {
    const bench = new Bench([v2({ advertisementIntervalMs: 3000 })]);
    bench.at(0, { type: 'start' });
    t.equal(bench.timer, 9000 + 609.375);
    bench.hear(1000, 'outside', 0);
    t.equal(bench.deadline, 1000 + 609.375);
  });
  await t.test('another interval is discarded, told once until it changes', async (t) => {
    const bench = new Bench([v2()]);
    bench.at(0, { type: 'start' });
    const { deadline } = bench;
    const hear = (now: number, advertisementIntervalMs: number) =>
      bench.hear(now, 'outside', 200, STRONGER, { advertisementIntervalMs });
    t.same(hear(100, 3000), ['outside interval-mismatch']);
    t.same(hear(200, 3000), []);
    t.same(hear(300, 4000), ['outside interval-mismatch']);
    t.equal(bench.deadline, deadline, 'without influence');
    t.equal(bench.counters.get('outside discarded_interval_mismatch'), 3);
    t.same(hear(400, 1000), []);
    t.equal(bench.timer, 400 + 3609.375);
    t.same(hear(500, 4000), ['outside interval-mismatch'], 'it was right in between');
  });
  await t.test('version 3 follows it, and tells', async (t) => {
    const bench = new Bench([instance('outside')]);
    bench.at(0, { type: 'start' });
    const more = { advertisementIntervalMs: 100 };
    t.same(bench.hear(100, 'outside', 200, STRONGER, more), ['outside interval-mismatch']);
    t.same(bench.hear(200, 'outside', 200, STRONGER, more), []);
    t.equal(bench.timer, 200 + 300 + 60.9375);
  });
});

await t.test('a farewell on one instance of a sync group', async (t) => {
  const pair = (overrides = {}) => {
    const bench = new Bench([instance('outside', overrides), instance('inside', overrides)]);
    bench.at(0, { type: 'start' });
    bench.hear(1000, 'outside', 150);
    bench.hear(1000, 'inside', 150, '10.10.10.11');
    return bench;
  };
  await t.test('shortens the timers of all: one lost farewell costs nothing', async (t) => {
    const bench = pair();
    bench.hear(1500, 'outside', 0);
    bench.run(1500 + 609.375);
    t.equal(bench.roles(), 'master master');
  });
  await t.test('what the old master said before and comes late does not count', async (t) => {
    const bench = pair();
    bench.hear(1500, 'outside', 0);
    bench.hear(1510, 'inside', 150, '10.10.10.11');
    bench.run(1500 + 610);
    t.equal(bench.roles(), 'master master');
  });
  await t.test('another master does', async (t) => {
    const bench = pair();
    bench.hear(1500, 'outside', 0);
    bench.hear(1900, 'inside', 120, '10.10.10.13');
    bench.run(1900 + 3600);
    t.equal(bench.roles(), 'backup backup');
    const heardBefore = pair();
    heardBefore.hear(1600, 'inside', 120, '10.10.10.13');
    heardBefore.at(1650, {
      type: 'advertisement',
      instance: 'outside',
      source: '192.168.1.11',
      receivedAtMs: 1500,
      advertisement: {
        version: 3,
        family: 'ipv4',
        virtualRouterId: 51,
        priority: 0,
        advertisementIntervalMs: 1000,
        addresses: ['192.168.1.253'],
      },
    });
    heardBefore.run(1600 + 3600);
    t.equal(heardBefore.roles(), 'backup backup', 'a master heard since the farewell was sent');
  });
  await t.test('a wish for the role stays', async (t) => {
    const bench = pair();
    for (let now = 2000; now < 8000; now += 1000) {
      bench.run(now);
      bench.hear(now, 'inside', 150, '10.10.10.11');
    }
    t.ok(bench.member('outside').wantsMaster);
    bench.hear(7500, 'outside', 0);
    bench.hear(7500, 'inside', 0, '10.10.10.11');
    bench.run(7500 + 610);
    t.equal(bench.roles(), 'master master');
  });
});

await t.test('sync groups that each win one instance', async (t) => {
  const inside = '10.10.10.13';
  await t.test('the lowest VRID decides at once', async (t) => {
    const bench = masterBench([instance('outside'), instance('inside')]);
    bench.hear(4000, 'outside', 100, STRONGER);
    t.equal(bench.roles(), 'backup backup');
  });
  await t.test(
    'beaten on another one: asks on the deciding instance, yields if it is told again',
    async (t) => {
      const bench = masterBench([instance('outside'), instance('inside')], { source: '10.10.10.12' });
      t.same(bench.hear(4000, 'inside', 100, inside), ['outside send 100']);
      t.equal(bench.roles(), 'master master');
      t.same(bench.hear(4010, 'inside', 100, inside), [], 'the same in the same interval is no news');
      bench.hear(5000, 'inside', 100, inside);
      t.equal(bench.roles(), 'backup backup', 'the other does not hear us where we win');
    },
  );
  await t.test('the other is gone before it is heard again: announced again', async (t) => {
    const bench = masterBench([instance('outside'), instance('inside')], { source: '10.10.10.12' });
    bench.run(30_000);
    bench.hear(30_010, 'inside', 100, inside);
    const announced = bench.run(30_010 + 100).filter((line) => line.endsWith('announce'));
    t.same(announced, ['30110 outside announce', '30110 inside announce']);
  });
  await t.test('an old contest is forgotten', async (t) => {
    const bench = masterBench([instance('outside'), instance('inside')], { source: '10.10.10.12' });
    bench.hear(4000, 'inside', 100, inside);
    bench.run(60_000);
    t.same(bench.hear(60_000, 'inside', 100, inside), ['outside send 100']);
  });
});

await t.test('pauses of the process', async (t) => {
  await t.test('a backup whose timer fires too late listens once more', async (t) => {
    for (const lateMs of [1001, 3610]) {
      const bench = new Bench([instance('outside')]);
      bench.at(0, { type: 'start' });
      t.same(bench.at(3609.375 + lateMs, { type: 'deadline' }), ['outside paused']);
      t.equal(bench.timer, 3609.375 + lateMs + 3609.375);
      t.match(bench.run(bench.timer), [/add-addresses/]);
    }
  });
  await t.test('what it hears then is the master that it stood still for', async (t) => {
    const bench = new Bench([instance('outside')]);
    bench.at(0, { type: 'start' });
    bench.at(3609.375 + 1500, { type: 'deadline' });
    bench.hear(5200, 'outside', 100);
    t.equal(bench.timer, 5200 + 3609.375);
    t.equal(bench.roles(), 'backup');
    t.same(bench.at(bench.timer + 1500, { type: 'deadline' }), ['outside paused'], 'and the next is new');
  });
  await t.test('late by no more than an interval is no pause', async (t) => {
    const bench = new Bench([instance('outside', { advertisementIntervalMs: 10 })]);
    bench.at(0, { type: 'start' });
    bench.run(bench.timer - 0.001);
    bench.at(bench.timer + 10, { type: 'deadline' });
    t.equal(bench.roles(), 'master');
    bench.at(bench.timer + 20, { type: 'deadline' });
    t.equal(bench.roles(), 'master');
    t.same(bench.notices, []);
  });
  await t.test('a host that is always late takes over all the same, a paused one does not', async (t) => {
    const bench = new Bench([instance('outside', { advertisementIntervalMs: 10 })]);
    bench.at(0, { type: 'start' });
    t.same(bench.at(bench.timer + 20, { type: 'deadline' }), ['outside paused']);
    t.same(bench.at(bench.timer + 37, { type: 'deadline' }), ['outside paused']);
    bench.at(bench.timer + 36, { type: 'deadline' });
    t.equal(bench.roles(), 'master');
  });
  await t.test('a master that was silent for longer than its peers wait gives up and listens', async (t) => {
    const bench = masterBench([instance('outside'), instance('inside')]);
    const at = bench.now + 3610;
    t.same(bench.at(at, { type: 'deadline' }), [
      'outside paused',
      'outside remove-addresses',
      'outside master->backup',
      'inside remove-addresses',
      'inside master->backup',
    ]);
    t.equal(bench.timer, at + 3609.375);
  });
  await t.test('10 ms intervals on a busy host: 250 ms without a word heard cost nothing', async (t) => {
    const fast = { advertisementIntervalMs: 10 };
    const bench = masterBench([instance('outside', fast)]);
    t.match(bench.at(bench.now + 250, { type: 'deadline' }).at(-1), 'outside send 100');
    t.match(bench.at(bench.now + 251, { type: 'deadline' }), ['outside paused']);
  });
  await t.test(
    'but who was heard meanwhile has taken over, unless it may be preempted at once',
    async (t) => {
      for (const [preempt, role] of [
        [{ mode: 'never' }, 'backup'],
        [{ mode: 'always', delayMs: 5000 }, 'backup'],
        [{ mode: 'always', delayMs: 0 }, 'master'],
      ] as const) {
        const bench = masterBench([instance('outside', { advertisementIntervalMs: 10, preempt })]);
        bench.hear(bench.now + 200, 'outside', 50);
        t.equal(bench.roles(), role);
      }
    },
  );
  await t.test('whatever wakes it: not a word before it listened', async (t) => {
    const bench = masterBench([instance('outside', { priority: 200, ...preempting })]);
    const at = bench.now + 3610;
    t.same(bench.hear(at, 'outside', 100), [
      'outside paused',
      'outside remove-addresses',
      'outside master->backup',
    ]);
  });
  await t.test('while handing over there is nothing to say, and no pause', async (t) => {
    const bench = masterBench([instance('outside')]);
    bench.at(bench.now + 10, { type: 'maintenance', on: true });
    const at = bench.now + 10_000;
    t.match(bench.at(at, { type: 'deadline' }), ['outside paused', 'outside remove-addresses']);
    t.equal(bench.roles(), 'backup', 'the end of the hand-over came too late to go on');
  });
});

await t.test('the address to speak from', async (t) => {
  await t.test('a new one is spoken from at once and compared', async (t) => {
    const bench = masterBench([instance('outside')]);
    t.same(bench.at(4000, { type: 'source', instance: 'outside', source: '192.168.1.20' }), [
      'outside send 100',
    ]);
    t.match(bench.hear(4010, 'outside', 100, STRONGER), ['outside send 100']);
    t.equal(bench.member().master, '192.168.1.20');
    t.same(bench.at(4020, { type: 'source', instance: 'outside', source: '192.168.1.20' }), [], 'no news');
  });
  await t.test('none is a fault until it returns', async (t) => {
    const bench = masterBench([instance('outside'), instance('inside')]);
    t.same(bench.at(4000, { type: 'source', instance: 'outside', source: undefined }), [
      'outside remove-addresses',
      'outside master->fault',
      'inside send 0',
      'inside remove-addresses',
      'inside master->fault',
    ]);
    t.same(bench.state.faults, ['eth0 has no address to speak from']);
    t.same(bench.at(5000, { type: 'source', instance: 'outside', source: '192.168.1.12' }), [
      'outside fault->backup',
      'inside fault->backup',
    ]);
  });
  await t.test('none from the start', async (t) => {
    const bench = new Bench([]);
    bench.state = createGroup('g', [{ config: instance('outside'), source: undefined, linkUp: true }], 0);
    t.same(bench.at(0, { type: 'start' }), ['outside initialize->fault']);
    t.same(bench.at(1, { type: 'source', instance: 'outside', source: '192.168.1.12' }), [
      'outside fault->backup',
    ]);
  });
});

await t.test('faults are a set', async (t) => {
  const bench = masterBench([instance('outside')]);
  bench.at(4000, { type: 'address-failed', instance: 'outside' });
  t.same(bench.at(4100, { type: 'link', instance: 'outside', up: false }), []);
  t.same(bench.state.faults, ['link of eth0 is down', 'an address of outside was refused']);
  t.same(bench.at(4200, { type: 'link', instance: 'outside', up: true }), [], 'one is left');
  t.same(bench.run(9000), ['9000 outside fault->backup']);
  t.same(bench.state.faults, []);
});

await t.test('routes move with the addresses', async (t) => {
  const route = (destination: string, via: string) => virtualRoute({ destination, via });
  const with1 = instance('outside', { routes: [route('0.0.0.0', '192.168.1.1')] });
  const bench = new Bench([with1]);
  bench.at(0, { type: 'start' });
  bench.run(bench.timer - 0.001);
  const effects = bench.effects(bench.timer, { type: 'deadline' });
  t.has(effects[0], { type: 'add-addresses', routes: with1.routes });
  const with2 = instance('outside', {
    routes: [route('0.0.0.0', '192.168.1.2'), route('10.0.0.0', '192.168.1.2')],
  });
  const changed = bench.effects(4000, { type: 'configure', instances: [with2], track: [] });
  t.has(
    changed.find(({ type }) => type === 'add-addresses'),
    { addresses: [], routes: with2.routes },
  );
  t.notOk(
    changed.some(({ type }) => type === 'remove-addresses' || type === 'announce'),
    'replaced in place',
  );
  const back = bench.effects(4100, { type: 'configure', instances: [with1], track: [] });
  t.has(
    back.find(({ type }) => type === 'remove-addresses'),
    { addresses: [], routes: [route('10.0.0.0', '192.168.1.2')] },
  );
  const rules = [virtualRule()];
  const ruled = bench.effects(4200, {
    type: 'configure',
    instances: [instance('outside', { routes: with1.routes, rules })],
    track: [],
  });
  t.has(
    ruled.find(({ type }) => type === 'add-addresses'),
    { addresses: [], routes: [], rules },
  );
  const left = bench.effects(4300, { type: 'stop' });
  t.equal(left.length > 0, true);
  const gone = bench.effects(4300, { type: 'stop' });
  t.has(
    gone.find(({ type }) => type === 'remove-addresses'),
    { routes: with1.routes, rules },
    'all of it goes with the role',
  );
});

await t.test(
  'a backup that stood still listens, however old the packets in its receive buffer are',
  async (t) => {
    const bench = new Bench([instance('outside')]);
    bench.at(0, { type: 'start' });
    bench.hear(1000, 'outside', 150);
    // The buffer had no room for what came later.
    const receivedAtMs = 2000;
    const now = 9000;
    bench.at(now, {
      type: 'advertisement',
      instance: 'outside',
      advertisement: {
        version: 3,
        family: 'ipv4',
        virtualRouterId: 51,
        priority: 150,
        advertisementIntervalMs: 1000,
        addresses: ['192.168.1.253'],
      },
      source: STRONGER,
      receivedAtMs,
    });
    t.same(bench.at(now, { type: 'deadline' }), []);
    t.equal(bench.timer, now + 3609.375);
  },
);
