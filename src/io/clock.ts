/** CLOCK_MONOTONIC for the runtime. */
import type { Clock } from '../runtime/ports.js';

/** Longest delay setTimeout takes; a later time is waited for in parts. */
const MAX_TIMEOUT_MS = 2_147_483_647;

function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** The monotonic clock, comparable with the receive times of the sockets. */
export const monotonicClock: Clock = {
  nowMs,
  at(atMs: number, callback: () => void): () => void {
    // A timer would take a millisecond.
    if (atMs <= nowMs()) {
      const immediate = setImmediate(callback);
      return () => clearImmediate(immediate);
    }
    let timer: NodeJS.Timeout | undefined;
    // Node counts from the start of the loop's turn in whole milliseconds, so a timer may be early.
    const wait = (): void => {
      const leftMs = Math.ceil(atMs - nowMs());
      timer = setTimeout(
        () => {
          if (nowMs() >= atMs) callback();
          else wait();
        },
        Math.min(Math.max(leftMs, 0), MAX_TIMEOUT_MS),
      );
    };
    wait();
    return () => clearTimeout(timer);
  },
};
