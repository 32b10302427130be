import t from 'tap';
import type { TrackUse, VrrpInstance } from '../../../src/config/model.js';
import { step } from '../../../src/vrrp/group.js';
import { Bench, instance } from './group-bench.js';

await t.test('alone: backup until Master_Down_Interval, then master', async (t) => {
  const bench = new Bench([instance('outside')]);
  t.same(bench.at(0, { type: 'start' }), ['outside initialize->backup']);
  // 3 x 1000 + (256 - 100) x 1000 / 256
  t.equal(bench.timer, 3609.375);
  t.same(bench.run(3610), [
    '3609 outside add-addresses',
    '3609 outside announce',
    '3609 outside backup->master',
    '3609 outside send 100 after addresses',
  ]);
  t.same(bench.run(5700), [
    '3709 outside announce',
    '4609 outside announce',
    '4609 outside send 100',
    '5609 outside send 100',
  ]);
});

await t.test('a backup follows the interval of its master', async (t) => {
  const bench = new Bench([instance('outside')]);
  bench.at(0, { type: 'start' });
  bench.hear(100, 'outside', 150, '192.168.1.11', { advertisementIntervalMs: 100 });
  t.equal(bench.timer, 100 + 300 + 60.9375);
});

await t.test('priority 0: the backup takes over after Skew_Time', async (t) => {
  const bench = new Bench([instance('outside')]);
  bench.at(0, { type: 'start' });
  bench.hear(500, 'outside', 150);
  bench.hear(700, 'outside', 0);
  t.equal(bench.deadline, 700 + 609.375);
  bench.run(1400);
  t.equal(bench.roles(), 'master');
});

await t.test('preemption', async (t) => {
  await t.test('never: a lower master is left alone', async (t) => {
    const bench = new Bench([instance('outside', { priority: 150 })]);
    bench.at(0, { type: 'start' });
    for (let now = 500; now < 20_000; now += 1000) {
      t.same(bench.run(now), []);
      bench.hear(now, 'outside', 100);
    }
    t.equal(bench.roles(), 'backup');
  });
  await t.test('always: a lower advertisement does not reset the timer', async (t) => {
    const bench = new Bench([
      instance('outside', { priority: 150, preempt: { mode: 'always', delayMs: 0 } }),
    ]);
    bench.at(0, { type: 'start' });
    bench.hear(500, 'outside', 100);
    t.equal(bench.timer, 3000 + 414.0625);
    bench.run(3500);
    t.equal(bench.roles(), 'master');
  });
  await t.test('after a delay', async (t) => {
    const bench = new Bench([
      instance('outside', { priority: 150, preempt: { mode: 'always', delayMs: 10_000 } }),
    ]);
    bench.at(0, { type: 'start' });
    for (let now = 500; now <= 10_500; now += 1000) {
      t.same(bench.run(now), []);
      bench.hear(now, 'outside', 100);
    }
    t.equal(bench.roles(), 'backup');
    // At 10,500 the delay was over: that advertisement was discarded.
    bench.run(9500 + 3415);
    t.equal(bench.roles(), 'master');
  });
});

