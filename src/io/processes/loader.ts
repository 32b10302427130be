/** Runs the loader: a process that reads and checks one configuration and ends, so that nobody else has to. */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { type Load, type LoadAnswer, type LoadRequest, loadFailed } from '../../runtime/configuration.js';
import { messageOf } from '../../util/error-message.js';
import { rememberProgram } from './program-on-disk.js';
import { SMALL } from './services-process.js';

/** For reading and checking one file; of 10,000 virtual servers it takes two seconds on an idle machine. */
export const LOAD_LIMIT_MS = 120_000;
/** Of an answer; the instances of the largest file are less than a tenth of it. */
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;

export interface LoaderCommand {
  /** The program's entry, `main.js`. */
  readonly main: string;
  readonly limitMs?: number;
}

/** The argument of one that is started before there is a request, which it reads from its standard input. */
export const AHEAD = '--ahead';

/** The argument of the others. */
export function requestText(request: LoadRequest): string {
  return JSON.stringify(request);
}

type Child = ChildProcessByStdio<Writable, Readable, null>;

/** A loader that hangs, crashes or says too much changes as little as a faulty file. */
export function openLoader({ main, limitMs = LOAD_LIMIT_MS }: LoaderCommand): Load {
  return loadBy(starterOf(main), limitMs);
}

function loadBy(start: (argument: string) => Child, limitMs: number): Load {
  return async (request) => {
    const { answer, ended } = await answerOf(() => start(requestText(request)), limitMs);
    return answer ?? loadFailed(`the configuration could not be read: its reader ended early (${ended})`);
  };
}

export interface LoaderAhead {
  readonly load: Load;
  /** Whether a process is to wait for the next request, from a while after this and after each request on. */
  keepReady(wanted: boolean): void;
}

/**
 * The same, but starting and compiling the program, which is most of a reload's time, may be done before. One that waits and
 * is killed, by whoever needs its memory, is no loss: the next request has a new one started.
 */
export function openLoaderAhead(command: LoaderCommand & { readonly afterMs: number }): LoaderAhead {
  const { main, limitMs = LOAD_LIMIT_MS, afterMs } = command;
  const start = starterOf(main);
  const load = loadBy(start, limitMs);
  let spare: Child | undefined;
  let wanted = false;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const make = (): void => {
    if (spare !== undefined) return;
    try {
      const child = start(AHEAD);
      const forget = (): void => {
        if (spare === child) spare = undefined;
      };
      child.once('error', forget);
      child.once('exit', forget);
      spare = child;
    } catch {
      // The next request tries and tells.
    }
  };
  const makeSoon = (): void => {
    clearTimeout(timer);
    if (wanted) timer = setTimeout(make, afterMs).unref();
  };
  return {
    load: async (request) => {
      const child = spare;
      spare = undefined;
      child?.stdin.end(requestText(request));
      const answer = child && (await answerOf(() => child, limitMs)).answer;
      try {
        return answer ?? (await load(request));
      } finally {
        makeSoon();
      }
    },
    keepReady: (isWanted) => {
      wanted = isWanted;
      if (!wanted) spare?.kill('SIGKILL');
      makeSoon();
    },
  };
}

interface End {
  /** Undefined when it ended without one, by which exit status or signal. */
  readonly answer?: LoadAnswer | undefined;
  readonly ended?: string;
}

function answerOf(open: () => Child, limitMs: number): Promise<End> {
  return new Promise((resolve) => {
    let child: Child;
    try {
      child = open();
    } catch (error) {
      return resolve({ answer: loadFailed(cannotStart(error)) });
    }
    const give = (end: End): void => {
      clearTimeout(timer);
      resolve(end);
      child.kill('SIGKILL');
    };
    const timer = setTimeout(
      () =>
        give({
          answer: loadFailed(
            `the configuration could not be read within ${limitMs / 1000} s: its file may be a pipe, or on a file system that hangs`,
          ),
        }),
      limitMs,
    );
    const chunks: Buffer[] = [];
    let length = 0;
    child.stdout.on('data', (chunk: Buffer) => {
      length += chunk.length;
      chunks.push(chunk);
      if (length <= MAX_ANSWER_BYTES) return;
      give({
        answer: loadFailed(`the configuration has more than ${MAX_ANSWER_BYTES} bytes of instances`),
      });
    });
    child.once('error', (error) => give({ answer: loadFailed(cannotStart(error)) }));
    child.once('close', (code, signal) =>
      give({
        answer: parse(Buffer.concat(chunks).toString('utf8')),
        ended: signal ?? `exit status ${code}`,
      }),
    );
  });
}

function parse(text: string): LoadAnswer | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** @throws {ProgramChangedError} from the function that is returned. */
function starterOf(main: string): (argument: string) => Child {
  const checkProgram = rememberProgram(main);
  return (argument) => {
    checkProgram();
    // What keeps the services process small would make this one slow.
    const inherited = process.execArgv.filter((one) => !SMALL.includes(one));
    // A session of its own: a Ctrl-C in the terminal is the director's affair.
    const child = spawn(process.execPath, [...inherited, main, 'load', argument], {
      detached: true,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    // That it ends before it has read a request is told by its end.
    child.stdin.on('error', () => {});
    return child;
  };
}

function cannotStart(error: unknown): string {
  const words = messageOf(error);
  return `the configuration could not be read: its reader cannot be started (${words})`;
}
