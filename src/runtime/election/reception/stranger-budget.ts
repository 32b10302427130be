/** What strangers on the segment may have this director say: they can send as much as they like, under any name. */
import type { Clock, Log } from '../../ports.js';

/** Lines of one kind at once, and how long the next one takes to come. */
export const MAX_LINES = 8;
export const NEXT_LINE_MS = 30_000;

interface Bucket {
  lines: number;
  filledAtMs: number;
  leftOut: number;
}

export class StrangerBudget {
  readonly #clock: Clock;
  readonly #log: Log;
  /** By kind, of which the program has few. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(clock: Clock, log: Log) {
    this.#clock = clock;
    this.#log = log;
  }

  /** Whether one more line of this kind may be said. What was left out is told with the next that may. */
  allows(kind: string): boolean {
    const nowMs = this.#clock.nowMs();
    const bucket = this.#buckets.get(kind) ?? { lines: MAX_LINES, filledAtMs: nowMs, leftOut: 0 };
    this.#buckets.set(kind, bucket);
    const fresh = Math.floor((nowMs - bucket.filledAtMs) / NEXT_LINE_MS);
    bucket.filledAtMs += fresh * NEXT_LINE_MS;
    bucket.lines = Math.min(MAX_LINES, bucket.lines + fresh);
    if (bucket.lines === 0) {
      bucket.leftOut += 1;
      return false;
    }
    bucket.lines -= 1;
    if (bucket.leftOut > 0) {
      const { leftOut } = bucket;
      bucket.leftOut = 0;
      this.#log.warn(
        { event: 'left-out', kind, count: leftOut },
        `${leftOut} more lines of this kind were left out (${kind}): somebody floods the segment`,
      );
    }
    return true;
  }
}