await t.test('preemption after sync', async (t) => {
  const synced = { mode: 'synced', delayMs: 0, atMostMs: 60_000 } as const;
  const complete = {
    type: 'sync-progress',
    progress: { complete: true, text: 'all are here' },
    asOfMs: Number.NEGATIVE_INFINITY,
  } as const;
  const incomplete = { ...complete, progress: { complete: false, text: '1 of 2 is here' } } as const;
  const start = (overrides: Partial<VrrpInstance> = {}, track: readonly TrackUse[] = []) => {
    const bench = new Bench([instance('outside', { priority: 150, preempt: synced, ...overrides })], {
      track,
    });
    bench.at(0, { type: 'start' });
    return bench;
  };
  /** A master of that priority is heard each second of an interval; whether this one is master at its end. */
  const hears = (bench: Bench, fromMs: number, toMs: number, priority = 100): boolean => {
    for (let now = fromMs; now <= toMs && bench.roles().startsWith('backup'); now += 1000) {
      bench.run(now);
      for (const { config, state } of bench.state.instances)
        if (state === 'backup') bench.hear(now, config.name, priority);
    }
    return bench.roles().startsWith('master');
  };
  /** From the advertisement that is discarded first: what is left of Master_Down_Interval (3414 ms) after the one before. */
  const DOWN = 3000;

  await t.test('when the table is complete, which is told once', async (t) => {
    const bench = start();
    bench.at(200, incomplete);
    t.notOk(hears(bench, 500, 20_500));
    t.equal(bench.member().awaitsSync, true);
    bench.at(20_700, incomplete);
    t.notOk(hears(bench, 21_500, 30_500));
    bench.at(30_900, complete);
    t.notOk(hears(bench, 31_500, 33_500));
    t.equal(bench.member().awaitsSync, false);
    t.ok(hears(bench, 34_500, 31_500 + DOWN));
    t.same(bench.notices, [
      { kind: 'awaits-sync', source: '192.168.1.11', atMostMs: 60_000, text: '1 of 2 is here' },
      { kind: 'awaited-sync', source: '192.168.1.11', complete: true, text: 'all are here' },
    ]);
    t.equal(bench.counters.get('outside awaited_sync'), 1);
  });
  await t.test('at once where it is complete already', async (t) => {
    const bench = start();
    bench.at(100, complete);
    t.ok(hears(bench, 500, 3500));
    t.same(bench.notices, []);
  });
  await t.test('without a word after at_most alone', async (t) => {
    const bench = start();
    t.notOk(hears(bench, 500, 60_500 + DOWN - 1000));
    t.ok(hears(bench, 60_500 + DOWN, 60_500 + DOWN));
    t.match(bench.notices, [{ kind: 'awaits-sync' }, { kind: 'awaited-sync', complete: false }]);
  });
  await t.test('at_most counts anew when the weaker master was away', async (t) => {
    const bench = start();
    t.notOk(hears(bench, 500, 50_500));
    bench.hear(51_500, 'outside', 200, '192.168.1.13');
    t.equal(bench.member().awaitsSync, false);
    t.notOk(hears(bench, 52_500, 110_500));
  });
  await t.test('and a delay: both must hold', async (t) => {
    const both = { ...synced, delayMs: 10_000 };
    const early = start({ preempt: both });
    early.at(100, complete);
    t.notOk(hears(early, 500, 12_500));
    t.ok(hears(early, 13_500, 13_500));
    const late = start({ preempt: both });
    t.notOk(hears(late, 500, 30_500));
    late.at(30_600, complete);
    t.ok(hears(late, 31_500, 31_500 + DOWN));
  });
  await t.test('a table that turns incomplete stops it, but not after at_most', async (t) => {
    const bench = start();
    bench.at(100, complete);
    t.notOk(hears(bench, 500, 2500));
    bench.at(3300, incomplete);
    t.notOk(hears(bench, 3500, 20_500), 'the timer that ran out was restarted');
    const late = start();
    late.at(100, complete);
    t.notOk(hears(late, 500, 500));
    late.at(600, incomplete);
    t.notOk(hears(late, 1500, 61_500));
    late.at(61_600, complete);
    late.at(61_700, incomplete);
    t.ok(hears(late, 62_500, 63_500));
  });
  await t.test('nothing else waits: silence, a farewell, the owner', async (t) => {
    const silence = start();
    silence.hear(500, 'outside', 100);
    silence.run(500 + 3415);
    t.equal(silence.roles(), 'master');
    const farewell = start();
    farewell.hear(500, 'outside', 100);
    farewell.hear(600, 'outside', 0);
    farewell.run(600 + 415);
    t.equal(farewell.roles(), 'master');
    const owner = start({ priority: 255 });
    t.equal(owner.roles(), 'master');
    // A rogue with the greater address is given way to; a weaker master is not.
    owner.hear(500, 'outside', 255, '192.168.1.13');
    t.equal(owner.roles(), 'backup');
    t.ok(hears(owner, 1500, 1500 + 3010));
  });
  await t.test('a master that fell below this one is not waited for', async (t) => {
    const bench = start({ priority: 100 });
    t.notOk(hears(bench, 500, 5500, 150));
    t.ok(hears(bench, 6500, 9500, 90));
    t.same(bench.notices, []);
  });
  await t.test('unless this one rises above what that had been', async (t) => {
    const bench = start({ priority: 100 }, [{ object: 'uplink', weight: 60 }]);
    t.notOk(hears(bench, 500, 5500, 150));
    t.notOk(hears(bench, 6500, 7500, 90));
    bench.at(8000, { type: 'tracked', object: 'uplink', state: 'up' });
    bench.run(10_900);
    t.equal(bench.roles(), 'backup', 'the timer that ran out was restarted: it lives');
    bench.run(11_200);
    t.equal(bench.roles(), 'master', 'it is silent');
  });
  await t.test('one that became weaker only since this one rose is', async (t) => {
    const bench = start({ priority: 80 }, [{ object: 'uplink', weight: 60 }]);
    t.notOk(hears(bench, 500, 5500));
    bench.at(6000, { type: 'tracked', object: 'uplink', state: 'up' });
    t.notOk(hears(bench, 6500, 30_500));
    t.equal(bench.member().awaitsSync, true);
  });
  await t.test('nor is another one the one that fell', async (t) => {
    const bench = start({ priority: 100 });
    t.notOk(hears(bench, 500, 5500, 150));
    for (let now = 6500; now < 20_000; now += 1000) {
      bench.run(now);
      bench.hear(now, 'outside', 90, '192.168.1.10');
    }
    t.equal(bench.roles(), 'backup');
  });
  await t.test('what a master is told takes nothing from it', async (t) => {
    const bench = start({}, [{ object: 'uplink', weight: -60 }]);
    bench.run(4000);
    t.same(bench.at(4100, incomplete), []);
    t.equal(bench.state.sync.complete, true);
    // It falls, is succeeded, and rises again: it has all.
    bench.at(5000, { type: 'tracked', object: 'uplink', state: 'down' });
    bench.hear(5500, 'outside', 100);
    t.equal(bench.roles(), 'backup');
    bench.at(6000, { type: 'tracked', object: 'uplink', state: 'up' });
    t.ok(hears(bench, 6500, 6500 + DOWN));
  });
  await t.test('who could not hear is told anew', async (t) => {
    const link = (bench: Bench, now: number, up: boolean) =>
      bench.at(now, { type: 'link', instance: 'outside', up });
    for (const [what, atMs, away] of [
      ['a fault', 9300, (bench: Bench) => link(bench, 5000, false)],
      ['a standstill', 9300, (bench: Bench) => bench.at(9300, { type: 'deadline' })],
      ['the guardian', 9300, (bench: Bench) => bench.at(9300, { type: 'withdrawn' })],
      ['silence', 7450, (bench: Bench) => bench.hear(7450, 'outside', 100)],
    ] as const) {
      const bench = start();
      bench.run(4420);
      t.equal(bench.roles(), 'master', what);
      t.equal(bench.state.syncVoidMs, Number.NEGATIVE_INFINITY);
      away(bench);
      link(bench, atMs, true);
      t.equal(bench.roles(), 'backup', what);
      t.notOk(hears(bench, atMs + 200, atMs + 30_200), what);
      t.equal(bench.member().awaitsSync, true, what);
      const { syncVoidMs } = bench.state;
      t.equal(syncVoidMs, atMs, 'another word is asked for');
      bench.at(atMs + 30_400, { ...complete, asOfMs: syncVoidMs - 1 });
      t.equal(bench.state.sync.complete, false, 'one that does not know of that says nothing');
      bench.at(atMs + 30_600, { ...complete, asOfMs: syncVoidMs });
      t.ok(hears(bench, atMs + 31_200, atMs + 31_200 + DOWN), what);
    }
  });
  await t.test('a word that lay unread while it stood still says nothing', async (t) => {
    const bench = start();
    bench.run(4420);
    t.equal(bench.roles(), 'master');
    bench.at(9300, complete);
    t.equal(bench.roles(), 'backup', 'it was silent for too long');
    t.notOk(hears(bench, 9400, 39_400));
    t.equal(bench.member().awaitsSync, true);
  });
  await t.test('a backup that stood still is told anew, whatever it knew', async (t) => {
    for (const known of [complete, incomplete]) {
      const bench = start();
      bench.hear(100, 'outside', 100);
      bench.at(200, known);
      bench.at(9300, { type: 'deadline' });
      t.equal(bench.roles(), 'backup');
      t.equal(bench.state.syncVoidMs, 9300);
      bench.at(9310, complete);
      t.equal(bench.state.sync.complete, false);
    }
  });
  await t.test('and waits for a master that speaks seldom as long as that one lives', async (t) => {
    const more = { advertisementIntervalMs: 4000 };
    const bench = start();
    bench.at(50, complete);
    bench.hear(100, 'outside', 100, undefined, more);
    // What lay unread when it goes on, and then what it notices.
    bench.hear(28_000, 'outside', 100, undefined, more);
    bench.at(30_000, { type: 'deadline' });
    bench.run(28_000 + 3 * 4000);
    t.equal(bench.roles(), 'backup');
    bench.run(28_000 + 4 * 4000);
    t.equal(bench.roles(), 'master');
  });
  await t.test('a sync group goes when its last instance may', async (t) => {
    const bench = new Bench([
      instance('outside', { priority: 150, preempt: { mode: 'always', delayMs: 0 } }),
      instance('inside', { priority: 150, preempt: synced }),
    ]);
    bench.at(0, { type: 'start' });
    t.notOk(hears(bench, 500, 20_500));
    bench.at(20_600, complete);
    t.ok(hears(bench, 21_500, 21_500 + DOWN));
    t.equal(bench.roles(), 'master master');
  });
  await t.test('in version 2 as in version 3', async (t) => {
    const bench = start({ version: 2 });
    t.notOk(hears(bench, 500, 20_500));
    bench.at(20_600, complete);
    t.ok(hears(bench, 21_500, 21_500 + DOWN));
  });
  await t.test('a reload to another setting', async (t) => {
    const bench = start();
    t.notOk(hears(bench, 500, 10_500));
    const [outside] = bench.state.instances;
    if (outside === undefined) throw new Error('no instance');
    const instances = [{ ...outside.config, preempt: { mode: 'always', delayMs: 0 } as const }];
    bench.at(10_600, { type: 'configure', instances, track: [] });
    t.ok(hears(bench, 11_500, 11_500 + DOWN));
  });
});

