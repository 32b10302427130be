/** Requirements of RFC 9568 on the states of a virtual router; docs/RFC9568.md has the table. */
import t from 'tap';
import { Bench, instance, masterBench } from './group-bench.js';

const STRONGER = '192.168.1.13';
const WEAKER = '192.168.1.11';
const preempting = { preempt: { mode: 'always', delayMs: 0 } } as const;

function backup(overrides = {}): Bench {
  const bench = new Bench([instance('outside', overrides)]);
  bench.at(0, { type: 'start' });
  return bench;
}
const master = (overrides = {}) => masterBench([instance('outside', overrides)]);
const stop = { type: 'stop' } as const;

await t.test('RFC9568-2.5-1 positive: a pause that costs the role is told', async (t) => {
  const bench = master({ advertisementIntervalMs: 10 });
  bench.at(bench.now + 300, { type: 'deadline' });
  t.match(bench.notices, [{ kind: 'paused', pausedMs: 300 }]);
});
await t.test('RFC9568-2.5-1 negative: ordinary lateness is not', async (t) => {
  const bench = master({ advertisementIntervalMs: 10 });
  for (let i = 0; i < 100; i++) bench.at(bench.timer + 15, { type: 'deadline' });
  t.same(bench.notices, []);
  t.equal(bench.roles(), 'master');
});

await t.test('RFC9568-5.2.4-1 positive: the owner advertises 255, whatever is tracked', async (t) => {
  const bench = new Bench([instance('outside', { priority: 255 })], {
    track: [{ object: 'x', weight: -100 }],
  });
  bench.at(0, { type: 'tracked', object: 'x', state: 'down' });
  t.ok(bench.at(0, { type: 'start' }).includes('outside send 255 after addresses'));
});
await t.test('RFC9568-5.2.4-1 negative: nobody else does', async (t) => {
  const bench = masterBench([instance('outside', { priority: 254 })], {
    track: [{ object: 'x', weight: 200 }],
  });
  t.same(bench.at(bench.now + 1, { type: 'tracked', object: 'x', state: 'up' }), [], '254 already');
  t.match(bench.run(bench.timer), [/(announce|send 254)/]);
  t.equal(bench.member().priority, 254);
});
await t.test('RFC9568-5.2.4-2 positive: backups have 1 to 254', async (t) => {
  for (const priority of [1, 100, 254]) t.equal(backup({ priority }).member().priority, priority);
});
await t.test('RFC9568-5.2.4-2 negative: weights cannot make it 0 or less', async (t) => {
  const bench = masterBench([instance('outside', { priority: 10 })], {
    track: [{ object: 'x', weight: -50 }],
  });
  t.same(bench.at(bench.now + 1, { type: 'tracked', object: 'x', state: 'down' }), ['outside send 1']);
});

await t.test(
  'RFC9568-6.4.1-1 positive: the owner is master at once, with advertisement and announcement',
  async (t) => {
    const bench = new Bench([instance('outside', { priority: 255 })]);
    t.same(bench.at(0, { type: 'start' }), [
      'outside initialize->backup',
      'outside add-addresses',
      'outside announce',
      'outside backup->master',
      'outside send 255 after addresses',
    ]);
    t.equal(bench.member().timerMs, 1000);
  },
);
await t.test('RFC9568-6.4.1-1 negative: 254 is not', async (t) => {
  t.equal(backup({ priority: 254 }).roles(), 'backup');
});
await t.test(
  'RFC9568-6.4.1-2 positive: any other waits for Master_Down_Interval by its own interval',
  async (t) => {
    t.equal(backup({ advertisementIntervalMs: 100 }).timer, 300 + (156 * 100) / 256);
  },
);
await t.test('RFC9568-6.4.1-2 negative: and says nothing meanwhile', async (t) => {
  const bench = backup();
  t.same(bench.run(bench.timer - 1), []);
});

