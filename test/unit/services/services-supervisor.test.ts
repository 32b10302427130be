import t from 'tap';
import { type LoadAnswer, type LoadRequest, loadFailed } from '../../../src/runtime/configuration.js';
import type { ElectionReport } from '../../../src/runtime/election-report.js';
import type { Log, ServicesProcess } from '../../../src/runtime/ports.js';
import type { FromServices, Roles, ToServices } from '../../../src/runtime/services/services-messages.js';
import {
  CONFIGURE_LIMIT_MS,
  FIRST_RESTART_MS,
  HUNG_AFTER_PINGS,
  LAST_RESTART_MS,
  LONG_LIFE_MS,
  MAX_BACKLOG,
  MAX_STOP_ATTEMPTS,
  PING_INTERVAL_MS,
  REPORT_APART_MS,
  ServicesError,
  ServicesSupervisor,
  STARTING_HUNG_AFTER_PINGS,
  STOP_LIMIT_MS,
} from '../../../src/runtime/services-supervisor.js';
import { HandClock } from '../hand-clock.js';
import { configuration } from '../vrrp/instances.js';

const CONFIG = configuration();
const OWN: LoadAnswer = loadFailed('asked from here');
const REQUEST: LoadRequest = { config: 'x.yaml', runtimeDirectory: '/run', maxFaults: 1 };

const REPORT: ElectionReport = {
  sha256: 'abc',
  started: '2026-01-01T00:00:00.000Z',
  instances: [],
  discards: {},
  bfd: [],
  restarts: 0,
  eventLoop: { max_ms: 0, p99_ms: 0 },
  log: { lines_lost: 0, failed_writes: 0, error: null },
  lateness: { bounds: [], counts: [0], sum: 0 },
};

type Handlers = { onMessage(message: FromServices): void; onExit(how: string): void };

/** A services process that does what the test says; it answers pings by itself unless it hangs. */
class FakeProcess implements ServicesProcess {
  readonly pid: number;
  readonly received: ToServices[] = [];
  readonly #handlers: Handlers;
  backlog = 0;
  hangs = false;
  killed = 0;

  constructor(pid: number, handlers: Handlers) {
    this.pid = pid;
    this.#handlers = handlers;
  }

  send(message: ToServices): void {
    this.received.push(message);
    if (message.type === 'ping' && !this.hangs) this.say({ type: 'pong' });
  }

  kill(): void {
    this.killed += 1;
    this.end('SIGKILL');
  }

  say(message: FromServices): void {
    this.#handlers.onMessage(message);
  }

  end(how: string): void {
    this.#handlers.onExit(how);
  }

  /** Answers the last configuration. */
  ready(): void {
    const asked = this.received.findLast((message) => message.type === 'configure');
    if (asked?.type !== 'configure') throw new Error('nothing to answer');
    this.say({ type: 'ready', serial: asked.serial });
  }

  types(): string[] {
    return this.received.map(({ type }) => type).filter((type) => type !== 'ping');
  }
}

function bench({ hangs = false } = {}) {
  const clock = new HandClock();
  const processes: FakeProcess[] = [];
  const lines: string[] = [];
  const tracked: unknown[] = [];
  let roles: Roles = {};
  let reports = 0;
  const write = (_fields: object, message: string) => lines.push(message);
  const log: Log = { debug: () => {}, info: write, warn: write, error: write };
  const supervisor = new ServicesSupervisor({
    clock,
    log,
    startProcess: (handlers) => {
      const process = new FakeProcess(100 + processes.length, handlers);
      process.hangs = hangs;
      processes.push(process);
      return process;
    },
    load: async () => OWN,
    onTracked: (verdict) => tracked.push(verdict),
    onSyncProgress: (progress, asOfMs) => tracked.push({ ...progress, asOfMs }),
    roles: () => roles,
    report: () => {
      reports += 1;
      return { ...REPORT, restarts: reports };
    },
  });
  return {
    clock,
    reports: () => reports,
    lines,
    tracked,
    processes,
    supervisor,
    setRoles: (next: Roles) => {
      roles = next;
    },
    last: () => {
      const process = processes.at(-1);
      if (process === undefined) throw new Error('no process was started');
      return process;
    },
    /** Started, and ready. */
    run: async () => {
      const started = supervisor.start(CONFIG);
      processes.at(-1)?.ready();
      await started;
    },
  };
}

void t.test('the start waits for the first ready', async (t) => {
  const { supervisor, last, clock } = bench();
  let ready = false;
  const started = supervisor.start(CONFIG).then(() => {
    ready = true;
  });
  t.match(last().received, [{ type: 'configure', path: CONFIG.path, roles: {} }]);
  await clock.advance(30_000);
  t.notOk(ready, 'thousands of services may take their time while it answers pings');
  last().ready();
  await started;
  t.ok(ready);
});