await t.test('a master', async (t) => {
  const master = (overrides: Partial<VrrpInstance> = {}) => {
    const bench = new Bench([instance('outside', overrides)]);
    bench.at(0, { type: 'start' });
    bench.run(3700);
    t.equal(bench.roles(), 'master');
    return bench;
  };
  await t.test('yields to a higher priority', async (t) => {
    const bench = master();
    t.same(
      bench.hear(3800, 'outside', 150),
      ['outside send 100', 'outside remove-addresses', 'outside master->backup'],
      'and says a last word: the other one may not know that neighbours hold this MAC address',
    );
    t.equal(bench.state.instances[0]?.master, '192.168.1.11');
  });
  await t.test('a last word is answered, and is no news of a second master', async (t) => {
    const bench = new Bench([instance('outside', { preempt: { mode: 'always', delayMs: 0 } })]);
    bench.at(0, { type: 'start' });
    for (let at = 500; at <= 3500; at += 1000) {
      bench.run(at);
      bench.hear(at, 'outside', 50);
    }
    bench.run(3700);
    t.equal(bench.roles(), 'master', 'preempted a living one');
    t.same(bench.hear(3800, 'outside', 50), ['outside send 100']);
    t.same(bench.hear(3801, 'outside', 50), ['outside send 100'], 'what was on its way, and the last word');
    t.same(bench.hear(4700, 'outside', 50), ['outside send 100', 'outside still-master'], 'it goes on');
  });
  await t.test('answers a losing advertisement at once and announces again', async (t) => {
    const bench = master();
    t.same(bench.hear(3800, 'outside', 50), ['outside send 100', 'outside still-master']);
    t.ok(bench.run(4000).includes('3900 outside announce'));
  });
  await t.test('equal priority: the higher address wins', async (t) => {
    t.same(master().hear(3800, 'outside', 100, '192.168.1.11'), ['outside send 100', 'outside still-master']);
    t.same(master().hear(3800, 'outside', 100, '192.168.1.13'), [
      'outside send 100',
      'outside remove-addresses',
      'outside master->backup',
    ]);
  });
  await t.test('answers a farewell at once, and announces again: there was another master', async (t) => {
    const bench = master();
    bench.run(20_000);
    t.same(bench.hear(20_010, 'outside', 0), ['outside send 100']);
    t.same(
      bench.run(20_110).filter((line) => line.endsWith('announce')),
      ['20110 outside announce'],
    );
  });
  await t.test('that was silent too long does not take the role back from its successor', async (t) => {
    const bench = master({ priority: 150 });
    // Last spoken at 3414; 3405 ms later is not yet Master_Down_Interval of this director, but of one with 254.
    const at = 3414 + 3405;
    t.same(bench.hear(at, 'outside', 100), ['outside remove-addresses', 'outside master->backup']);
    const preempting = new Bench([
      instance('outside', { priority: 150, preempt: { mode: 'always', delayMs: 0 } }),
    ]);
    preempting.at(0, { type: 'start' });
    preempting.run(3500);
    t.same(preempting.hear(at, 'outside', 100), ['outside send 150', 'outside still-master']);
  });
  await t.test('whose addresses the guardian withdrew listens again', async (t) => {
    const bench = master();
    t.same(bench.at(4000, { type: 'withdrawn' }), ['outside remove-addresses', 'outside master->backup']);
  });
  await t.test('goes to fault when the kernel refuses an address, and tries again', async (t) => {
    const bench = master();
    t.same(bench.at(4000, { type: 'address-failed', instance: 'outside' }), [
      'outside send 0',
      'outside remove-addresses',
      'outside master->fault',
    ]);
    t.same(bench.state.faults, ['an address of outside was refused']);
    t.same(bench.run(9000), ['9000 outside fault->backup']);
  });
});