/** A backup must not answer for the addresses or take packets to them: it does not hold them. */
for (const id of ['RFC9568-6.4.2-1', 'RFC9568-6.4.2-2', 'RFC9568-6.4.2-5']) {
  await t.test(`${id} positive: who becomes backup gives the addresses back`, async (t) => {
    t.same(master().hear(4000, 'outside', 200), [
      'outside send 100',
      'outside remove-addresses',
      'outside master->backup',
    ]);
  });
  await t.test(`${id} negative: a backup takes none, whatever it hears`, async (t) => {
    const bench = backup(preempting);
    const seen = [0, 1, 99, 100, 254, 255].flatMap((priority, i) => bench.hear(100 + i, 'outside', priority));
    t.same(seen, []);
  });
}
await t.test('RFC9568-6.4.2-6 positive: shutdown of a backup: no timer, Initialize', async (t) => {
  const bench = backup();
  t.same(bench.at(100, stop), ['outside backup->initialize', 'stopped']);
  t.equal(bench.deadline, Number.POSITIVE_INFINITY);
});
await t.test('RFC9568-6.4.2-6 negative: and nothing wakes it but a start', async (t) => {
  const bench = backup();
  bench.at(100, stop);
  t.same(bench.hear(200, 'outside', 0), []);
  t.same(bench.at(9000, { type: 'deadline' }), []);
  t.equal(bench.roles(), 'initialize');
});
await t.test(
  'RFC9568-6.4.2-7 positive: Master_Down_Timer fires: addresses, announcement, advertisement, master',
  async (t) => {
    const bench = backup();
    t.same(bench.run(bench.timer - 0.001), []);
    t.same(bench.at(bench.timer, { type: 'deadline' }), [
      'outside add-addresses',
      'outside announce',
      'outside backup->master',
      'outside send 100 after addresses',
    ]);
    t.equal(bench.member().timerMs, bench.now + 1000);
  },
);
await t.test('RFC9568-6.4.2-7 negative: not before it fires', async (t) => {
  const bench = backup();
  t.same(bench.run(bench.timer - 0.001), []);
});
await t.test('RFC9568-6.4.2-8 positive: priority 0 sets the timer to Skew_Time', async (t) => {
  const bench = backup();
  bench.hear(100, 'outside', 0);
  t.equal(bench.deadline, 100 + 609.375);
});
await t.test('RFC9568-6.4.2-8 negative: priority 1 does not', async (t) => {
  const bench = backup();
  bench.hear(100, 'outside', 1);
  t.equal(bench.timer, 100 + 3609.375);
});
await t.test(
  'RFC9568-6.4.2-9 positive: an equal or greater priority, or no preemption: the master’s interval counts',
  async (t) => {
    const more = { advertisementIntervalMs: 200 };
    for (const [overrides, priority] of [
      [preempting, 100],
      [preempting, 200],
      [{}, 50],
    ] as const) {
      const bench = backup(overrides);
      bench.hear(100, 'outside', priority, WEAKER, more);
      t.equal(bench.timer, 100 + 600 + (156 * 200) / 256);
      t.equal(bench.member().activeAdverIntervalMs, 200);
    }
  },
);
await t.test(
  'RFC9568-6.4.2-9 negative: with preemption a lower one leaves timer and interval alone',
  async (t) => {
    const bench = backup(preempting);
    const { deadline } = bench;
    bench.hear(100, 'outside', 99, STRONGER, { advertisementIntervalMs: 200 });
    t.equal(bench.deadline, deadline);
    t.equal(bench.member().activeAdverIntervalMs, 1000);
  },
);
await t.test(
  'RFC9568-6.4.2-10 positive: with preemption a lower advertisement is discarded until the timer fires',
  async (t) => {
    const bench = backup(preempting);
    for (let now = 100; now < 3600; now += 500) bench.hear(now, 'outside', 99, STRONGER);
    bench.run(3610);
    t.equal(bench.roles(), 'master');
  },
);
await t.test('RFC9568-6.4.2-10 negative: without preemption it is not', async (t) => {
  const bench = backup();
  for (let now = 100; now < 10_000; now += 500) {
    bench.run(now);
    bench.hear(now, 'outside', 99, STRONGER);
  }
  t.equal(bench.roles(), 'backup');
});

