/** Starts of programs, paced: each holds the event loop until the new process has begun, several at once would stop it. */
import type { Clock } from '../../runtime/ports.js';

/**
 * Lets one start through at a time, in the order in which they came. After each the event loop is left alone for as
 * long as the start took, so that starts never take more than half of its time, however many wait and however slow the
 * machine is: what has to wait is late, and all else goes on. The caller bounds how many wait.
 */
export class StartGate {
  readonly #clock: Clock;
  /** None of them throws. */
  readonly #waiting: (() => void)[] = [];
  #resting = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Calls `start` when its turn has come; rejects when it throws. */
  pass<T>(start: () => T | Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#waiting.push(() => {
        try {
          resolve(start());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
      this.#next();
    });
  }

  #next(): void {
    if (this.#resting) return;
    const start = this.#waiting.shift();
    if (start === undefined) return;
    const begunMs = this.#clock.nowMs();
    start();
    const endedMs = this.#clock.nowMs();
    this.#resting = true;
    this.#clock.at(endedMs + (endedMs - begunMs), () => {
      this.#resting = false;
      this.#next();
    });
  }
}