void t.test('a start that fails says why', async (t) => {
  const refused = bench();
  const first = refused.supervisor.start(CONFIG);
  refused.last().say({ type: 'failed', serial: 1, code: 'ERR_NO_IPVS', message: 'the kernel has no IPVS' });
  await t.rejects(first, {
    constructor: ServicesError,
    code: 'ERR_NO_IPVS',
    message: 'the kernel has no IPVS',
  });

  const ended = bench();
  const second = ended.supervisor.start(CONFIG);
  ended.last().end('exit status 1');
  await t.rejects(second, {
    code: 'ERR_SERVICES_ENDED',
    message: /ended during the start \(exit status 1\)/,
  });
  await ended.clock.advance(LAST_RESTART_MS);
  t.equal(ended.processes.length, 1, 'and nothing is started behind it');

  const hung = bench({ hangs: true });
  const third = hung.supervisor.start(CONFIG);
  const rejected = t.rejects(third, { code: 'ERR_SERVICES_ENDED' });
  await hung.clock.advance((STARTING_HUNG_AFTER_PINGS - 1) * PING_INTERVAL_MS);
  t.equal(hung.last().killed, 0, 'it may still load its program');
  await hung.clock.advance(2 * PING_INTERVAL_MS);
  t.equal(hung.last().killed, 1);
  await rejected;
});

void t.test('an end that nobody asked for: started again, later each time', async (t) => {
  const { supervisor, processes, clock, last, run, setRoles, lines } = bench();
  await run();
  setRoles({ outside: { state: 'master', settled: true } });
  let waitMs = FIRST_RESTART_MS;
  for (let round = 1; round <= 7; round += 1) {
    last().end('SIGSEGV');
    t.same(supervisor.status(), { state: 'restarting', pid: null, restarts: round });
    await clock.advance(waitMs - 1);
    t.equal(processes.length, round, `not before ${waitMs} ms`);
    await clock.advance(1);
    t.equal(processes.length, round + 1);
    t.match(last().received[0], { type: 'configure', roles: { outside: { state: 'master' } } }, 'all anew');
    last().ready();
    waitMs = Math.min(2 * waitMs, LAST_RESTART_MS);
  }
  t.equal(waitMs, LAST_RESTART_MS);
  await clock.advance(LONG_LIFE_MS);
  last().end('SIGSEGV');
  await clock.advance(FIRST_RESTART_MS);
  t.equal(processes.length, 9, 'a long life makes it a first time');
  t.match(lines.at(-1), /ended \(SIGSEGV\): .* starts in 1000 ms/);
});

void t.test('one that comes back and cannot begin counts as ended', async (t) => {
  const { processes, clock, last, run, lines } = bench();
  await run();
  last().end('SIGKILL');
  await clock.advance(FIRST_RESTART_MS);
  last().say({ type: 'failed', serial: 2, code: 'ERR_NO_IPVS', message: 'the kernel has no IPVS' });
  t.equal(last().killed, 1);
  t.ok(lines.some((line) => line.includes('the kernel has no IPVS')));
  await clock.advance(2 * FIRST_RESTART_MS);
  t.equal(processes.length, 3);
});

void t.test('hung: killed after so many pings without an answer', async (t) => {
  const { clock, last, run, processes } = bench();
  await run();
  await clock.advance(3 * PING_INTERVAL_MS);
  const first = last();
  first.hangs = true;
  const pings = first.received.filter(({ type }) => type === 'ping').length;
  await clock.advance(HUNG_AFTER_PINGS * PING_INTERVAL_MS);
  t.equal(first.killed, 0);
  t.equal(first.received.filter(({ type }) => type === 'ping').length, pings + 1, 'one ping under way');
  first.say({ type: 'pong' });
  await clock.advance(HUNG_AFTER_PINGS * PING_INTERVAL_MS);
  t.equal(first.killed, 0, 'an answer counts, however late');
  await clock.advance(2 * PING_INTERVAL_MS);
  t.equal(first.killed, 1);
  await clock.advance(FIRST_RESTART_MS);
  t.equal(processes.length, 2);
});

void t.test('a reload: done, refused, or left for the next process', async (t) => {
  const { supervisor, clock, last, run, lines } = bench();
  await run();
  const other = configuration({}, '/run/other.json');
  const done = supervisor.configure(other);
  last().ready();
  await done;
  const refused = supervisor.configure(other);
  last().say({ type: 'failed', serial: 3, code: 'ERR_X', message: 'no' });
  await t.rejects(refused, { code: 'ERR_X', message: 'no' });

  const endless = supervisor.configure(other);
  const rejected = t.rejects(endless, { code: 'ERR_SERVICES_TIMEOUT' });
  await clock.advance(CONFIGURE_LIMIT_MS);
  await rejected;

  const dies = supervisor.configure(other);
  last().end('SIGKILL');
  await dies;
  await supervisor.configure(CONFIG);
  t.ok(lines.some((line) => line.includes('it gets the new configuration when it is back')));
  await clock.advance(FIRST_RESTART_MS);
  t.match(last().received[0], { type: 'configure', path: CONFIG.path, director: 'lb1' });
});

