/** Writes the log to a descriptor that may be full, slow, gone or hang: what happens there is never waited for. */
import { write, writeSync } from 'node:fs';
import type { LogStatus } from '../../runtime/status.js';

/** Lines that wait, in bytes; as much again may be under way. What comes beyond is lost, and counted. */
export const MAX_WAITING_BYTES = 1_048_576;
/** Between two attempts after one that failed. */
const RETRY_MS = 1000;

/** write(2) in another thread: it may take for ever. */
export type WriteToDescriptor = (
  descriptor: number,
  bytes: Uint8Array,
  done: (error: Error | null, written: number) => void,
) => void;

/** What befell the log until there was room again. */
export interface LogGap {
  readonly linesLost: number;
  /** Why the last write failed; undefined: it was too slow. */
  readonly reason: string | undefined;
}

export interface LogWriterOptions {
  readonly descriptor: number;
  /** All that waited is written, and something had been lost or had failed. */
  onRoom?(gap: LogGap): void;
  readonly write?: WriteToDescriptor;
  readonly retryMs?: number;
}

const writeInPool: WriteToDescriptor = (descriptor, bytes, done) => write(descriptor, bytes, done);

/** One write at a time in libuv's thread pool; meanwhile lines wait, up to a limit. A line is written whole or not. */
export class LogWriter {
  readonly #options: LogWriterOptions;
  #waiting: string[] = [];
  #waitingBytes = 0;
  /** Under way, or to be tried again. */
  #chunk: Uint8Array | undefined;
  #writing = false;
  /** From the first line lost until all that waited is written: so the gap is in one place. */
  #losing = false;
  #lostInGap = 0;
  #reason: string | undefined;
  #failed = false;
  #linesLost = 0;
  #failures = 0;
  #retryTimer: NodeJS.Timeout | undefined;
  #onSettled: (() => void)[] = [];

  constructor(options: LogWriterOptions) {
    this.#options = options;
  }

  /** Takes one line with its line feed, or loses it. */
  write(line: string): void {
    const bytes = Buffer.byteLength(line);
    if (this.#losing || this.#waitingBytes + bytes > MAX_WAITING_BYTES) {
      this.#losing = true;
      this.#lostInGap += 1;
      this.#linesLost += 1;
      return;
    }
    this.#waiting.push(line);
    this.#waitingBytes += bytes;
    if (this.#chunk === undefined) this.#next();
  }

  /** A write is under way, and hangs perhaps. */
  get busy(): boolean {
    return this.#writing;
  }

  status(): LogStatus {
    return {
      lines_lost: this.#linesLost,
      failed_writes: this.#failures,
      error: this.#failed ? (this.#reason ?? null) : null,
    };
  }

  /**
   * This process leaves: what waits for the next attempt is tried at once. Resolves when all is written or an attempt
   * has failed; never, where a write hangs.
   */
  async settled(): Promise<void> {
    if (this.#chunk === undefined) return;
    const settled = new Promise<void>((resolve) => this.#onSettled.push(resolve));
    if (this.#retryTimer !== undefined) {
      clearTimeout(this.#retryTimer);
      this.#try();
    }
    await settled;
  }

  /** The last words of a process that crashes: writes what waits, once, and waits for it. */
  writeNow(): void {
    const text = this.#takeWaiting();
    if (text === '') return;
    try {
      writeSync(this.#options.descriptor, text);
    } catch {
      // Nobody is left to tell.
    }
  }

  #takeWaiting(): string {
    const text = this.#waiting.join('');
    this.#waiting = [];
    this.#waitingBytes = 0;
    return text;
  }

  #next(): void {
    const text = this.#takeWaiting();
    if (text === '') {
      this.#chunk = undefined;
      this.#drained();
      return this.#settle();
    }
    this.#chunk = Buffer.from(text);
    this.#try();
  }

  #drained(): void {
    if (!this.#losing && this.#reason === undefined) return;
    const gap = { linesLost: this.#lostInGap, reason: this.#reason };
    this.#losing = false;
    this.#lostInGap = 0;
    this.#reason = undefined;
    this.#options.onRoom?.(gap);
  }

  #try(): void {
    const chunk = this.#chunk;
    this.#retryTimer = undefined;
    if (chunk === undefined) return;
    this.#writing = true;
    const { descriptor, write: writeTo = writeInPool } = this.#options;
    writeTo(descriptor, chunk, (error, written) => {
      this.#writing = false;
      if (error !== null) return this.#retry(error.message);
      if (written === 0) return this.#retry('nothing was written');
      this.#failed = false;
      // Short where the file system has room for a part alone.
      this.#chunk = chunk.subarray(written);
      if (written < chunk.length) this.#try();
      else this.#next();
    });
  }

  #retry(reason: string): void {
    this.#failures += 1;
    this.#failed = true;
    this.#reason = reason;
    // Not what a process that leaves waits for.
    this.#retryTimer = setTimeout(() => this.#try(), this.#options.retryMs ?? RETRY_MS).unref();
    this.#settle();
  }

  #settle(): void {
    for (const resolve of this.#onSettled.splice(0)) resolve();
  }
}