await t.test('stop as master: farewell first, addresses only when the successor was heard', async (t) => {
  const bench = new Bench([instance('outside'), instance('inside')]);
  bench.at(0, { type: 'start' });
  bench.run(3700);
  t.same(bench.at(3800, { type: 'stop' }), ['outside send 0', 'inside send 0']);
  t.same(bench.hear(4400, 'outside', 100), []);
  t.same(bench.run(4700), [], 'the other instance has no successor yet');
  t.same(bench.hear(4750, 'inside', 100), []);
  t.same(bench.run(5000), [
    '4900 outside remove-addresses',
    '4900 outside master->initialize',
    '4900 inside remove-addresses',
    '4900 inside master->initialize',
    '4900 stopped',
  ]);
  t.equal(bench.deadline, Number.POSITIVE_INFINITY);
});

await t.test('stop as master without a successor ends after the hold', async (t) => {
  const bench = new Bench([instance('outside')]);
  bench.at(0, { type: 'start' });
  bench.run(3700);
  bench.at(3800, { type: 'stop' });
  t.same(bench.run(6000), [
    '5050 outside remove-addresses',
    '5050 outside master->initialize',
    '5050 stopped',
  ]);
});

await t.test('stop twice ends at once; stop as backup has nothing to hand over', async (t) => {
  const bench = new Bench([instance('outside')]);
  bench.at(0, { type: 'start' });
  bench.run(3700);
  bench.at(3800, { type: 'stop' });
  t.same(bench.at(3801, { type: 'stop' }), [
    'outside remove-addresses',
    'outside master->initialize',
    'stopped',
  ]);
  const backup = new Bench([instance('outside')]);
  backup.at(0, { type: 'start' });
  t.same(backup.at(1, { type: 'stop' }), ['outside backup->initialize', 'stopped']);
});

