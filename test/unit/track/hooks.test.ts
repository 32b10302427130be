/** Which hooks run, in which order, and what they are told. */
import t from 'tap';
import type { DirectorConfig, Hook } from '../../../src/config/model.js';
import {
  enqueue,
  type HookCall,
  hookCall,
  hookEnvironment,
  MAX_WAITING_EVENTS,
  type VrrpEvent,
} from '../../../src/hooks/hooks.js';
import type { Log } from '../../../src/runtime/ports.js';
import { HookRunner, MAX_HOOKS_AT_ONCE } from '../../../src/runtime/services/hook-runner.js';
import type {
  CommandOutcome,
  CommandRequest,
  Commands,
} from '../../../src/runtime/services/services-ports.js';
import type { VrrpState } from '../../../src/vrrp/group-types.js';
import { HandClock, settled } from '../hand-clock.js';
import { directorConfig, vrrpInstance } from '../vrrp/instances.js';

const AT = Date.UTC(2026, 0, 2, 3, 4, 5, 6);
const DONE: CommandOutcome = { type: 'exited', status: 0, output: '' };

function role(instance: string, from: VrrpState, to: VrrpState, reason = 'because'): VrrpEvent {
  return { kind: 'role', instance, from, to, reason };
}

function stillMaster(instance: string): VrrpEvent {
  return { kind: 'notice', instance, notice: { kind: 'still-master', source: '10.0.0.2', priority: 90 } };
}

function hook(name: string, change: Partial<Hook> = {}): Hook {
  const command = [`/hooks/${name}`];
  return {
    command,
    on: ['master', 'backup', 'fault', 'initialize', 'still-master'],
    instances: undefined,
    user: undefined,
    timeoutMs: 1000,
    ...change,
  };
}

/** Commands that end when the test says so. */
class HandCommands implements Commands {
  readonly runs: { readonly what: string; readonly request: CommandRequest }[] = [];
  readonly #open: { readonly what: string; readonly end: (outcome: CommandOutcome) => void }[] = [];
  most = 0;

