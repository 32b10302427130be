/** One reload: what is told, what is kept, and what a stop does to it. */
import t from 'tap';
import { type LoadAnswer, loadFailed } from '../../../src/runtime/configuration.js';
import { reload } from '../../../src/runtime/reload.js';
import { configuration, vrrpInstance } from '../vrrp/instances.js';

const GOOD: LoadAnswer = { ok: true, configuration: configuration() };

function bench({ apply = async () => {}, keepOnly = async () => {}, election = {} } = {}) {
  const said: string[] = [];
  const loads: ((answer: LoadAnswer) => void)[] = [];
  const applied: unknown[] = [];
  const kept: string[] = [];
  let stopping = false;
  const write = (_: object, message: string) => void said.push(message);
  const start = () =>
    reload({
      log: { debug: write, info: write, warn: write, error: write },
      notifier: { notify: (state) => void said.push(state.split('\n')[0] ?? ''), watchdogMs: undefined },
      nowUs: () => 1n,
      load: () => new Promise((resolve) => loads.push(resolve)),
      current: () => configuration(election),
      apply: async (one) => {
        applied.push(one);
        await apply();
      },
      keepOnly: (path) => {
        kept.push(path);
        return keepOnly();
      },
      stopping: () => stopping,
    });
  const run = async (given: LoadAnswer) => {
    const done = start();
    loads.at(-1)?.(given);
    await done;
  };
  const stop = () => {
    stopping = true;
  };
  return { said, loads, applied, kept, start, run, stop };
}

void t.test('a good file runs, and what was loaded before goes', async (t) => {
  const { run, applied, said, kept } = bench();
  await run(GOOD);
  t.equal(applied.length, 1);
  t.same(said, ['RELOADING=1', 'configuration reloaded', 'READY=1']);
  t.same(kept, ['/run/x.json']);
});

void t.test('a file that is refused changes nothing', async (t) => {
  const { run, applied, said, kept } = bench();
  await run({ ok: false, faults: ['x.yaml:1:1: a', 'x.yaml:2:1: b'], untold: 7 });
  await run({ ok: false, unreadable: 'cannot read it' });
  await run(loadFailed('no reader'));
  t.same(applied, []);
  t.same(
    said.filter((line) => line.includes('goes on')),
    [
      'x.yaml:1:1: a; x.yaml:2:1: b; and 7 more: the director goes on with what it had',
      'cannot read it: the director goes on with what it had',
      'no reader: the director goes on with what it had',
    ],
  );
  t.equal(said.at(-1), 'READY=1');
  t.equal(kept.length, 3);
});

void t.test('half a file takes nothing away', async (t) => {
  const { run, applied, said } = bench({ election: { instances: [vrrpInstance()] } });
  await run({ ok: true, configuration: configuration({ saysVrrp: false }) });
  t.same(applied, []);
  t.match(said, ['RELOADING=1', /says nothing of vrrp.*would withdraw 1 instances/, 'READY=1']);
  await run({ ok: true, configuration: configuration({ saysVrrp: true }) });
  t.equal(applied.length, 1, 'unless it says so');
});

void t.test('a stop while the file is read: it is read for nothing', async (t) => {
  const { start, applied, said, loads, stop } = bench();
  const done = start();
  stop();
  loads.at(-1)?.(GOOD);
  await done;
  t.same(applied, []);
  t.same(said, ['RELOADING=1'], 'nor is the service manager told that it is ready');
});

void t.test('a stop while a configuration is taken over: nobody is told of a failure', async (t) => {
  const one = bench({
    apply: async () => {
      one.stop();
      throw new Error('the director is stopping');
    },
  });
  await one.run(GOOD);
  t.same(one.said, ['RELOADING=1']);
});

void t.test('a failure is told, and the next reload may do', async (t) => {
  let failures = 1;
  const { run, said } = bench({
    apply: async () => {
      failures -= 1;
      if (failures >= 0) throw new Error('no');
    },
    keepOnly: async () => {
      throw new Error('EROFS');
    },
  });
  await run(GOOD);
  t.match(said, ['RELOADING=1', /failed/, /could not be removed/, 'READY=1']);
  await run(GOOD);
  t.equal(said[5], 'configuration reloaded');
});
