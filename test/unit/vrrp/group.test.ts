import t from 'tap';
import type { VrrpInstance } from '../../../src/config/model.js';
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
    t.same(bench.hear(3800, 'outside', 150), ['outside remove-addresses', 'outside master->backup']);
    t.equal(bench.state.instances[0]?.master, '192.168.1.11');
  });
  await t.test('answers a losing advertisement at once and announces again', async (t) => {
    const bench = master();
    t.same(bench.hear(3800, 'outside', 50), ['outside send 100', 'outside still-master']);
    t.ok(bench.run(4000).includes('3900 outside announce'));
  });
  await t.test('equal priority: the higher address wins', async (t) => {
    t.same(master().hear(3800, 'outside', 100, '192.168.1.11'), ['outside send 100', 'outside still-master']);
    t.same(master().hear(3800, 'outside', 100, '192.168.1.13'), [
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