await t.test('sync group', async (t) => {
  const pair = () => new Bench([instance('outside'), instance('inside')]);
  await t.test('goes master together, only when every instance misses its master', async (t) => {
    const bench = pair();
    bench.at(0, { type: 'start' });
    for (let now = 500; now < 10_000; now += 1000) {
      bench.run(now);
      bench.hear(now, 'inside', 150);
    }
    t.equal(bench.roles(), 'backup backup', 'outside alone does not take over');
    const seen = bench.run(20_000).filter((line) => line.includes('->'));
    t.same(seen, ['13109 outside backup->master', '13109 inside backup->master']);
  });
  await t.test('a returning advertisement withdraws the wish', async (t) => {
    const bench = pair();
    bench.at(0, { type: 'start' });
    bench.hear(3000, 'inside', 150);
    bench.run(5000);
    bench.hear(5000, 'outside', 150);
    bench.run(8500);
    t.equal(bench.roles(), 'backup backup');
  });
  await t.test('yields together', async (t) => {
    const bench = pair();
    bench.at(0, { type: 'start' });
    bench.run(3700);
    bench.hear(3800, 'outside', 200);
    t.equal(bench.roles(), 'backup backup');
  });
  await t.test(
    'link down: all in fault, farewell only where there is a link; up again: backup',
    async (t) => {
      const bench = pair();
      bench.at(0, { type: 'start' });
      bench.run(3700);
      t.same(bench.at(3800, { type: 'link', instance: 'outside', up: false }), [
        'outside remove-addresses',
        'outside master->fault',
        'inside send 0',
        'inside remove-addresses',
        'inside master->fault',
      ]);
      t.equal(bench.deadline, Number.POSITIVE_INFINITY, 'in fault nothing is sent');
      t.same(bench.hear(4000, 'inside', 0), []);
      t.same(bench.at(5000, { type: 'link', instance: 'outside', up: true }), [
        'outside fault->backup',
        'inside fault->backup',
      ]);
    },
  );
});

