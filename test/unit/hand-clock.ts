/** A clock that a test moves by hand. */
import type { Clock } from '../../src/runtime/ports.js';

export class HandClock implements Clock {
  #nowMs = 1_000_000;
  readonly #timers = new Set<{ atMs: number; callback: () => void }>();

  nowMs(): number {
    return this.#nowMs;
  }

  at(atMs: number, callback: () => void): () => void {
    const timer = { atMs, callback };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  }

  /** Moves on while nothing of this process runs: what fell due meanwhile comes with the next `advance`. */
  standStill(forMs: number): void {
    this.#nowMs += forMs;
  }

  /** Moves on, runs what falls due in order, and lets promises settle after each. */
  async advance(byMs: number): Promise<void> {
    const untilMs = this.#nowMs + byMs;
    await settled();
    for (;;) {
      const next = [...this.#timers].sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.callback();
      await settled();
    }
    this.#nowMs = untilMs;
  }
}

/** Lets everything run that waits for a promise alone. */
export function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
