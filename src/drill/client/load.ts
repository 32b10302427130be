/** New connections at a steady rate, each with one request: native/load.c, in the client's namespace. */
import { open, readFile } from 'node:fs/promises';
import { nativeFile } from '../../io/sockets/native.js';
import { DrillError } from '../errors.js';
import type { Lab } from '../lab/lab.js';
import type { Child } from '../lab/process.js';

/** One new connection with one request. */
export interface RequestSample {
  readonly address: string;
  /** Wall-clock milliseconds. */
  readonly startMs: number;
  /** From connect to the whole answer; until the failure when it failed. */
  readonly durationMs: number;
  /** Name of the real server that answered, null when none did. */
  readonly server: string | null;
  /** Why it failed; empty when it did not. */
  readonly error: string;
}

/** A director that starts, or checks, does not wait for a client that has a host of its own outside of a lab. */
const BEHIND = ['nice', '-n', '10'];
/** On an emulated processor that other labs share. */
const START_TIMEOUT_MS = 60_000;
/** Beyond a request's own time limit, until the last line is there. */
const END_TIMEOUT_MS = 10_000;

/** Parses what `load ask` wrote, oldest request first. */
export function parseLoad(output: string): RequestSample[] {
  const samples: RequestSample[] = [];
  for (const line of output.split('\n')) {
    const [, start, address, duration, server, error] =
      /^(\d+\.\d+) (\S+) (\d+\.\d+) (\S+) (.*)$/.exec(line) ?? [];
    if (start !== undefined && address !== undefined && error !== undefined) {
      const answered = server === undefined || server === '-' ? null : server;
      samples.push({
        address,
        startMs: Number(start),
        durationMs: Number(duration),
        server: answered,
        error,
      });
    }
  }
  return samples.sort((a, b) => a.startMs - b.startMs);
}

export interface LoadOptions {
  /** Asked in turn. */
  readonly addresses: readonly string[];
  readonly port: number;
  /** New connections a second. */
  readonly rate: number;
  /** After which none is waited for any more, in milliseconds. */
  readonly limitMs: number;
  /** Takes the output, so that reading it disturbs nothing. */
  readonly file: string;
}

export class Load {
  readonly #child: Child;
  readonly #options: LoadOptions;
  readonly #errors: string[];

  private constructor(child: Child, options: LoadOptions, errors: string[]) {
    this.#child = child;
    this.#options = options;
    this.#errors = errors;
  }

  /** Resolves when it asks. Rejects with DrillError when it does not. */
  static async start(lab: Lab, host: string, options: LoadOptions): Promise<Load> {
    const { addresses, file, limitMs, port, rate } = options;
    const numbers = [port, rate, limitMs].map(String);
    const output = await open(file, 'w');
    const errors: string[] = [];
    let asks = (): void => {};
    const begun = new Promise<void>((resolve) => {
      asks = resolve;
    });
    try {
      const child = lab.start(host, [...BEHIND, nativeFile('load'), 'ask', ...numbers, ...addresses], {
        outputFd: output.fd,
        onErrorLine: (line) => {
          if (line === 'asks') {
            asks();
          } else {
            errors.push(line);
          }
        },
      });
      const timer = setTimeout(() => child.kill('SIGKILL'), START_TIMEOUT_MS);
      await Promise.race([begun, child.exited]).finally(() => clearTimeout(timer));
      return new Load(child, options, errors);
    } finally {
      await output.close();
    }
  }

  /** Those that are over by now. */
  async soFar(): Promise<RequestSample[]> {
    return parseLoad(await readFile(this.#options.file, 'utf8'));
  }

  /** Makes no further ones, waits for those under way. Rejects with DrillError when it has ended before. */
  async stop(): Promise<RequestSample[]> {
    const { file, limitMs } = this.#options;
    const wasRunning = this.#child.running;
    this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), limitMs + END_TIMEOUT_MS);
    const { status } = await this.#child.exited;
    clearTimeout(timer);
    if (!wasRunning || status !== 0) {
      throw new DrillError('ERR_DRILL_PROCESS', `the lab's load ended: ${this.#errors.join(' ')}`);
    }
    return parseLoad(await readFile(file, 'utf8'));
  }
}
