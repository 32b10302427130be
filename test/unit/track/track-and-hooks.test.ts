/** Tracked objects, hooks and the stream of events together, as the services process runs them. */
import t from 'tap';
import type { TrackedObject } from '../../../src/config/model.js';
import type { EventStream, StreamEvent } from '../../../src/runtime/ports.js';
import type { TrackedVerdict } from '../../../src/runtime/services/services-messages.js';
import type { CommandRequest } from '../../../src/runtime/services/services-ports.js';
import {
  FIRST_LOOKS_MS,
  HOOKS_AT_STOP_MS,
  TrackAndHooks,
} from '../../../src/runtime/services/track-and-hooks.js';
import { HandClock, settled } from '../hand-clock.js';
import { directorConfig, vrrpInstance } from '../vrrp/instances.js';

const FILE: TrackedObject = {
  name: 'f',
  kind: { type: 'file', path: '/run/f' },
  intervalMs: 1000,
  rise: 1,
  fall: 1,
  debounceMs: 0,
};

const CONFIG = directorConfig({
  instances: [vrrpInstance({ name: 'outside' }), vrrpInstance({ name: 'inside' })],
  syncGroups: [{ name: 'pair', instances: ['outside', 'other'], track: [] }],
  tracked: [FILE],
  hooks: [{ command: ['/hook'], on: ['master'], instances: undefined, user: undefined, timeoutMs: 1000 }],
});

function world(openFails = false) {
  const clock = new HandClock();
  const published: StreamEvent[] = [];
  const reported: TrackedVerdict[] = [];
  const ran: CommandRequest[] = [];
  const closed: string[] = [];
  const lines: string[] = [];
  const say = (_: object, message: string) => void lines.push(message);
  let snapshot: () => StreamEvent = () => ({ event: 'none' });
  let finish = () => {};
  let number = 3;
  let hangs = false;
  const stream: EventStream = {
    publish: (event) => void published.push(event),
    close: async () => void closed.push('stream'),
  };
  const part = new TrackAndHooks(
    {
      clock,
      log: { debug: say, info: say, warn: say, error: say },
      commands: {
        run: (request, cancel) => {
          ran.push(request);
          return new Promise((resolve) => {
            finish = () => resolve({ type: 'exited', status: 0, output: '' });
            cancel?.addEventListener('abort', () => resolve({ type: 'cancelled' }));
          });
        },
        close: async () => void closed.push('commands'),
      },
      prober: {
        look: async () =>
          hangs
            ? new Promise(() => {})
            : { type: 'seen', ok: false, value: number, reason: `holds ${number}` },
      },
      openEvents: async (ofNow) => {
        if (openFails) throw new Error('no room');
        snapshot = ofNow;
        return stream;
      },
      nowEpochMs: () => 0,
    },
    (verdict) => reported.push(verdict),
  );
  return {
    clock,
    part,
    published,
    reported,
    ran,
    closed,
    lines,
    snapshot: () => snapshot(),
    finish: () => finish(),
    hang: () => {
      hangs = true;
    },
    write: (next: number) => {
      number = next;
    },
  };
}

void t.test('verdicts go to the election and to the listeners', async (t) => {
  const { clock, part, published, reported, snapshot, write } = world();
  part.healthChanged(() => 'up');
  part.event({ kind: 'role', instance: 'outside', from: 'initialize', to: 'backup', reason: 'early' });
  void part.configure(CONFIG);
  await settled();
  t.same(reported, [{ object: 'f', state: 'down', value: 3 }]);
  t.match(snapshot(), { tracked: [{ object: 'f', state: 'down', value: 3 }] });
  write(4);
  await clock.advance(2000);
  t.match(published, [{ event: 'tracked', object: 'f', state: 'down', value: 4, reason: 'holds 4' }]);
  t.equal(reported.length, 2);
});

