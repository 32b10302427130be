/** Runs the loader: a short-lived process that reads and checks a configuration, so that nobody else has to. */
import { spawn } from 'node:child_process';
import { type Load, type LoadAnswer, type LoadRequest, loadFailed } from '../../runtime/configuration.js';
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

/** The loader's one argument. */
export function requestText(request: LoadRequest): string {
  return JSON.stringify(request);
}

function parse(text: string, how: string): LoadAnswer {
  try {
    return JSON.parse(text);
  } catch {
    return loadFailed(`the configuration could not be read: its reader ended early (${how})`);
  }
}

/** A loader that hangs, crashes or says too much changes as little as a faulty file. */
export function openLoader({ main, limitMs = LOAD_LIMIT_MS }: LoaderCommand): Load {
  return (request) =>
    new Promise((resolve) => {
      let child: ReturnType<typeof start>;
      try {
        child = start(main, request);
      } catch (error) {
        return resolve(loadFailed(cannotStart(error)));
      }
      const give = (answer: LoadAnswer): void => {
        clearTimeout(timer);
        resolve(answer);
        child.kill('SIGKILL');
      };
      const timer = setTimeout(
        () =>
          give(
            loadFailed(
              `the configuration could not be read within ${limitMs / 1000} s: its file may be a pipe, or on a file system that hangs`,
            ),
          ),
        limitMs,
      );
      const chunks: Buffer[] = [];
      let length = 0;
      child.stdout.on('data', (chunk: Buffer) => {
        length += chunk.length;
        chunks.push(chunk);
        if (length > MAX_ANSWER_BYTES)
          give(loadFailed(`the configuration has more than ${MAX_ANSWER_BYTES} bytes of instances`));
      });
      child.once('error', (error) => give(loadFailed(cannotStart(error))));
      child.once('close', (code, signal) =>
        give(parse(Buffer.concat(chunks).toString('utf8'), signal ?? `exit status ${code}`)),
      );
    });
}

function start(main: string, request: LoadRequest) {
  // What keeps the services process small would make this one slow.
  const inherited = process.execArgv.filter((argument) => !SMALL.includes(argument));
  const argv = [...inherited, main, 'load', requestText(request)];
  // A session of its own: a Ctrl-C in the terminal is the director's affair.
  return spawn(process.execPath, argv, { detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
}

function cannotStart(error: unknown): string {
  const words = error instanceof Error ? error.message : String(error);
  return `the configuration could not be read: its reader cannot be started (${words})`;
}