/** The kernel answers for what the host holds. */
for (const id of ['RFC9568-6.4.3-1', 'RFC9568-6.4.3-2']) {
  await t.test(`${id} positive: a master holds its addresses`, async (t) => {
    const bench = backup();
    bench.run(bench.timer - 0.001);
    t.match(bench.effects(bench.timer, { type: 'deadline' }), [
      { type: 'add-addresses', addresses: bench.member().config.addresses },
    ]);
  });
  await t.test(`${id} negative: and lets go of them when it is none`, async (t) => {
    const bench = master();
    const [effect] = bench.effects(4000, { type: 'withdrawn' });
    t.match(effect, { type: 'remove-addresses', addresses: bench.member().config.addresses });
  });
}
await t.test(
  'RFC9568-6.4.3-8 positive: shutdown of a master: no timer, priority 0, at last Initialize',
  async (t) => {
    const bench = master();
    t.same(bench.at(3700, stop), ['outside send 0']);
    t.equal(bench.member().timerMs, Number.POSITIVE_INFINITY);
    t.match(bench.run(10_000), [/remove-addresses/, /master->initialize/, /stopped/]);
  },
);
await t.test('RFC9568-6.4.3-8 negative: no other word is said after it', async (t) => {
  const bench = master();
  bench.at(3700, stop);
  const seen = [...bench.hear(3800, 'outside', 50), ...bench.hear(3900, 'outside', 0), ...bench.run(20_000)];
  t.notOk(seen.some((line) => line.includes('send')));
});
await t.test('RFC9568-6.4.3-9 positive: Adver_Timer fires: an advertisement every interval', async (t) => {
  const sends = master()
    .run(8000)
    .filter((line) => line.includes('send'));
  t.same(sends, [
    '4609 outside send 100',
    '5609 outside send 100',
    '6609 outside send 100',
    '7609 outside send 100',
  ]);
});
await t.test('RFC9568-6.4.3-9 negative: none before', async (t) => {
  const bench = master({ announcing: { repeatMs: [], refreshMs: undefined } });
  t.same(bench.run(bench.timer - 0.001), []);
});
await t.test(
  'RFC9568-6.4.3-10 positive: priority 0 is answered at once, and Adver_Timer starts anew',
  async (t) => {
    const bench = master();
    t.same(bench.hear(3700, 'outside', 0), ['outside send 100']);
    t.equal(bench.member().timerMs, 4700);
  },
);
await t.test('RFC9568-6.4.3-10 negative: it does not end the role', async (t) => {
  const bench = master();
  bench.hear(3700, 'outside', 0, STRONGER);
  t.equal(bench.roles(), 'master');
});
await t.test(
  'RFC9568-6.4.3-11 positive: a greater priority, or the same from a greater address: backup',
  async (t) => {
    for (const [priority, source] of [
      [101, WEAKER],
      [100, STRONGER],
    ] as const) {
      const bench = master();
      bench.hear(3700, 'outside', priority, source, { advertisementIntervalMs: 200 });
      t.equal(bench.roles(), 'backup');
      t.equal(bench.timer, 3700 + 600 + (156 * 200) / 256);
    }
  },
);
await t.test('RFC9568-6.4.3-11 negative: not for less', async (t) => {
  const bench = master();
  bench.hear(3700, 'outside', 99, STRONGER);
  bench.hear(3700, 'outside', 100, WEAKER);
  t.equal(bench.roles(), 'master');
});
for (const id of ['RFC9568-6.4.3-12', 'RFC9568-6.4.3-13']) {
  await t.test(`${id} positive: a losing advertisement is answered at once`, async (t) => {
    t.match(master().hear(3700, 'outside', 99, STRONGER), ['outside send 100']);
    t.match(master().hear(3700, 'outside', 100, WEAKER), ['outside send 100']);
  });
  await t.test(`${id} negative: it changes neither interval nor master`, async (t) => {
    const bench = master();
    bench.hear(3700, 'outside', 99, STRONGER, { advertisementIntervalMs: 200 });
    t.equal(bench.member().activeAdverIntervalMs, 1000);
    t.equal(bench.member().master, bench.member().source);
  });
}

