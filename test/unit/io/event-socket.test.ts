/** The stream of events on its unix socket, and who listens. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import {
  eventSocketPath,
  MAX_EVENT_CLIENTS,
  MAX_UNREAD_BYTES,
  openEventSocket,
} from '../../../src/io/operator/event-socket.js';
import { MAIN } from '../../program.js';
import { HandClock } from '../hand-clock.js';

/** Short, because the path of a unix socket has at most 107 characters. */
function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'events-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

async function open(t: Test, directory: string) {
  const trouble: string[] = [];
  const events = await openEventSocket(directory, {
    snapshot: () => ({ event: 'snapshot', instances: [{ name: 'outside', state: 'backup' }] }),
    clock: new HandClock(),
    onTrouble: (words) => trouble.push(words),
    nowEpochMs: () => 0,
  });
  t.teardown(() => events.close());
  return { events, trouble };
}

/** What a listener reads, as text, and when its stream has ended. */
class Listener {
  readonly socket: Socket;
  text = '';
  readonly ended: Promise<void>;
  #wake: () => void = () => {};

  constructor(t: Test, directory: string) {
    this.socket = connect(eventSocketPath(directory));
    t.teardown(() => this.socket.destroy());
    this.socket.setEncoding('utf8');
    this.socket.on('data', (chunk: string) => {
      this.text += chunk;
      this.#wake();
    });
    this.socket.on('error', () => {});
    this.ended = new Promise((resolve) => this.socket.once('close', () => resolve()));
  }