void t.test('changes of state go to the hooks and to the listeners', async (t) => {
  const { part, published, ran, snapshot } = world();
  void part.configure(directorConfig({ ...CONFIG, tracked: [] }));
  await settled();
  part.event({ kind: 'role', instance: 'outside', from: 'backup', to: 'master', reason: 'why' });
  const notice = { kind: 'rogue-owner', source: '10.0.0.2', backOffMs: 5 } as const;
  part.event({ kind: 'notice', instance: 'inside', notice });
  t.match(ran, [{ command: ['/hook'], environment: { LVS_DIRECTOR_STATE: 'master' } }]);
  t.same(published, [
    { event: 'role', instance: 'outside', group: 'pair', from: 'backup', to: 'master', reason: 'why' },
    { event: 'notice', instance: 'inside', notice: 'rogue-owner', source: '10.0.0.2', backOffMs: 5 },
  ]);
  t.same(snapshot(), {
    event: 'snapshot',
    version: 1,
    director: 'lb1',
    instances: [
      { name: 'outside', group: 'pair', state: 'master' },
      { name: 'inside', group: null, state: 'initialize' },
    ],
    tracked: [],
  });
  void part.configure(directorConfig());
  t.match(published.at(-1), { event: 'snapshot', instances: [] }, 'a reload is told as a whole');
});

void t.test('leaving lets the last hooks run, for a while', async (t) => {
  for (const patient of [true, false]) {
    const { clock, part, closed, finish } = world();
    void part.configure(directorConfig({ ...CONFIG, tracked: [] }));
    await settled();
    part.event({ kind: 'role', instance: 'outside', from: 'backup', to: 'master', reason: 'why' });
    const end = part.close();
    await clock.advance(HOOKS_AT_STOP_MS - 1);
    t.same(closed, []);
    if (patient) finish();
    else await clock.advance(1);
    await end;
    t.same(closed, ['commands', 'stream']);
  }
});

void t.test('without a socket for listeners the rest goes on', async (t) => {
  const { part, lines, reported } = world(true);
  void part.configure(CONFIG);
  await settled();
  t.equal(reported.length, 1);
  t.ok(lines.includes('nobody can listen to the events'));
  await part.close();
});

void t.test('the election waits for the first looks, for a while', async (t) => {
  const quick = world();
  await quick.part.configure(CONFIG);
  t.equal(quick.reported.length, 1, 'known before it begins');

  const slow = world();
  let ready = false;
  const script: TrackedObject = {
    ...FILE,
    name: 's',
    kind: { type: 'script', command: ['/slow'], user: undefined, timeoutMs: 100_000 },
  };
  slow.hang();
  const configured = slow.part.configure(directorConfig({ tracked: [script] })).then(() => {
    ready = true;
  });
  await slow.clock.advance(FIRST_LOOKS_MS - 1);
  t.notOk(ready);
  await slow.clock.advance(1);
  await configured;
  t.same(slow.reported, []);
  await slow.part.configure(directorConfig());
});

void t.test('a process that was started again tells the hooks what it missed', async (t) => {
  const { part, published, ran, finish } = world();
  const states = () => ran.map(({ environment }) => environment?.['LVS_DIRECTOR_FROM']);
  const roles = (state: 'initialize' | 'backup' | 'master') => ({ outside: { state, settled: true } });
  part.roles(roles('master'));
  t.same(ran, [], 'not before there are hooks');
  await part.configure(directorConfig({ ...CONFIG, tracked: [] }));
  t.same(states(), ['initialize']);
  part.roles(roles('master'));
  await settled();
  finish();
  part.event({ kind: 'role', instance: 'outside', from: 'master', to: 'backup', reason: 'why' });
  part.roles(roles('backup'));
  part.roles(roles('master'));
  await settled();
  t.same(states(), ['initialize', 'backup'], 'once for each');
  t.match(published.at(-1), { from: 'backup', to: 'master', reason: /^seen late/ });
  part.roles({});
  part.roles(roles('initialize'));
  t.match(published.at(-1), { to: 'master' }, 'an instance that left and came back begins anew');
});
