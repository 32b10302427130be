/** What a group remembers of other routers: packets that overtook one another, and masters heard while it was one. */
import t from 'tap';
import { Bench, instance, masterBench } from './group-bench.js';

const MASTER = '192.168.1.11';
const OTHER = '192.168.1.13';

await t.test('an advertisement that its sender’s farewell has overtaken', async (t) => {
  const left = () => {
    const bench = new Bench([instance('outside')]);
    bench.at(0, { type: 'start' });
    bench.hear(1000, 'outside', 150);
    bench.hear(1500, 'outside', 0);
    return bench;
  };
  await t.test('does not bring back a master that is gone', async (t) => {
    const bench = left();
    t.same(bench.hear(1500.5, 'outside', 150), []);
    t.equal(bench.counters.get('outside discarded_overtaken'), 1);
    bench.run(1500 + 609.375);
    t.equal(bench.roles(), 'master');
  });
  await t.test('only one is overtaken: who goes on speaking is there', async (t) => {
    const bench = left();
    bench.hear(1501, 'outside', 150);
    bench.hear(1511, 'outside', 150);
    bench.run(1511 + 3609);
    t.equal(bench.roles(), 'backup', 'a forged farewell, or a restart within the window');
  });
  await t.test('after 50 ms nothing is', async (t) => {
    const bench = left();
    bench.hear(1551, 'outside', 150);
    bench.run(1551 + 3609);
    t.equal(bench.roles(), 'backup', 'the operator thought better of it');
  });
  await t.test('nor after an interval that is shorter', async (t) => {
    const bench = new Bench([instance('outside', { advertisementIntervalMs: 10 })]);
    bench.at(0, { type: 'start' });
    bench.hear(1, 'outside', 150);
    bench.hear(10, 'outside', 0);
    bench.hear(20, 'outside', 150);
    t.equal(bench.counters.get('outside discarded_overtaken'), undefined);
  });
  await t.test('another router’s is not', async (t) => {
    const bench = left();
    bench.hear(1501, 'outside', 120, OTHER);
    bench.run(1501 + 3609);
    t.equal(bench.roles(), 'backup');
    t.equal(bench.member().master, OTHER);
  });
  await t.test('a master does not yield to who has left, and asks whether it is there', async (t) => {
    const bench = masterBench([instance('outside')]);
    const at = bench.now + 10;
    bench.hear(at, 'outside', 0);
    t.same(bench.hear(at + 1, 'outside', 200), ['outside send 100'], 'a stronger one answers at once');
    t.equal(bench.roles(), 'master');
    bench.hear(at + 2, 'outside', 200);
    t.equal(bench.roles(), 'backup', 'and its answer counts');
  });
  await t.test('a backup does not ask', async (t) => {
    const bench = left();
    t.same(bench.hear(1501, 'outside', 150), []);
  });
  await t.test('a leaving master does not take it for a successor', async (t) => {
    const bench = masterBench([instance('outside')]);
    const at = bench.now + 10;
    bench.at(at, { type: 'maintenance', on: true });
    bench.hear(at + 400, 'outside', 100);
    bench.hear(at + 500, 'outside', 0);
    bench.hear(at + 500.5, 'outside', 100);
    t.match(bench.run(at + 1250), [/no-successor/, /send/, /announce/], 'it goes on');
    t.equal(bench.roles(), 'master');
  });
});