  get lines(): Record<string, unknown>[] {
    return this.text
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line));
  }

  async until(lines: number): Promise<void> {
    while (this.lines.length < lines) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

void t.test('a listener gets a snapshot, then each event, as lines of JSON', async (t) => {
  const directory = folder(t);
  const { events } = await open(t, directory);
  t.equal(statSync(eventSocketPath(directory)).mode & 0o777, 0o600);
  const listener = new Listener(t, directory);
  await listener.until(1);
  events.publish({ event: 'role', instance: 'outside', to: 'master', reason: 'two\nlines' });
  await listener.until(2);
  const time = '1970-01-01T00:00:00.000Z';
  t.same(listener.lines, [
    { event: 'snapshot', time, instances: [{ name: 'outside', state: 'backup' }] },
    { event: 'role', time, instance: 'outside', to: 'master', reason: 'two\nlines' },
  ]);
  await events.close();
  await listener.ended;
  t.match(listener.lines.at(-1), { event: 'end' });
  t.notOk(existsSync(eventSocketPath(directory)));
});

void t.test('the directory is made for root alone, and a socket left behind is replaced', async (t) => {
  const directory = join(folder(t), 'run');
  const { events } = await open(t, directory);
  t.equal(statSync(directory).mode & 0o777, 0o700);
  await events.close();
  writeFileSync(eventSocketPath(directory), '');
  await open(t, directory);
  const listener = new Listener(t, directory);
  await listener.until(1);
});

void t.test('a listener that does not read is cut off; the others go on', async (t) => {
  const directory = folder(t);
  const { events, trouble } = await open(t, directory);
  const slow = new Listener(t, directory);
  const quick = new Listener(t, directory);
  await Promise.all([slow.until(1), quick.until(1)]);
  slow.socket.pause();
  const text = 'x'.repeat(10_000);
  let sent = 0;
  while (trouble.length === 0) {
    events.publish({ event: 'role', sent, text });
    sent += 1;
    await quick.until(sent + 1);
    if (sent * text.length > 100 * MAX_UNREAD_BYTES) break;
  }
  t.same(trouble, ['a listener to the events did not read and was cut off']);
  slow.socket.resume();
  await slow.ended;
  const last = slow.lines.at(-1);
  t.match(last, { event: 'cut-off', reason: `more than ${MAX_UNREAD_BYTES} bytes were not read` });
  t.equal(
    slow.lines.filter(({ event }) => event === 'role').length,
    sent - 1,
    'it missed the last event alone',
  );
  events.publish({ event: 'role', sent: 'after' });
  await quick.until(sent + 2);
  t.match(quick.lines.at(-1), { sent: 'after' });
});

void t.test('one that never reads again loses its connection', async (t) => {
  const directory = folder(t);
  const { events, trouble } = await open(t, directory);
  const dead = new Listener(t, directory);
  await dead.until(1);
  dead.socket.pause();
  while (trouble.length === 0) events.publish({ event: 'role', text: 'x'.repeat(100_000) });
  // Does not hold up the end.
  await events.close();
});

void t.test('there is a limit to the listeners', async (t) => {
  const directory = folder(t);
  const { trouble } = await open(t, directory);
  const listeners = Array.from({ length: MAX_EVENT_CLIENTS }, () => new Listener(t, directory));
  await Promise.all(listeners.map((listener) => listener.until(1)));
  const further = new Listener(t, directory);
  await further.ended;
  t.match(further.lines, [{ event: 'refused', reason: `${MAX_EVENT_CLIENTS} listen already` }]);
  t.equal(trouble.length, 1);
  listeners[0]?.socket.destroy();
  await listeners[0]?.ended;
  for (;;) {
    const next = new Listener(t, directory);
    await next.until(1);
    if (next.lines[0]?.['event'] === 'snapshot') break;
  }
});

void t.test('a listener that talks, and one that leaves at once, do no harm', async (t) => {
  const directory = folder(t);
  const { events } = await open(t, directory);
  const talker = new Listener(t, directory);
  await talker.until(1);
  talker.socket.write('x'.repeat(1_000_000));
  connect(eventSocketPath(directory)).destroy();
  events.publish({ event: 'role' });
  await talker.until(2);
});

void t.test('a path that cannot be used', async (t) => {
  const options = {
    snapshot: () => ({ event: 'snapshot' }),
    clock: new HandClock(),
    onTrouble: () => {},
    nowEpochMs: () => 0,
  };
  const file = join(folder(t), 'file');
  writeFileSync(file, '');
  await t.rejects(openEventSocket(join(file, 'x'), options), { code: 'ERR_EVENT_SOCKET' });
  await t.rejects(openEventSocket(`/tmp/${'x'.repeat(200)}`, options), /at most 107 bytes/);
});

function director(args: string[]) {
  const child = spawn(process.execPath, [MAIN, 'events', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  let wake = () => {};
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    out += chunk;
    wake();
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    err += chunk;
  });
  const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
  const said = async (text: string) => {
    while (!out.includes(text)) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  return { child, ended, said, out: () => out, err: () => err };
}

void t.test('director events prints the lines', async (t) => {
  const directory = folder(t);
  const { events } = await open(t, directory);
  const run = director(['--runtime-dir', directory, '--json']);
  await run.said('snapshot');
  events.publish({ event: 'role', instance: 'outside' });
  await run.said('"role"');
  await events.close();
  t.equal(await run.ended, 1, 'the director left');
  t.same(
    run
      .out()
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).event),
    ['snapshot', 'role', 'end'],
  );
  t.equal(run.err(), '');
});

void t.test('director events ends quietly when its reader does', async (t) => {
  const directory = folder(t);
  const { events } = await open(t, directory);
  const run = director(['--runtime-dir', directory]);
  await run.said('snapshot');
  run.child.stdout.destroy();
  // It finds out when it writes.
  const timer = setInterval(() => events.publish({ event: 'role', text: 'x'.repeat(1000) }), 5);
  const status = await run.ended;
  clearInterval(timer);
  t.equal(status, 0);
  t.equal(run.err(), '');
});

void t.test('director events without a director, and with wrong arguments', async (t) => {
  const none = director(['--runtime-dir', folder(t)]);
  t.equal(await none.ended, 1);
  t.match(none.err(), /^director: no director runs here: nobody speaks on .*events\.sock/);
  const wrong = director(['--nonsense']);
  t.equal(await wrong.ended, 2);
  const help = director(['--help']);
  t.equal(await help.ended, 0);
  t.match(help.out(), /Usage: director events/);
});