await t.test('the address owner is master at once', async (t) => {
  const bench = new Bench([instance('outside', { priority: 255 })]);
  t.ok(bench.at(0, { type: 'start' }).includes('outside backup->master'));
});

await t.test('start without a link waits in fault', async (t) => {
  const bench = new Bench([instance('outside')], { linkUp: false });
  t.same(bench.at(0, { type: 'start' }), ['outside initialize->fault']);
  t.same(bench.at(10, { type: 'link', instance: 'outside', up: true }), ['outside fault->backup']);
});

await t.test('reload: a master keeps its role and changes only what differs', async (t) => {
  const bench = new Bench([instance('outside')]);
  bench.at(0, { type: 'start' });
  bench.run(3700);
  const address = (text: string) => ({ address: text, prefixLength: 24, interface: 'eth0' });
  const changed = instance('outside', {
    priority: 120,
    addresses: [address('192.168.1.253'), address('192.168.1.254')],
  });
  t.same(bench.at(3800, { type: 'configure', instances: [changed], track: [] }), [
    'outside send 120',
    'outside add-addresses',
    'outside announce',
  ]);
  t.same(bench.at(3900, { type: 'configure', instances: [instance('outside')], track: [] }), [
    'outside send 100',
    'outside remove-addresses',
  ]);
  t.equal(bench.roles(), 'master');
});

await t.test('a stray wake changes nothing', async (t) => {
  const bench = new Bench([instance('outside')]);
  bench.at(0, { type: 'start' });
  const before = bench.state;
  t.same(bench.at(1000, { type: 'deadline' }), []);
  t.same(bench.state, before);
});

await t.test('an advertisement that is nearly due may leave, and the timer stays where it was', async (t) => {
  const config = instance('outside', { announcing: { repeatMs: [], refreshMs: undefined } });
  const { state } = new Bench([config]);
  let result = step(state, { type: 'start' }, 0);
  let masterAtMs = 0;
  while (result.state.instances[0]?.state !== 'master') {
    t.equal(result.fromMs, result.deadlineMs, 'Master_Down_Timer is never early');
    masterAtMs = result.deadlineMs;
    result = step(result.state, { type: 'deadline' }, masterAtMs);
  }
  t.equal(result.deadlineMs, masterAtMs + 1000);
  t.equal(result.fromMs, masterAtMs + 996);
  const early = step(result.state, { type: 'deadline' }, masterAtMs + 995.9);
  t.same(early.effects, [], 'too early: nothing');
  t.equal(early.deadlineMs, masterAtMs + 1000);
  const due = step(early.state, { type: 'deadline' }, masterAtMs + 996);
  t.match(due.effects, [{ type: 'send', priority: 100 }, { type: 'count' }]);
  t.equal(due.deadlineMs, masterAtMs + 2000, 'an interval after it was due');
});
