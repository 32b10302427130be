import t from 'tap';
import { effectivePriority, weightOf } from '../../../src/vrrp/group-tracking.js';
import type { TrackState } from '../../../src/vrrp/group-types.js';
import { Bench, instance, masterBench } from './group-bench.js';

const tracked = (object: string, state: TrackState, value?: number) =>
  ({ type: 'tracked', object, state, value }) as const;
const verdict = (object: string, state: TrackState, value?: number) => ({
  object,
  state,
  value,
  lenient: false,
});

await t.test('weights: negative while down, positive while up, neither while unknown', async (t) => {
  const track = [
    { object: 'uplink', weight: -50 },
    { object: 'quorum', weight: 20 },
  ];
  const sum = (uplink: TrackState, quorum: TrackState) =>
    weightOf({ track, verdicts: [verdict('uplink', uplink), verdict('quorum', quorum)] });
  t.equal(sum('unknown', 'unknown'), 0);
  t.equal(sum('up', 'up'), 20);
  t.equal(sum('down', 'up'), -30);
  t.equal(sum('down', 'down'), -50);
});

await t.test("a file's number is multiplied, whatever its state", async (t) => {
  const sum = (weight: number, state: TrackState, value: number) =>
    weightOf({ track: [{ object: 'file', weight }], verdicts: [verdict('file', state, value)] });
  t.equal(sum(2, 'down', 10), 20);
  t.equal(sum(2, 'up', 0), 0);
  t.equal(sum(-1, 'down', 30), -30);
});

await t.test('the sum is clamped to 1..254; an owner is left alone; maintenance is not', async (t) => {
  t.equal(effectivePriority(100, -200, false), 1);
  t.equal(effectivePriority(100, 1e9, false), 254);
  t.equal(effectivePriority(255, -200, false), 255);
  t.equal(effectivePriority(255, 0, true), 1);
});

await t.test('a master says at once what it is worth, on every instance', async (t) => {
  const track = [{ object: 'uplink', weight: -60 }];
  const bench = masterBench([instance('outside'), instance('inside', { priority: 120 })], { track });
  t.same(bench.at(4000, tracked('uplink', 'down')), ['outside send 40', 'inside send 60']);
  t.same(bench.at(4001, tracked('uplink', 'down')), [], 'no news');
  t.same(bench.at(4002, tracked('other', 'down')), [], 'not tracked');
  t.same(
    bench.hear(4100, 'outside', 50),
    ['outside send 40', 'inside send 60', 'outside remove-addresses', 'outside master->backup'].concat([
      'inside remove-addresses',
      'inside master->backup',
    ]),
  );
});

await t.test('a backup keeps its timer, and preempts by its new priority', async (t) => {
  const track = [{ object: 'quorum', weight: 100 }];
  const preempt = { mode: 'always', delayMs: 0 } as const;
  const bench = new Bench([instance('outside', { preempt })], { track });
  bench.at(0, { type: 'start' });
  bench.hear(1000, 'outside', 150);
  const { timer } = bench;
  t.same(bench.at(1500, tracked('quorum', 'up')), []);
  t.equal(bench.timer, timer);
  bench.hear(2000, 'outside', 150);
  t.equal(bench.timer, timer, 'a lower master now: discarded');
  bench.run(timer);
  t.equal(bench.roles(), 'master');
});

await t.test('a hard fault', async (t) => {
  const track = [{ object: 'quorum', weight: undefined }];
  await t.test('holds until the first verdict', async (t) => {
    const bench = new Bench([instance('outside')], { track });
    t.same(bench.at(0, { type: 'start' }), ['outside initialize->fault']);
    t.same(bench.state.faults, ['quorum is not known yet']);
    t.same(bench.at(100, tracked('quorum', 'up')), ['outside fault->backup']);
  });
  await t.test('takes the whole group down at once', async (t) => {
    const bench = new Bench([instance('outside'), instance('inside')], { track });
    bench.at(0, { type: 'start' });
    bench.at(1, tracked('quorum', 'up'));
    bench.run(4000);
    t.equal(bench.roles(), 'master master');
    t.same(bench.at(4000, tracked('quorum', 'down')), [
      'outside send 0',
      'outside remove-addresses',
      'outside master->fault',
      'inside send 0',
      'inside remove-addresses',
      'inside master->fault',
    ]);
    t.same(bench.at(5000, tracked('quorum', 'up')), ['outside fault->backup', 'inside fault->backup']);
  });
  await t.test('one of two objects is enough', async (t) => {
    const bench = new Bench([instance('outside')], {
      track: [...track, { object: 'uplink', weight: undefined }],
    });
    bench.at(0, { type: 'start' });
    t.same(bench.at(1, tracked('quorum', 'up')), []);
    t.same(bench.state.faults, ['uplink is not known yet']);
    t.same(bench.at(2, tracked('uplink', 'up')), ['outside fault->backup']);
  });
});