void t.test('roles and events: what changed, and no more than the process reads', async (t) => {
  const { supervisor, last, run, setRoles, clock, lines } = bench();
  await run();
  setRoles({ outside: { state: 'backup', settled: false } });
  supervisor.rolesChanged();
  supervisor.rolesChanged();
  setRoles({ outside: { state: 'backup', settled: true } });
  await clock.advance(PING_INTERVAL_MS);
  t.same(last().types(), ['configure', 'roles', 'roles'], 'also what nobody told of');
  const event = { kind: 'role', instance: 'outside', from: 'backup', to: 'master', reason: '' } as const;
  supervisor.event(event);
  t.same(last().received.at(-1), { type: 'event', event });

  last().backlog = MAX_BACKLOG;
  const before = last().received.length;
  supervisor.event(event);
  supervisor.event(event);
  setRoles({ outside: { state: 'master', settled: true } });
  supervisor.rolesChanged();
  t.equal(last().received.length, before, 'nothing more for one that does not read');
  t.equal(lines.filter((line) => line.includes('miss events')).length, 1, 'told once');
  last().backlog = 0;
  await clock.advance(PING_INTERVAL_MS);
  t.match(
    last().received.at(-1),
    { type: 'roles', roles: { outside: { state: 'master' } } },
    'roles catch up',
  );
});

void t.test('verdicts go on to the election; those of an ended process do not', async (t) => {
  const { last, run, tracked, processes, clock } = bench();
  await run();
  last().say({ type: 'tracked', verdict: { object: 'gateway', state: 'down' } });
  const progress = { complete: false, text: '3 of 4 connections are here' };
  last().say({ type: 'sync-progress', progress, asOfMs: 7 });
  t.same(tracked, [
    { object: 'gateway', state: 'down' },
    { ...progress, asOfMs: 7 },
  ]);
  last().end('SIGKILL');
  await clock.advance(FIRST_RESTART_MS);
  processes[0]?.say({ type: 'tracked', verdict: { object: 'gateway', state: 'up' } });
  processes[0]?.say({
    type: 'sync-progress',
    progress: { complete: true, text: 'all are here' },
    asOfMs: 7,
  });
  t.equal(tracked.length, 2);
});

void t.test(
  'a file is read by the services process, and from here when that is down, or ends meanwhile',
  async (t) => {
    const { supervisor, last, run, clock } = bench();
    t.same(await supervisor.load(REQUEST), OWN, 'before the start');
    await run();
    const asked = supervisor.load(REQUEST);
    const question = last().received.findLast(({ type }) => type === 'load');
    t.match(question, { type: 'load', request: REQUEST });
    if (question?.type !== 'load') return;
    last().say({ type: 'loaded', serial: question.serial - 1, answer: OWN });
    const answer = loadFailed('read over there');
    last().say({ type: 'loaded', serial: question.serial, answer });
    t.same(await asked, answer);

    const late = supervisor.load(REQUEST);
    last().end('SIGKILL');
    t.same(await late, OWN);
    t.same(await supervisor.load(REQUEST), OWN, 'while it is down');
    await clock.advance(FIRST_RESTART_MS);
    t.same(await supervisor.load(REQUEST), OWN, 'and while it has no configuration');
  },
);

void t.test('the stop: cleared away, by another process when the first cannot', async (t) => {
  const plain = bench();
  await plain.run();
  const stopped = plain.supervisor.stop(true);
  t.same(plain.last().received.at(-1), { type: 'stop', succeeded: true });
  plain.last().say({ type: 'stopped' });
  plain.last().end('exit status 0');
  await stopped;
  t.equal(plain.processes.length, 1);

  const down = bench();
  await down.run();
  down.last().end('SIGKILL');
  const second = down.supervisor.stop(false);
  t.same(down.last().types(), ['stop'], 'a new one, without a configuration');
  down.last().say({ type: 'stopped' });
  down.last().end('exit status 0');
  await second;
  await down.clock.advance(LAST_RESTART_MS);
  t.equal(down.processes.length, 2, 'none is started any more');

  const stuck = bench();
  await stuck.run();
  const third = stuck.supervisor.stop(false);
  await stuck.clock.advance(MAX_STOP_ATTEMPTS * STOP_LIMIT_MS);
  await third;
  t.equal(stuck.processes.length, MAX_STOP_ATTEMPTS);
  t.same(
    stuck.processes.map(({ killed }) => killed),
    [1, 1],
  );
  t.equal(stuck.lines.filter((line) => line.includes('did not clear away')).length, MAX_STOP_ATTEMPTS);
});

void t.test('however often it is asked, the election tells how it is once a second', async (t) => {
  const { run, last, clock, reports } = bench();
  await run();
  const told = () => last().received.flatMap((one) => (one.type === 'election' ? [one.report.restarts] : []));
  for (let asked = 0; asked < 100; asked++) last().say({ type: 'ask' });
  t.same(told(), [1]);
  await clock.advance(REPORT_APART_MS - 1);
  last().say({ type: 'ask' });
  t.same(told(), [1], 'too soon');
  await clock.advance(1);
  last().say({ type: 'ask' });
  t.same(told(), [1, 2]);
  last().backlog = MAX_BACKLOG;
  await clock.advance(REPORT_APART_MS);
  last().say({ type: 'ask' });
  t.equal(reports(), 2, 'and nothing to one that does not read');
});
