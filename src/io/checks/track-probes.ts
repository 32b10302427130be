/** Looks at tracked scripts, processes and files. */

import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import type { Commands, TrackProber } from '../../runtime/services/services-ports.js';
import type { LookKind, LookOutcome } from '../../track/track.js';
import { messageOf } from '../../util/error-message.js';
import { BoundedLooks } from '../host/bounded-looks.js';
import { commandVerdict } from './command-verdict.js';
import { ProcessTable } from './process-table.js';

/** Of a tracked file; a number is shorter. */
const MAX_FILE_BYTES = 64;
/** Weights times numbers stay exact far beyond it. */
const MAX_NUMBER = 2_147_483_647;
/** For a look at a file or a process: a file system may hang. */
const LOOK_TIMEOUT_MS = 2000;

/** Of libuv's threads (see services-process.ts), for files and for processes. */
const MAX_FILE_LOOKS = 6;
const MAX_PROCESS_LOOKS = 2;

/** @param table for tests, as `read` */
export function openTrackProber(
  commands: Commands,
  table: ProcessTable = new ProcessTable(),
  read: (path: string) => Promise<string | undefined> = beginning,
): TrackProber {
  const files = new BoundedLooks<LookOutcome>(MAX_FILE_LOOKS, LOOK_TIMEOUT_MS);
  const processes = new BoundedLooks<LookOutcome>(MAX_PROCESS_LOOKS, LOOK_TIMEOUT_MS);
  return {
    async look(kind: LookKind, cancel: AbortSignal): Promise<LookOutcome> {
      if (kind.type === 'script') {
        const verdict = commandVerdict(await commands.run(kind, cancel), kind.timeoutMs);
        if (verdict.ok === undefined) return unusable(verdict.reason);
        return verdict.ok ? { type: 'seen', ok: true } : bad(verdict.reason);
      }
      // Or looks that are answered at once, and due again when the last of them is done, would leave no turn of the
      // event loop to anything else.
      await setImmediate();
      const look =
        kind.type === 'file'
          ? files.look(kind.path, () => lookAtFile(kind.path, read))
          : processes.look(kind.process, () => lookForProcess(table, kind.process));
      const outcome = await look;
      return outcome.type === 'done' ? outcome.value : unusable(outcome.reason);
    },
  };
}

function unusable(reason: string): LookOutcome {
  return { type: 'unusable', reason };
}

function bad(reason: string): LookOutcome {
  return { type: 'seen', ok: false, reason };
}

async function lookForProcess(table: ProcessTable, name: string): Promise<LookOutcome> {
  try {
    return (await table.has(name)) ? { type: 'seen', ok: true } : bad(`no process ${name} runs`);
  } catch (error) {
    return unusable(messageOf(error));
  }
}

async function lookAtFile(
  path: string,
  read: (path: string) => Promise<string | undefined>,
): Promise<LookOutcome> {
  let text: string | undefined;
  try {
    text = await read(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') text = '';
    else return unusable(messageOf(error));
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