await t.test('a master heard while this group was master, with a longer interval', async (t) => {
  const pair = () => masterBench([instance('outside'), instance('inside')]);
  await t.test('is waited for where it was heard, even if the group yields to another', async (t) => {
    const bench = pair();
    const at = bench.now + 10;
    bench.hear(at, 'inside', 50, OTHER, { advertisementIntervalMs: 4000 });
    bench.hear(at + 100, 'outside', 200, MASTER);
    t.equal(bench.roles(), 'backup backup');
    bench.run(at + 12_000);
    t.equal(bench.roles(), 'backup backup', '3 of its intervals are not over');
    bench.run(at + 12_000 + (156 * 4000) / 256);
    t.equal(bench.roles(), 'master master');
  });
  await t.test('is not after its farewell', async (t) => {
    const bench = pair();
    const at = bench.now + 10;
    bench.hear(at, 'inside', 50, OTHER, { advertisementIntervalMs: 4000 });
    bench.hear(at + 50, 'inside', 0, OTHER, { advertisementIntervalMs: 4000 });
    bench.hear(at + 100, 'outside', 200, MASTER);
    bench.run(at + 100 + 3610);
    t.equal(bench.roles(), 'master master');
  });
});

await t.test(
  'who is losing its right to preempt while its timer runs out leaves the master alone',
  async (t) => {
    const track = [{ object: 'quorum', weight: -100 }];
    const waiting = (overrides = {}) => {
      const bench = new Bench([instance('outside', { priority: 150, ...overrides })], { track });
      bench.at(0, { type: 'start' });
      for (let now = 600; now <= 2600; now += 1000) {
        bench.run(now);
        bench.hear(now, 'outside', 100);
      }
      return bench;
    };
    const staysBackup = (bench: Bench) => {
      for (let now = 3600; now <= 9600; now += 1000) {
        t.same(bench.run(now), []);
        bench.hear(now, 'outside', 100);
      }
      t.equal(bench.roles(), 'backup');
    };
    const preempt = { mode: 'always', delayMs: 0 } as const;
    await t.test('by maintenance of an address owner', async () => {
      // The owner listens only after it was withdrawn, or yielded to another one.
      const bench = masterBench([instance('outside', { priority: 255 })]);
      bench.at(50, { type: 'withdrawn' });
      for (let now = 600; now <= 2600; now += 1000) bench.hear(now, 'outside', 100);
      bench.at(2700, { type: 'maintenance', on: true });
      staysBackup(bench);
    });
    await t.test('by a tracked object', async () => {
      const bench = waiting({ preempt });
      bench.at(2700, { type: 'tracked', object: 'quorum', state: 'down' });
      staysBackup(bench);
    });
    await t.test('by a reload', async () => {
      const bench = waiting({ preempt });
      bench.at(2700, { type: 'configure', instances: [instance('outside', { priority: 150 })], track });
      staysBackup(bench);
    });
    await t.test('while another instance of the group is waited for', async () => {
      const both = [instance('outside', { priority: 150, preempt }), instance('inside', { priority: 150 })];
      const bench = new Bench(both, { track });
      bench.at(0, { type: 'start' });
      for (let now = 100; now <= 5100; now += 1000) {
        bench.run(now);
        bench.hear(now, 'outside', 100);
        bench.hear(now, 'inside', 100);
      }
      t.ok(bench.member().wantsMaster);
      bench.at(5200, { type: 'tracked', object: 'quorum', state: 'down' });
      t.notOk(bench.member().wantsMaster);
    });
  },
);

await t.test(
  'a farewell of a router that is not the master says nothing of the group’s other instances',
  async (t) => {
    const bench = new Bench([instance('outside'), instance('inside')]);
    bench.at(0, { type: 'start' });
    bench.hear(100, 'outside', 200, OTHER);
    bench.hear(100, 'inside', 200, '10.10.10.13');
    bench.hear(200, 'outside', 0, MASTER);
    t.same(bench.hear(210, 'inside', 200, '10.10.10.13'), []);
    t.equal(bench.counters.get('inside discarded_overtaken'), undefined);
    bench.run(210 + 3600);
    t.equal(bench.roles(), 'backup backup');
  },
);

