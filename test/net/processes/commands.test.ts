/** Running scripts and hooks as another user: needs root, touches no network. */
import { type ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { untrustedPart } from '../../../src/io/host/trusted-path.js';
import { MAX_COMMANDS, MAX_OUTPUT_BYTES, openCommands } from '../../../src/io/processes/command.js';
import { nativeFile } from '../../../src/io/sockets/native.js';
import type { CommandOutcome, Commands } from '../../../src/runtime/services/services-ports.js';

const skip = process.getuid?.() === 0 ? false : 'changing the user needs root';
const NOBODY = 65_534;
/** Long enough for a loaded machine; nothing here takes it. */
const LONG_MS = 20_000;

function open(t: Test): Commands {
  const commands = openCommands();
  t.teardown(() => commands.close());
  return commands;
}

/** A folder that nobody may write to. */
function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'commands-'));
  chmodSync(path, 0o755);
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function sh(commands: Commands, script: string, timeoutMs = LONG_MS): Promise<CommandOutcome> {
  return commands.run({ command: ['/bin/sh', '-c', script], user: undefined, timeoutMs });
}

/** Processes whose command line holds `mark`. */
function processesWith(mark: string): string[] {
  return readdirSync('/proc').filter((name) => {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) return false;
    try {
      return readFileSync(`/proc/${name}/cmdline`, 'utf8').includes(mark);
    } catch {
      return false;
    }
  });
}

async function until(condition: () => boolean): Promise<void> {
  const deadline = performance.now() + LONG_MS;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('it did not come true');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

void t.test('runs as nobody, without a group of root', { skip }, async (t) => {
  process.setgroups?.([0, 4]);
  t.teardown(() => process.setgroups?.([0]));
  const result = await open(t).run({ command: ['/usr/bin/id'], user: undefined, timeoutMs: LONG_MS });
  t.match(result, { type: 'exited', status: 0 });
  t.equal('output' in result && result.output, 'uid=65534(nobody) gid=65534(nogroup) groups=65534(nogroup)');
});

void t.test('root as the user keeps no other group either', { skip }, async (t) => {
  process.setgroups?.([0, 4]);
  t.teardown(() => process.setgroups?.([0]));
  const result = await open(t).run({ command: ['/usr/bin/id', '-G'], user: 'root', timeoutMs: LONG_MS });
  t.same(result, { type: 'exited', status: 0, output: '0' });
});

void t.test('a file it writes belongs to its user', { skip }, async (t) => {
  const directory = folder(t);
  chmodSync(directory, 0o777);
  const file = join(directory, 'made');
  t.match(await sh(open(t), `echo x > ${file}`), { type: 'exited', status: 0 });
  t.equal(statSync(file).uid, NOBODY);
});

void t.test('no shell, an empty environment, nothing on standard input', { skip }, async (t) => {
  const commands = open(t);
  const echo = { command: ['/bin/echo', '$HOME; x', '*'], user: undefined, timeoutMs: LONG_MS };
  t.same(await commands.run(echo), { type: 'exited', status: 0, output: '$HOME; x *' });
  const env = await commands.run({
    command: ['/usr/bin/env', '-0'],
    user: undefined,
    timeoutMs: LONG_MS,
    environment: { LVS_DIRECTOR_STATE: 'master' },
  });
  const listed = 'output' in env ? env.output.split('\0') : [];
  // tap puts words of its own into the environment of whatever a test starts.
  const given = listed.filter((entry) => entry !== '' && !/^(_TAPJS_|NODE_OPTIONS=)/.test(entry));
  t.match(given, [/^PATH=/, 'LVS_DIRECTOR_STATE=master']);
  t.equal(given.length, 2, given.join());
  t.match(await sh(commands, 'cat; pwd'), { status: 0, output: '/' });
  t.match(await sh(commands, 'ps -o pgid= -p $$ | tr -d " "; echo $$'), { output: /^(\d+)\n\1$/ });
});

void t.test('no descriptor of this process is passed on', { skip }, async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const file = openSync('/dev/null', 'r');
  t.teardown(() => closeSync(file));
  const listed = await sh(open(t), 'for fd in /proc/$$/fd/*; do readlink $fd; done');
  const output = 'output' in listed ? listed.output.split('\n') : [];
  t.equal(output[0], '/dev/null');
  t.equal(output.lastIndexOf('/dev/null'), 0, 'not the open file');
  const sockets = output.filter((target) => /^(socket|anon_inode):/.test(target));
  t.equal(sockets.length, 2, 'its two outputs alone');
});

void t.test('status and signal are told apart', { skip }, async (t) => {
  const commands = open(t);
  t.same(await sh(commands, 'echo bad >&2; exit 3'), { type: 'exited', status: 3, output: 'bad' });
  t.same(await sh(commands, 'kill -9 $$'), { type: 'killed', signal: 'SIGKILL', output: '' });
});