await t.test('reload', async (t) => {
  const settings = [instance('outside')];
  await t.test('a new object faults nobody before its first verdict', async (t) => {
    const bench = masterBench(settings);
    const track = [{ object: 'quorum', weight: undefined }];
    bench.at(4000, { type: 'configure', instances: settings, track });
    t.equal(bench.roles(), 'master');
    bench.at(4100, tracked('quorum', 'down'));
    t.equal(bench.roles(), 'fault');
  });
  await t.test('what is known stays known; what is no longer tracked weighs no more', async (t) => {
    const track = [{ object: 'uplink', weight: -50 }];
    const bench = masterBench(settings, { track });
    bench.at(4000, tracked('uplink', 'down'));
    t.equal(bench.member().priority, 50);
    bench.at(4100, { type: 'configure', instances: settings, track: [{ object: 'uplink', weight: -20 }] });
    t.equal(bench.member().priority, 80);
    bench.at(4200, { type: 'configure', instances: settings, track: [] });
    t.equal(bench.member().priority, 100);
  });
  await t.test('ends a fault whose object is gone', async (t) => {
    const bench = new Bench(settings, { track: [{ object: 'quorum', weight: undefined }] });
    bench.at(0, { type: 'start' });
    t.same(bench.at(10, { type: 'configure', instances: settings, track: [] }), ['outside fault->backup']);
  });
});

await t.test('maintenance', async (t) => {
  const pair = () => masterBench([instance('outside'), instance('inside')]);
  const on = { type: 'maintenance', on: true } as const;
  const off = { type: 'maintenance', on: false } as const;
  await t.test('hands over: farewell, addresses until the successor spoke everywhere', async (t) => {
    const bench = pair();
    t.same(bench.at(4000, on), ['outside send 0', 'inside send 0']);
    t.equal(bench.state.phase, 'handing-over');
    t.equal(bench.roles(), 'master master');
    t.same(bench.hear(4600, 'outside', 100), []);
    t.same(bench.run(4800), []);
    t.same(bench.hear(4800, 'inside', 100), []);
    t.same(bench.run(4950), [
      '4950 outside remove-addresses',
      '4950 outside master->backup',
      '4950 inside remove-addresses',
      '4950 inside master->backup',
    ]);
    t.equal(bench.state.phase, 'running');
    t.ok(bench.state.maintenance);
    t.equal(bench.member().priority, 1);
    t.equal(bench.member().master, '192.168.1.11');
    t.equal(bench.timer, 4950 + 3000 + (255 * 1000) / 256);
  });
  await t.test('nobody takes over: goes on, and says so', async (t) => {
    const bench = pair();
    bench.at(4000, on);
    t.same(bench.run(5250), [
      '5250 outside no-successor',
      '5250 outside send 1',
      '5250 outside announce',
      '5250 inside send 1',
      '5250 inside announce',
    ]);
    t.equal(bench.roles(), 'master master');
    t.same(bench.at(6000, on), ['outside send 0', 'inside send 0'], 'asked again, it tries again');
  });
  await t.test('a director in maintenance takes over when nobody else speaks', async (t) => {
    const bench = new Bench([instance('outside', { priority: 255 })]);
    bench.at(0, on);
    bench.at(0, { type: 'start' });
    t.equal(bench.roles(), 'backup', 'also an owner is the last choice');
    bench.run(3997);
    t.equal(bench.roles(), 'master');
    t.equal(bench.member().priority, 1);
  });
  await t.test('off: normal again, at once', async (t) => {
    const bench = pair();
    bench.at(4000, on);
    t.match(bench.at(4010, off), ['outside send 100', 'outside announce', 'inside send 100']);
    t.equal(bench.state.phase, 'running');
    bench.at(4020, on);
    bench.run(6000);
    t.same(bench.at(6000, off), ['outside send 100', 'inside send 100']);
  });
  await t.test('off when the successor has spoken: the role is its own', async (t) => {
    const bench = pair();
    bench.at(4000, on);
    bench.hear(4600, 'outside', 90);
    bench.hear(4600, 'inside', 90);
    t.same(bench.at(4610, off), []);
    bench.run(4750);
    t.equal(bench.roles(), 'backup backup');
    t.equal(bench.member().priority, 100);
  });
  await t.test('a successor that leaves in its turn is none', async (t) => {
    const bench = pair();
    bench.at(4000, on);
    for (const priority of [90, 0]) {
      bench.hear(4600, 'outside', priority);
      bench.hear(4600, 'inside', priority);
    }
    t.match(bench.run(4750), [/no-successor/, /send 1/]);
    t.equal(bench.roles(), 'master master');
  });
  await t.test('stop while handing over: leaves when the successor spoke', async (t) => {
    const bench = pair();
    bench.at(4000, on);
    t.same(bench.at(4100, { type: 'stop' }), [], 'the farewell is said');
    bench.hear(4600, 'outside', 100);
    bench.hear(4600, 'inside', 100);
    t.match(bench.run(4750), [/remove/, /initialize/, /remove/, /initialize/, /stopped/]);
  });
  await t.test('a fault while handing over: no second farewell', async (t) => {
    const bench = pair();
    bench.at(4000, on);
    t.same(bench.at(4100, { type: 'link', instance: 'outside', up: false }), [
      'outside remove-addresses',
      'outside master->fault',
      'inside remove-addresses',
      'inside master->fault',
    ]);
    t.equal(bench.deadline, Number.POSITIVE_INFINITY);
  });
  await t.test('weights wait until it is over', async (t) => {
    const bench = masterBench([instance('outside')], { track: [{ object: 'x', weight: 50 }] });
    bench.at(4000, on);
    bench.at(4010, tracked('x', 'up'));
    t.equal(bench.member().priority, 1);
    bench.at(4020, off);
    t.equal(bench.member().priority, 150);
  });
});

