/** Looks at tracked scripts, processes and files. */
import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import type { CommandOutcome, Commands, TrackProber } from '../runtime/ports.js';
import type { LookKind, LookOutcome } from '../track/track.js';
import { ProcessTable } from './process-table.js';

/** Of a tracked file; a number is shorter. */
const MAX_FILE_BYTES = 64;
/** Weights times numbers stay exact far beyond it. */
const MAX_NUMBER = 2_147_483_647;
/** For a look at a file or a process: a file system may hang. */
const LOOK_TIMEOUT_MS = 2000;
/** Of a script's output, in the reason. */
const MAX_REASON_CHARACTERS = 200;

/** @param table for tests */
export function openTrackProber(commands: Commands, table: ProcessTable = new ProcessTable()): TrackProber {
  // One that hangs in the kernel holds one of libuv's few threads: the next look must not hold another.
  const hanging = new Set<string>();
  // Objects that look at the same thing at the same time share the look.
  const shared = new Map<string, Promise<LookOutcome>>();
  const limited = async (key: string, look: Promise<LookOutcome>): Promise<LookOutcome> => {
    let timer: NodeJS.Timeout | undefined;
    hanging.add(key);
    const ended = look.finally(() => hanging.delete(key));
    const late = new Promise<LookOutcome>((resolve) => {
      timer = setTimeout(resolve, LOOK_TIMEOUT_MS, unusable(`no answer within ${LOOK_TIMEOUT_MS} ms`));
    });
    const outcome = await Promise.race([ended, late]);
    clearTimeout(timer);
    return outcome;
  };
  return {
    async look(kind: LookKind, cancel: AbortSignal): Promise<LookOutcome> {
      if (kind.type === 'script') return scriptOutcome(await commands.run(kind, cancel), kind.timeoutMs);
      // Or looks that are answered at once, and due again when the last of them is done, would leave no turn of the
      // event loop to anything else.
      await setImmediate();
      const key = JSON.stringify(kind);
      const underWay = shared.get(key);
      if (underWay !== undefined) return underWay;
      if (hanging.has(key)) return unusable('an earlier look has not come back');
      const look = kind.type === 'file' ? lookAtFile(kind.path) : lookForProcess(table, kind.process);
      const outcome = limited(key, look).finally(() => shared.delete(key));
      shared.set(key, outcome);
      return outcome;
    },
  };
}

function unusable(reason: string): LookOutcome {
  return { type: 'unusable', reason };
}

function bad(reason: string): LookOutcome {
  return { type: 'seen', ok: false, reason };
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function scriptOutcome(outcome: CommandOutcome, timeoutMs: number): LookOutcome {
  const said =
    'output' in outcome && outcome.output !== ''
      ? `: ${outcome.output.replace(/\s+/g, ' ').slice(0, MAX_REASON_CHARACTERS)}`
      : '';
  switch (outcome.type) {
    case 'exited':
      return outcome.status === 0 ? { type: 'seen', ok: true } : bad(`exit status ${outcome.status}${said}`);
    case 'killed':
      return bad(`ended by ${outcome.signal}${said}`);
    case 'timed-out':
      return bad(`not done within ${timeoutMs} ms${said}`);
    case 'cancelled':
      return unusable('ended before it was done');
    case 'refused':
      return bad(`not run: ${outcome.reason}`);
  }
}

async function lookForProcess(table: ProcessTable, name: string): Promise<LookOutcome> {
  try {
    return (await table.has(name)) ? { type: 'seen', ok: true } : bad(`no process ${name} runs`);
  } catch (error) {
    return unusable(words(error));
  }
}

async function lookAtFile(path: string): Promise<LookOutcome> {
  let text: string | undefined;
  try {
    text = await beginning(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') text = '';
    else return unusable(words(error));
  }
  if (text === undefined) return unusable(`${path} is no regular file`);
  const trimmed = text.trim();
  const value = trimmed === '' ? 0 : Number(trimmed);
  if (!/^([+-]?\d+)?$/.test(trimmed) || Math.abs(value) > MAX_NUMBER) {
    return unusable(`${path} holds no whole number from -${MAX_NUMBER} to ${MAX_NUMBER}`);
  }
  // -0 is 0.
  if (value === 0) return { type: 'seen', ok: true, value: 0 };
  return { type: 'seen', ok: false, value, reason: `${path} holds ${value}` };
}

/** A byte more than a number can have, so that a longer file is no number. Undefined for anything but a file. */
async function beginning(path: string): Promise<string | undefined> {
  // Not blocking: a pipe without a writer would hold up the open.
  const file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!(await file.stat()).isFile()) return undefined;
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_FILE_BYTES + 1), 0, MAX_FILE_BYTES + 1, 0);
    return bytesRead > MAX_FILE_BYTES ? 'too long' : buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}