void t.test('a time limit ends the grandchildren too', { skip }, async (t) => {
  const mark = randomUUID();
  // The marked sleeper ignores SIGTERM and is no child of the command.
  const sleeper = `sh -c 'trap "" TERM; sleep 300; : ${mark}'`;
  const result = await sh(open(t), `(${sleeper} &) ; ${sleeper}`, 300);
  t.match(result, { type: 'timed-out' });
  await until(() => processesWith(mark).length === 0);
});

void t.test('what a command leaves in the background ends with it', { skip }, async (t) => {
  const mark = randomUUID();
  t.match(await sh(open(t), `sh -c 'sleep 300; : ${mark}' & echo started`), { status: 0, output: 'started' });
  await until(() => processesWith(mark).length === 0);
});

void t.test('a descendant that left the group does not hold up the outcome', { skip }, async (t) => {
  const mark = randomUUID();
  t.teardown(() => {
    for (const pid of processesWith(mark)) process.kill(Number(pid), 'SIGKILL');
  });
  const script = `setsid sh -c 'sleep 60; : ${mark}' & sleep 0.2; echo done`;
  t.match(await sh(open(t), script), { status: 0, output: 'done' });
});

void t.test('cancelling and closing end what runs', { skip }, async (t) => {
  const mark = randomUUID();
  const commands = open(t);
  const cancel = new AbortController();
  const request = { command: ['/bin/sh', '-c', `sleep 300; : ${mark}`], user: undefined, timeoutMs: LONG_MS };
  const cancelled = commands.run(request, cancel.signal);
  const closed = commands.run(request);
  await until(() => processesWith(mark).length === 4);
  cancel.abort();
  t.same(await cancelled, { type: 'cancelled' });
  await commands.close();
  t.same(await closed, { type: 'cancelled' });
  t.same(await commands.run(request), { type: 'cancelled' }, 'nothing starts after the close');
  t.same(processesWith(mark), []);
});

void t.test('big output is read to its end and bounded', { skip }, async (t) => {
  const result = await sh(open(t), 'head -c 3000000 /dev/zero | tr "\\0" x');
  t.match(result, { type: 'exited', status: 0 });
  t.equal('output' in result && result.output, 'x'.repeat(MAX_OUTPUT_BYTES));
});

void t.test('what cannot run is refused with the reason', { skip }, async (t) => {
  const commands = open(t);
  const directory = folder(t);
  const plain = join(directory, 'plain');
  writeFileSync(plain, '#!/bin/sh\n', { mode: 0o644 });
  const orphan = join(directory, 'orphan');
  writeFileSync(orphan, '#!/nowhere/interpreter\n', { mode: 0o755 });
  const reason = async (file: string, user?: string) => {
    const outcome = await commands.run({ command: [file], user, timeoutMs: LONG_MS });
    return outcome.type === 'refused' ? outcome.reason : outcome.type;
  };
  t.match(await reason('/nowhere/script'), '/nowhere/script does not exist');
  t.match(await reason(orphan), 'or its interpreter does not');
  t.match(await reason(plain), "user 'nobody' may not execute");
  t.match(await reason('true'), 'no absolute path');
  t.match(await reason('/bin/true', 'no-such-user'), "no user 'no-such-user'");
  t.match(await reason('/nowhere/script', 'root'), 'ENOENT');
  t.match(await reason('/bin/a\0b'), 'null bytes');
});

void t.test('root runs nothing that others can change', { skip }, async (t) => {
  const directory = folder(t);
  const script = join(directory, 'script');
  writeFileSync(script, '#!/bin/sh\necho ran\n');
  chmodSync(script, 0o755);
  const commands = open(t);
  const asRoot = (file: string) => commands.run({ command: [file], user: 'root', timeoutMs: LONG_MS });
  t.match(await asRoot(script), { type: 'exited', output: 'ran' });
  chmodSync(script, 0o775);
  t.match(await asRoot(script), { type: 'refused', reason: `${script} can be written by others than root` });
  t.match(
    await commands.run({ command: [script], user: undefined, timeoutMs: LONG_MS }),
    { type: 'exited' },
    'as nobody it is only nobody who is at stake',
  );
  chmodSync(script, 0o755);
  chmodSync(directory, 0o777);
  t.match(await asRoot(script), { type: 'refused', reason: /can be written by others/ });
  chmodSync(directory, 0o755);
  chownSync(script, NOBODY, 0);
  t.match(await asRoot(script), { type: 'refused', reason: /does not belong to root/ });
  chownSync(script, 0, 0);
  const link = join(directory, 'link');
  const open777 = join(directory, 'open');
  mkdirSync(open777);
  symlinkSync(join(open777, 'target'), link);
  writeFileSync(join(open777, 'target'), '#!/bin/sh\n', { mode: 0o755 });
  t.equal(await untrustedPart(link), undefined);
  chmodSync(open777, 0o777);
  t.equal(await untrustedPart(link), `${open777} can be written by others than root`);
  symlinkSync('loop', join(directory, 'loop'));
  t.match(await untrustedPart(join(directory, 'loop')), 'symbolic links');
});