await t.test('another cluster', async (t) => {
  const settings = instance('outside', { advertised: ['192.168.1.253', '192.168.1.254'] });
  const other = { addresses: ['172.16.0.1'] };
  await t.test('nothing in common: no influence on the election, told once a minute', async (t) => {
    const bench = masterBench([settings]);
    const { state } = bench.member();
    t.same(bench.hear(4000, 'outside', 200, '192.168.1.66', other), ['outside other-cluster']);
    t.same(bench.hear(4001, 'outside', 0, '192.168.1.66', other), []);
    t.same(
      bench.hear(4002, 'outside', 200, '192.168.1.67', other),
      ['outside other-cluster'],
      'another sender',
    );
    t.same(
      bench.run(64_000).filter((line) => !/send|announce/.test(line)),
      [],
    );
    t.same(bench.hear(64_001, 'outside', 50, '192.168.1.66', other), ['outside other-cluster']);
    t.equal(bench.member().state, state);
    t.equal(bench.counters.get('outside discarded_other_cluster'), 4);
    t.equal(bench.counters.get('outside advertisements_received'), undefined);
  });
  await t.test('nor does it hold a backup down, or count as a successor', async (t) => {
    const bench = new Bench([settings]);
    bench.at(0, { type: 'start' });
    const { deadline } = bench;
    bench.hear(1000, 'outside', 200, '192.168.1.66', other);
    t.equal(bench.deadline, deadline);
    bench.run(deadline);
    bench.at(4000, { type: 'stop' });
    bench.hear(4100, 'outside', 200, '192.168.1.66', other);
    t.notOk(bench.member().succeeded);
  });
  await t.test('some in common, or another order: heard, counted, told', async (t) => {
    const bench = new Bench([settings]);
    bench.at(0, { type: 'start' });
    const some = { addresses: ['192.168.1.254', '192.168.1.250'] };
    t.same(bench.hear(1000, 'outside', 200, '192.168.1.11', some), ['outside address-mismatch']);
    t.equal(bench.timer, 1000 + 3609.375);
    const order = { addresses: ['192.168.1.254', '192.168.1.253'] };
    t.same(bench.hear(2000, 'outside', 200, '192.168.1.11', order), [], 'told already');
    t.equal(bench.counters.get('outside address_mismatch'), 2);
  });
});
