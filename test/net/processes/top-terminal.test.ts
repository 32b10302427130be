/** `director top` in a terminal, which is tmux. */
import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { MAIN } from '../../program.js';
import { FILE_LIMIT_MS, skipWithout, testUnless } from '../daemon-helpers.js';
import { eventually } from '../namespace.js';

t.setTimeout(FILE_LIMIT_MS);

const test = testUnless(skipWithout('tmux'));
const PROGRAM = fileURLToPath(new URL('top-program.js', import.meta.url));
/** Long enough for a loaded machine; nothing here takes it. */
const LIMIT_MS = 120_000;
/** As `s` finds it, with the numbers of the second look on. */
const ROWS = [
  'no director answers, 00:00:00, virtual servers: 3, real servers: 3, by CPS',
  'q quits, s sorts by another column',
  'Virtual server    State  Weight  ActiveConn  InActConn       CPS     InPPS    OutPPS     InBPS    OutBPS',
  'all                                      24          6         6        12        18       600      1200',
  'TCP 192.0.2.3:80                          7          3         3         6         9       300       600',
  '  -> 10.0.0.2:80              1           7          3         3         6         9       300       600',
];

class Terminal {
  readonly #folder = mkdtempSync(join(tmpdir(), 'top-terminal-'));

  /** Starts the program, whose fault comes after `looks`, in a shell's window, whose modes before and after it are kept. */
  constructor(t: Test, looks: number, who: 'kernel' | 'director' = 'kernel') {
    t.teardown(() => {
      spawnSync('tmux', ['-S', join(this.#folder, 'socket'), 'kill-server']);
      rmSync(this.#folder, { recursive: true, force: true });
    });
    const script = [
      'cd "$0"',
      'stty -g > before',
      'echo at the shell',
      '"$@"',
      'echo "ended with $?"',
      'stty -g > after',
      'exec sleep 1000',
    ].join('; ');
    const program = [process.execPath, PROGRAM, String(looks), who];
    const size = ['-x', '110', '-y', '20'];
    this.tmux('-f', '/dev/null', 'new-session', '-d', ...size, 'sh', '-c', script, this.#folder, ...program);
  }

  tmux(...args: readonly string[]): string {
    const env = { ...process.env, TZ: 'UTC' };
    return execFileSync('tmux', ['-S', join(this.#folder, 'socket'), ...args], { encoding: 'utf8', env });
  }

  text(): string {
    return this.tmux('capture-pane', '-p');
  }

  async shows(wanted: RegExp): Promise<string> {
    let text = '';
    await eventually(
      String(wanted),
      () => {
        text = this.text();
        return wanted.test(text);
      },
      LIMIT_MS,
    ).catch((error: Error) => {
      throw new Error(`${error.message}\n${text}`);
    });
    return text;
  }

  /** Whether the other screen is shown, and whether the cursor is. */
  modes(): string {
    return this.tmux('display-message', '-p', '#{alternate_on} #{cursor_flag}').trim();
  }

  /** Process id of the program. */
  pid(): number {
    const shell = this.tmux('display-message', '-p', '#{pane_pid}').trim();
    return Number(readFileSync(`/proc/${shell}/task/${shell}/children`, 'utf8').trim());
  }

  /** The terminal is the shell's again. */
  async leaves(t: Test, status: number): Promise<string> {
    const text = await this.shows(/ended with \d+/);
    t.match(text, new RegExp(`ended with ${status}$`, 'm'));
    t.match(text, /^at the shell\n/, 'with what was there before');
    t.notMatch(text, 'Virtual server');
    t.equal(this.modes(), '0 1', 'on its own screen, with a cursor');
    const file = (name: string) => readFileSync(join(this.#folder, name), 'utf8');
    const isThere = () => existsSync(join(this.#folder, 'after')) && file('after') !== '';
    await eventually('the modes after it', isThere, LIMIT_MS);
    t.equal(file('after'), file('before'), 'with its own modes');
    return text;
  }
}

const MANY_LOOKS = 100_000;

test('it fills the screen, sorts, follows the size and quits', async (t) => {
  const terminal = new Terminal(t, MANY_LOOKS);
  const text = await terminal.shows(/^all +24 +6 +6 /m);
  t.same(text.split('\n').slice(0, ROWS.length), ROWS);
  t.equal(terminal.modes(), '1 0');
  for (const sort of ['InPPS', 'OutPPS', 'InBPS', 'OutBPS', 'address', 'ActiveConn']) {
    terminal.tmux('send-keys', 's');
    await terminal.shows(new RegExp(`by ${sort}$`, 'm'));
  }
  t.match(await terminal.shows(/by ActiveConn$/m), /^TCP 192\.0\.2\.1:80 .*\n.*\nTCP 192\.0\.2\.2:80 /m);
  terminal.tmux('resize-window', '-x', '50', '-y', '6');
  const small = await terminal.shows(/\.\.\. \d+ more/);
  t.match(small, /^Virtual server +State +ActiveConn +CPS$/m);
  t.match(small, /\n\.\.\. 5 more\n$/);
  terminal.tmux('resize-window', '-x', '110', '-y', '20');
  await terminal.shows(/OutBPS\n[^]*192\.0\.2\.3:80/);
  terminal.tmux('send-keys', 'q');
  await terminal.leaves(t, 0);
});

test('Ctrl-C quits, too', async (t) => {
  const terminal = new Terminal(t, MANY_LOOKS);
  await terminal.shows(/^all /m);
  terminal.tmux('send-keys', 'C-c');
  await terminal.leaves(t, 0);
});

test('a signal leaves no trace', async (t) => {
  const terminal = new Terminal(t, MANY_LOOKS);
  await terminal.shows(/^all /m);
  process.kill(terminal.pid(), 'SIGTERM');
  await terminal.leaves(t, 128 + 15);
});

test('an error is told where the shell is', async (t) => {
  const terminal = new Terminal(t, 2);
  t.match(await terminal.leaves(t, 1), /the kernel refuses/);
});

test('a crash leaves the terminal as it was', async (t) => {
  const terminal = new Terminal(t, 2, 'director');
  t.match(await terminal.leaves(t, 1), /nobody foresaw this/);
});

test('without a terminal it names what goes without one', async (t) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, 'top'], { encoding: 'utf8' });
  t.match(
    { status, stdout, stderr },
    { status: 2, stdout: '', stderr: /needs a terminal; .* use --once or --json/ },
  );
  for (const wrong of [
    ['--interval', '1'],
    ['--interval', '1ms'],
    ['--sort', 'name'],
  ]) {
    t.equal(spawnSync(process.execPath, [MAIN, 'top', '--once', ...wrong]).status, 2, wrong.join(' '));
  }
});