void t.test('there is a limit to how many run', { skip }, async (t) => {
  const commands = openCommands();
  const all = Array.from({ length: MAX_COMMANDS + 1 }, () => sh(commands, 'sleep 300'));
  t.match(await all[MAX_COMMANDS], { type: 'refused', reason: `${MAX_COMMANDS} commands run already` });
  await commands.close();
  for (const one of all.slice(0, MAX_COMMANDS)) t.same(await one, { type: 'cancelled' });
});

/** A process that runs one marked command with `script` until it is ended; resolves when that wrote to its file. */
async function processWithCommand(
  t: Test,
  script: (file: string) => string,
  more = '',
): Promise<ChildProcess> {
  const module = new URL('../../../src/io/processes/command.js', import.meta.url).href;
  const file = join(folder(t), 'started');
  writeFileSync(file, '');
  chmodSync(file, 0o666);
  const request = { command: ['/bin/sh', '-c', script(file)], timeoutMs: 1e6 };
  const code = `
    import { openCommands } from ${JSON.stringify(module)};
    import { readFileSync } from 'node:fs';
    const started = () => readFileSync(${JSON.stringify(file)}, 'utf8') !== '';
    void openCommands().run(${JSON.stringify(request)});
    setInterval(() => {}, 1000);
    ${more}`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  await until(() => readFileSync(file, 'utf8') !== '');
  return child;
}

void t.test('a process that crashes takes its commands along', { skip }, async (t) => {
  const mark = randomUUID();
  const crash = `setInterval(() => { if (started()) throw new Error('on purpose'); }, 10);`;
  const child = await processWithCommand(t, (file) => `echo $$ > ${file}; sleep 300; : ${mark}`, crash);
  await until(() => child.exitCode !== null);
  t.equal(child.exitCode, 1);
  await until(() => processesWith(mark).length === 0);
});

void t.test(
  'a process that is killed takes its commands along, and all that they started',
  { skip },
  async (t) => {
    const mark = randomUUID();
    t.teardown(() => {
      for (const pid of processesWith(mark)) process.kill(Number(pid), 'SIGKILL');
    });
    const sleeper = `sh -c 'trap "" HUP INT TERM; sleep 300; : ${mark}'`;
    // In its group; in a session of its own; an orphan in a session of its own.
    const child = await processWithCommand(
      t,
      (file) =>
        `${sleeper} & setsid ${sleeper} & (setsid ${sleeper} &); sleep 0.3; echo $$ > ${file}; ${sleeper}; :`,
    );
    t.ok(processesWith(mark).length >= 4);
    child.kill('SIGKILL');
    await until(() => processesWith(mark).length === 0);
  },
);

void t.test('no command outlives a process that is killed while it starts some', { skip }, async (t) => {
  const mark = randomUUID();
  t.teardown(() => {
    for (const pid of processesWith(mark)) process.kill(Number(pid), 'SIGKILL');
  });
  const more = `
    const commands = openCommands();
    for (let n = 0; n < 30; n += 1) {
      void commands.run({ command: ['/bin/sh', '-c', 'sleep 300; : ${mark}' + n], timeoutMs: 1e6 });
    }`;
  for (let round = 0; round < 5; round += 1) {
    const child = await processWithCommand(t, (file) => `echo > ${file}; sleep 300; : ${mark}`, more);
    await until(() => processesWith(mark).length > 2 * round);
    child.kill('SIGKILL');
    await until(() => processesWith(mark).length === 0);
  }
});

void t.test('a runner that is killed takes its command along', { skip }, async (t) => {
  const mark = randomUUID();
  const script = `sleep 300; : ${mark}`;
  const outcome = sh(open(t), script);
  await until(() => processesWith(mark).length === 2);
  const runner = processesWith(mark).find((pid) =>
    readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('runner'),
  );
  process.kill(Number(runner), 'SIGKILL');
  t.same(await outcome, { type: 'killed', signal: 'SIGKILL', output: '' });
  await until(() => processesWith(mark).length === 0);
});

void t.test(
  'nor does a command outlive a runner that is killed as soon as there is one',
  { skip },
  async (t) => {
    const mark = randomUUID();
    t.teardown(() => {
      for (const pid of processesWith(mark)) process.kill(Number(pid), 'SIGKILL');
    });
    for (let round = 0; round < 20; round += 1) {
      const runner = spawn(nativeFile('runner'), ['-', '-', '/bin/sh', '-c', `sleep 300; : ${mark}`], {
        stdio: ['ignore', 'ignore', 'ignore', 'pipe'],
      });
      // Without a pause: between fork(2) and execve(2) of the command.
      const children = `/proc/${runner.pid}/task/${runner.pid}/children`;
      while (readFileSync(children, 'latin1') === '') continue;
      runner.kill('SIGKILL');
    }
    await until(() => processesWith(mark).length === 0);
  },
);
