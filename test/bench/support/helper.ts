/** A script of this folder at work on a host of a lab. */
import { fileURLToPath } from 'node:url';
import type { Lab } from '../../../src/drill/lab/lab.js';
import type { Child } from '../../../src/drill/lab/process.js';
import { waitFor } from '../../../src/drill/wait.js';

const READY_LIMIT_MS = 60_000;
const LOOK_EVERY_MS = 50;

export interface Helper {
  readonly host: string;
  /** What its command begins with, such as `nice`; and arguments of Node. */
  readonly before?: readonly string[];
  readonly nodeArguments?: readonly string[];
  /** In this folder, compiled. */
  readonly script: string;
  readonly args: readonly string[];
  readonly onLine: (line: string) => void;
}

/** Resolves when it has begun, which it tells by a first line. */
export async function startHelper(lab: Lab, helper: Helper, signal: AbortSignal): Promise<Child> {
  const { host, before = [], nodeArguments = [], script, args, onLine } = helper;
  const file = fileURLToPath(new URL(script, import.meta.url));
  let ready = false;
  const child = lab.start(host, [...before, process.execPath, ...nodeArguments, file, ...args], {
    onLine: (line) => {
      if (ready) onLine(line);
      ready = true;
    },
    onErrorLine: (line) => process.stderr.write(`${line}\n`),
  });
  await waitFor(
    `${script} has begun`,
    () => {
      if (!child.running) throw new Error(`${script} has ended`);
      return ready ? undefined : 'not yet';
    },
    { timeoutMs: READY_LIMIT_MS, everyMs: LOOK_EVERY_MS, signal },
  );
  return child;
}