await t.test('the BFD session of the master expires', async (t) => {
  const lose = (bench: Bench, now: number, name = 'outside', source = MASTER, heardAtMs = now - 45) =>
    bench.at(now, { type: 'peer-lost', instance: name, source, heardAtMs, intervalMs: 15 });
  const backup = (...more: Parameters<typeof instance>[1][]) => {
    const bench = new Bench([instance('outside', ...more)]);
    bench.at(0, { type: 'start' });
    bench.hear(1000, 'outside', 150);
    return bench;
  };
  await t.test('and its place is taken at once', async (t) => {
    const bench = backup();
    t.same(lose(bench, 1700), [
      'outside add-addresses',
      'outside announce',
      'outside backup->master',
      'outside send 100 after addresses',
    ]);
    t.equal(bench.counters.get('outside bfd_expired'), 1);
  });
  await t.test('that of somebody else is nothing to a backup', async (t) => {
    const bench = backup();
    t.same(lose(bench, 1700, 'outside', OTHER), []);
    t.equal(bench.roles(), 'backup');
  });
  await t.test('nor is it where no master was heard, or to a master', async (t) => {
    const bench = new Bench([instance('outside')]);
    bench.at(0, { type: 'start' });
    t.same(lose(bench, 500), []);
    const master = masterBench([instance('outside')]);
    t.same(lose(master, master.now + 1), []);
  });
  await t.test('a master that spoke since outlived it', async (t) => {
    const bench = backup();
    t.same(lose(bench, 1045, 'outside', MASTER, 977), []);
    t.equal(bench.counters.get('outside bfd_doubted'), 1);
    t.not(lose(bench, 1045, 'outside', MASTER, 978).length, 0, 'an interval and a half is no proof');
  });
  await t.test('a stronger master that lives takes the role back, and is trusted for a minute', async (t) => {
    const bench = backup();
    lose(bench, 1700);
    t.same(bench.hear(1701, 'outside', 150), [
      'outside send 100',
      'outside remove-addresses',
      'outside master->backup',
    ]);
    for (let at = 2700; at < 60_000; at += 1000) bench.hear(at, 'outside', 150);
    t.same(lose(bench, 60_300), []);
    t.equal(bench.roles(), 'backup');
    bench.hear(60_700, 'outside', 150);
    bench.hear(61_700, 'outside', 150);
    lose(bench, 62_000);
    t.equal(bench.roles(), 'master', 'then its session is believed again');
  });
  await t.test('one that returns later was gone', async (t) => {
    const bench = backup();
    lose(bench, 1700);
    bench.run(1700 + 3700);
    bench.hear(5500, 'outside', 150);
    t.equal(bench.roles(), 'backup');
    lose(bench, 6000);
    t.equal(bench.roles(), 'master');
  });
  await t.test('a sync group goes when all its instances want to', async (t) => {
    const bench = new Bench([instance('outside'), instance('inside')]);
    bench.at(0, { type: 'start' });
    for (const name of ['outside', 'inside']) bench.hear(1000, name, 150);
    lose(bench, 1700);
    t.equal(bench.roles(), 'backup backup');
    lose(bench, 1701, 'inside');
    t.equal(bench.roles(), 'master master');
  });
  await t.test('a master that is heard on the other link goes on', async (t) => {
    const bench = new Bench([instance('outside'), instance('inside')]);
    bench.at(0, { type: 'start' });
    for (const name of ['outside', 'inside']) bench.hear(1000, name, 150);
    lose(bench, 1700);
    for (let at = 2000; at < 9000; at += 1000) bench.hear(at, 'inside', 150);
    t.equal(bench.roles(), 'backup backup');
    bench.hear(9000, 'outside', 150);
    bench.run(12_000);
    t.equal(bench.roles(), 'backup backup', 'and nothing is left of it when it is heard on both');
  });
  await t.test('a reload meanwhile does not bring a master back that is gone', async (t) => {
    const bench = new Bench([instance('outside'), instance('inside')]);
    bench.at(0, { type: 'start' });
    for (const name of ['outside', 'inside']) bench.hear(1000, name, 150);
    lose(bench, 1700);
    bench.at(1701, { type: 'configure', instances: [instance('outside'), instance('inside')], track: [] });
    lose(bench, 1702, 'inside');
    t.equal(bench.roles(), 'master master');
  });
});
