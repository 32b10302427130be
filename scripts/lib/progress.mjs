// Runs one step and says what it does: in a terminal one line that counts seconds, else plain lines.
import { spawn } from 'node:child_process';

/** A step shorter than this leaves no line behind. */
const SILENT_MS = 2_000;
const TICK_MS = 500;
/** In a log without a terminal a long step says so often that it is alive. */
const PLAIN_REMINDER_MS = 15_000;
const KEPT_OUTPUT_CHARACTERS = 64 * 1024;
const EXCERPT_LINES = 15;

/** What went wrong, in words that need no stack. */
export class StepError extends Error {}

const terminal = process.stderr.isTTY === true;

export function say(line) {
  process.stderr.write(`${line}\n`);
}

/**
 * Runs `work` and shows `text` with the seconds gone by. `detail()` may add a word while it runs.
 * Lines go to stderr: stdout belongs to the program that is started in the end.
 */
export async function step(text, work, detail = () => '') {
  const startedMs = performance.now();
  const seconds = () => Math.round((performance.now() - startedMs) / 1000);
  let announced = false;
  let remindedMs = 0;
  const tick = () => {
    const elapsedMs = performance.now() - startedMs;
    if (terminal) {
      const width = (process.stderr.columns ?? 80) - 1;
      process.stderr.write(`\r\x1b[K${`${text} ... ${seconds()} s ${detail()}`.slice(0, width)}`);
    } else if (elapsedMs >= SILENT_MS && !announced) {
      say(`${text} ...`);
    } else if (elapsedMs - remindedMs >= PLAIN_REMINDER_MS) {
      say(`${text} ... ${seconds()} s ${detail()}`.trimEnd());
      remindedMs = elapsedMs;
    }
    announced ||= elapsedMs >= SILENT_MS;
  };
  const timer = setInterval(tick, TICK_MS);
  try {
    const result = await work();
    if (terminal) process.stderr.write('\r\x1b[K');
    if (performance.now() - startedMs >= SILENT_MS) say(`${text}: done in ${seconds()} s`);
    return result;
  } catch (error) {
    if (terminal) process.stderr.write('\r\x1b[K');
    throw error;
  } finally {
    clearInterval(timer);
  }
}

/** Runs a program with its output kept; rejects with an excerpt of it when the program fails. */
export async function run(command, args, options = {}) {
  const result = await runQuietly(command, args, options);
  if (result.status !== 0) {
    throw new StepError(
      `${command} ${args.join(' ')} failed (status ${result.status}):\n${excerpt(result.output)}`,
    );
  }
  return result.output;
}

/** The first and the last lines: npm says what is wrong before its help text, compilers and apt say it last. */
function excerpt(output) {
  const lines = output.trim().split('\n');
  if (lines.length <= 2 * EXCERPT_LINES) return lines.join('\n');
  return [...lines.slice(0, EXCERPT_LINES), '[...]', ...lines.slice(-EXCERPT_LINES)].join('\n');
}

/** Runs a program with its output kept, both streams in one; never rejects. Status 127: it is not there. */
export function runQuietly(command, args, options = {}) {
  return new Promise((resolve) => {
    let output = '';
    const take = (chunk) => {
      output = (output + chunk.toString()).slice(-KEPT_OUTPUT_CHARACTERS);
    };
    const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    child.once('error', (error) => resolve({ status: 127, output: error.message }));
    child.once('close', (status, signal) => resolve({ status: status ?? `signal ${signal}`, output }));
  });
}