await t.test('RFC9568-7.1-8 positive: what passes the checks moves the machine', async (t) => {
  const bench = backup();
  bench.hear(100, 'outside', 200);
  t.equal(bench.timer, 100 + 3609.375);
});
await t.test('RFC9568-7.1-8 negative: what fails one does not', async (t) => {
  const bench = backup();
  const { deadline } = bench;
  bench.hear(100, 'outside', 200, WEAKER, { addresses: ['172.16.0.1'] });
  bench.at(100, {
    type: 'advertisement',
    instance: 'nobody',
    source: WEAKER,
    receivedAtMs: 100,
    advertisement: {
      version: 3,
      family: 'ipv4',
      virtualRouterId: 9,
      priority: 0,
      advertisementIntervalMs: 1000,
      addresses: ['192.168.1.253'],
    },
  });
  t.equal(bench.deadline, deadline);
});
for (const id of ['RFC9568-7.1-7', 'RFC9568-8.3.2-2']) {
  await t.test(`${id} positive: an owner that hears another one tells of it`, async (t) => {
    for (const source of [STRONGER, WEAKER]) {
      const bench = new Bench([instance('outside', { priority: 255 })]);
      bench.at(0, { type: 'start' });
      bench.hear(100, 'outside', 255, source);
      t.ok(bench.notices.some((notice) => notice.kind === 'rogue-owner' && notice.source === source));
    }
  });
  await t.test(`${id} negative: not for 254, nor by who is no owner, nor each time`, async (t) => {
    const owner = new Bench([instance('outside', { priority: 255 })]);
    owner.at(0, { type: 'start' });
    owner.hear(100, 'outside', 254);
    t.notOk(owner.notices.some(({ kind }) => kind === 'rogue-owner'));
    for (let i = 0; i < 10; i++) owner.hear(200 + i, 'outside', 255);
    t.equal(owner.notices.filter(({ kind }) => kind === 'rogue-owner').length, 1);
    const other = master();
    other.hear(3700, 'outside', 255);
    t.same(other.notices, []);
  });
}
await t.test('RFC9568-7.1-10 positive: another interval than the configured one is told of', async (t) => {
  const bench = backup();
  bench.hear(100, 'outside', 200, WEAKER, { advertisementIntervalMs: 500 });
  t.match(bench.notices, [{ kind: 'interval-mismatch', source: WEAKER, intervalMs: 500 }]);
});
await t.test('RFC9568-7.1-10 negative: not when it is the same, nor each time', async (t) => {
  const bench = backup();
  bench.hear(100, 'outside', 200);
  t.same(bench.notices, []);
  for (let i = 0; i < 10; i++) bench.hear(200 + i, 'outside', 200, WEAKER, { advertisementIntervalMs: 500 });
  t.equal(bench.notices.length, 1);
});
await t.test('RFC9568-7.1-11 positive: another list of addresses is told of', async (t) => {
  const bench = backup({ advertised: ['192.168.1.253', '192.168.1.254'] });
  bench.hear(100, 'outside', 200, WEAKER, { addresses: ['192.168.1.253'] });
  t.match(bench.notices, [{ kind: 'address-mismatch' }]);
});
await t.test('RFC9568-7.1-11 negative: not when it is the same, nor each time', async (t) => {
  const bench = backup();
  bench.hear(100, 'outside', 200);
  t.same(bench.notices, []);
  for (let i = 0; i < 10; i++) bench.hear(200 + i, 'outside', 200, WEAKER, { addresses: ['172.16.0.1'] });
  t.equal(bench.notices.length, 1);
});

for (const id of ['RFC9568-8.1.2-2', 'RFC9568-8.2.2-4']) {
  await t.test(`${id} positive: announced when the addresses are there`, async (t) => {
    const bench = backup();
    bench.run(bench.timer - 0.001);
    const words = bench.at(bench.timer, { type: 'deadline' });
    t.ok(words.indexOf('outside add-addresses') < words.indexOf('outside announce'));
  });
  await t.test(`${id} negative: never without`, async (t) => {
    const bench = backup({ announcing: { repeatMs: [100], refreshMs: 100 } });
    t.notOk(bench.run(3600).some((line) => line.includes('announce')));
    bench.run(4000);
    bench.hear(4000, 'outside', 200);
    t.notOk(bench.run(7000).some((line) => line.includes('announce')));
  });
}