  run(request: CommandRequest, cancel?: AbortSignal): Promise<CommandOutcome> {
    const env = request.environment ?? {};
    const what = `${env['LVS_DIRECTOR_INSTANCE']} ${request.command[0]} ${env['LVS_DIRECTOR_FROM']}>${env['LVS_DIRECTOR_STATE']}`;
    this.runs.push({ what, request });
    return new Promise((resolve) => {
      const onAbort = () => run.end({ type: 'cancelled' });
      const run = {
        what,
        end: (outcome: CommandOutcome) => {
          cancel?.removeEventListener('abort', onAbort);
          this.#open.splice(this.#open.indexOf(run), 1);
          resolve(outcome);
        },
      };
      this.#open.push(run);
      this.most = Math.max(this.most, this.#open.length);
      cancel?.addEventListener('abort', onAbort);
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  get open(): string[] {
    return this.#open.map(({ what }) => what);
  }

  async end(outcome: CommandOutcome = DONE): Promise<void> {
    this.#open[0]?.end(outcome);
    await settled();
  }
}

function world(config: Partial<DirectorConfig>) {
  const clock = new HandClock();
  const commands = new HandCommands();
  const lines: string[] = [];
  const to = (level: string) => (_: object, message: string) => {
    lines.push(`${level} ${message}`);
  };
  const log: Log = { debug: to('debug'), info: to('info'), warn: to('warn'), error: to('error') };
  const runner = new HookRunner(directorConfig(config), { clock, commands, log });
  return { clock, commands, lines, runner };
}

void t.test('hooks of one event run in order, one after the other, also after a failure', async (t) => {
  const { commands, runner, lines } = world({ hooks: [hook('a'), hook('b'), hook('c')] });
  runner.event(role('x', 'backup', 'master'), AT);
  runner.event(role('x', 'master', 'backup'), AT);
  t.same(commands.open, ['x /hooks/a backup>master']);
  await commands.end({ type: 'exited', status: 3, output: 'oh' });
  t.same(commands.open, ['x /hooks/b backup>master']);
  await commands.end({ type: 'timed-out', output: '' });
  t.same(commands.open, ['x /hooks/c backup>master']);
  t.notOk(runner.idle);
  await commands.end();
  t.same(commands.open, ['x /hooks/a master>backup']);
  await commands.end({ type: 'refused', reason: 'no such file' });
  await commands.end({ type: 'killed', signal: 'SIGSEGV', output: '' });
  await commands.end();
  t.ok(runner.idle);
  t.same(lines, [
    "warn x: the hook /hooks/a for 'master' failed: exit status 3",
    "warn x: the hook /hooks/b for 'master' failed: not done within 1000 ms",
    "info x: the hook /hooks/c for 'master' is done",
    "warn x: the hook /hooks/a for 'backup' was not run: no such file",
    "warn x: the hook /hooks/b for 'backup' failed: ended by SIGSEGV",
    "info x: the hook /hooks/c for 'backup' is done",
  ]);
});

void t.test(
  'never two at a time for one instance; other instances run beside it, up to a limit',
  async (t) => {
    const { commands, runner } = world({ hooks: [hook('a')] });
    const names = Array.from({ length: MAX_HOOKS_AT_ONCE + 2 }, (_, i) => `i${i}`);
    for (const name of names) {
      runner.event(role(name, 'initialize', 'backup'), AT);
      runner.event(role(name, 'backup', 'master'), AT);
    }
    t.equal(commands.open.length, MAX_HOOKS_AT_ONCE);
    while (!runner.idle) {
      const instances = commands.open.map((what) => what.split(' ')[0]);
      t.equal(new Set(instances).size, instances.length, 'one for each instance');
      await commands.end();
    }
    t.equal(commands.most, MAX_HOOKS_AT_ONCE);
    for (const name of names) {
      const own = commands.runs.filter(({ what }) => what.startsWith(`${name} `)).map(({ what }) => what);
      t.same(own, [`${name} /hooks/a initialize>backup`, `${name} /hooks/a backup>master`]);
    }
  },
);

void t.test('a hook is called for its events and instances', async (t) => {
  const { commands, runner } = world({
    hooks: [
      hook('m', { on: ['master'] }),
      hook('s', { on: ['still-master'] }),
      hook('y', { instances: ['y'] }),
    ],
  });
  runner.event(role('x', 'master', 'backup'), AT);
  runner.event({ kind: 'notice', instance: 'x', notice: { kind: 'no-successor' } }, AT);
  t.ok(runner.idle);
  runner.event(role('x', 'backup', 'master'), AT);
  t.same(commands.open, ['x /hooks/m backup>master']);
  await commands.end();
  runner.event(stillMaster('x'), AT);
  t.same(commands.open, ['x /hooks/s master>master']);
  await commands.end();
  runner.event(stillMaster('y'), AT);
  await commands.end();
  t.same(commands.open, ['y /hooks/y master>master']);
});

void t.test('a reload holds for the events that wait', async (t) => {
  const { commands, runner } = world({ hooks: [hook('old')] });
  runner.event(role('x', 'initialize', 'backup'), AT);
  runner.event(role('x', 'backup', 'master'), AT);
  runner.configure(directorConfig({ hooks: [hook('new')] }));
  t.same(commands.open, ['x /hooks/old initialize>backup']);
  await commands.end();
  t.same(commands.open, ['x /hooks/new backup>master']);
});

void t.test('leaving waits for the last hooks, but not for ever', async (t) => {
  const quick = world({ hooks: [hook('a')] });
  await quick.runner.close(1000);
  quick.runner.event(role('x', 'initialize', 'backup'), AT);
  t.same(quick.commands.open, [], 'nothing after the close');

  const { clock, commands, runner, lines } = world({ hooks: [hook('a')] });
  runner.event(role('x', 'master', 'backup'), AT);
  runner.event(role('x', 'backup', 'initialize'), AT);
  let closed = false;
  const closing = runner.close(1000).then(() => {
    closed = true;
  });
  await commands.end();
  t.same(commands.open, ['x /hooks/a backup>initialize']);
  await clock.advance(999);
  t.notOk(closed);
  await clock.advance(1);
  await closing;
  t.match(lines, ['info', 'warn leaving before the hooks of x are done', /was ended: the director leaves/]);
});

void t.test('slow hooks: the chain of states stays whole and the last state stays', async (t) => {
  const states: VrrpState[] = ['backup', 'master', 'fault'];
  let waiting: HookCall[] = [];
  let from: VrrpState = 'initialize';
  const total = MAX_WAITING_EVENTS * 3;
  for (let i = 0; i < total; i++) {
    const to = states[i % states.length] ?? 'backup';
    const call = hookCall(role('x', from, to), AT + i);
    t.ok(call);
    if (call !== undefined) waiting = enqueue(waiting, call);
    t.ok(waiting.length <= MAX_WAITING_EVENTS);
    t.equal(waiting.at(-1)?.to, to);
    from = to;
  }
  t.equal(waiting[0]?.from, 'initialize');
  for (const [index, call] of waiting.entries()) {
    if (index > 0) t.equal(call.from, waiting[index - 1]?.to);
  }
  t.equal(waiting[0]?.skipped, total - MAX_WAITING_EVENTS);
});

void t.test("slow hooks: 'still-master' goes before a change of state does", async (t) => {
  const call = (event: VrrpEvent) => hookCall(event, AT) ?? t.fail('no call');
  let waiting: HookCall[] = [];
  const add = (event: VrrpEvent) => {
    const one = hookCall(event, AT);
    if (one !== undefined) waiting = enqueue(waiting, one);
  };
  t.ok(call(stillMaster('x')));
  add(role('x', 'backup', 'master'));
  for (let i = 0; i < 100; i++) add(stillMaster('x'));
  t.same(
    waiting.map(({ event, skipped }) => [event, skipped]),
    [
      ['master', 0],
      ['still-master', 99],
    ],
  );
  for (let i = 0; i < MAX_WAITING_EVENTS - 1; i++) {
    add(i % 2 === 0 ? role('x', 'master', 'backup') : role('x', 'backup', 'master'));
  }
  t.equal(waiting.length, MAX_WAITING_EVENTS);
  t.match(waiting[0], { from: 'backup', to: 'master' }, 'the first change is still there');
  t.match(waiting[1], { from: 'master', to: 'backup', skipped: 101 - 1 });
  t.notOk(waiting.some(({ event }) => event === 'still-master'));
  add(role('x', 'backup', 'backup'));
  add(stillMaster('x'));
  t.equal(waiting.at(-1)?.event, 'still-master', 'the newest stays');
  t.equal(waiting.length, MAX_WAITING_EVENTS);
});

void t.test('the environment says it all', async (t) => {
  const outside = vrrpInstance({
    addresses: [
      { address: '192.0.2.1', prefixLength: 24, interface: 'eth0' },
      { address: '192.0.2.2', prefixLength: 32, interface: 'eth0' },
    ],
  });
  const config = directorConfig({
    instances: [outside],
    syncGroups: [{ name: 'pair', instances: ['outside', 'inside'], track: [] }],
  });
  const call = hookCall(role('outside', 'backup', 'master', 'a\nb\0c'), AT);
  t.ok(call);
  if (call === undefined) return;
  t.same(hookEnvironment(config, { ...call, skipped: 2 }), {
    LVS_DIRECTOR_EVENT: 'master',
    LVS_DIRECTOR_STATE: 'master',
    LVS_DIRECTOR_FROM: 'backup',
    LVS_DIRECTOR_REASON: 'a b c',
    LVS_DIRECTOR_INSTANCE: 'outside',
    LVS_DIRECTOR_GROUP: 'pair',
    LVS_DIRECTOR_PRIORITY: '100',
    LVS_DIRECTOR_VRID: '51',
    LVS_DIRECTOR_INTERFACE: 'eth0',
    LVS_DIRECTOR_ADDRESSES: '192.0.2.1/24 192.0.2.2/32',
    LVS_DIRECTOR_DIRECTOR: 'lb1',
    LVS_DIRECTOR_TIME: '2026-01-02T03:04:05.006Z',
    LVS_DIRECTOR_SKIPPED: '2',
  });
  t.match(hookCall(stillMaster('outside'), AT), {
    event: 'still-master',
    to: 'master',
    reason: '10.0.0.2 advertises priority 90',
  });
});
