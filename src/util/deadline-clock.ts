/** Any number of deadlines over one timer, whose settings cost something. */
import { DeadlineHeap, type HeapEntry } from './deadline-heap.js';

export interface Timer {
  /** Monotonic. */
  nowMs(): number;
  /** The timer runs out at `atMs`, never before, and `DeadlineClock.wake` is to be called; Infinity: it is stopped. */
  set(atMs: number): void;
  /** Calls back when what runs now has ended; returns what cancels it. */
  soon(callback: () => void): () => void;
}

interface Deadline extends HeapEntry {
  readonly callback: () => void;
}

export class DeadlineClock {
  readonly #timer: Timer;
  readonly #heap = new DeadlineHeap<Deadline>();
  /** What the timer is set to; Infinity: it is stopped; NaN: it has run out. */
  #setMs = Number.POSITIVE_INFINITY;
  /** While a deadline acts: the timer is set once, behind it. */
  #acting = false;

  constructor(timer: Timer) {
    this.#timer = timer;
  }

  nowMs(): number {
    return this.#timer.nowMs();
  }

  /** Calls back once at or after `atMs`; returns what cancels it. */
  at(atMs: number, callback: () => void): () => void {
    if (atMs <= this.#timer.nowMs()) return this.#timer.soon(callback);
    const deadline = { atMs, callback, cancelled: false };
    this.#heap.add(deadline);
    // A wake for nothing costs less than setting the timer again and again.
    if (atMs < this.#setMs) this.#set();
    return () => {
      this.#heap.cancel(deadline);
      if (this.#heap.first === undefined) this.#set();
    };
  }

  /** The timer ran out. One deadline a turn: what follows from it is done, and the sockets are read, before the next acts. */
  wake(): void {
    this.#acting = true;
    const { first } = this.#heap;
    const due = first !== undefined && first.atMs <= this.#timer.nowMs() ? this.#heap.shift() : undefined;
    try {
      if (due !== undefined) {
        // From here on it is done: to cancel it changes nothing.
        due.cancelled = true;
        due.callback();
      }
    } finally {
      this.#acting = false;
      this.#setMs = Number.NaN;
      this.#set();
    }
  }

  #set(): void {
    const atMs = this.#heap.first?.atMs ?? Number.POSITIVE_INFINITY;
    if (this.#acting || atMs === this.#setMs) return;
    this.#timer.set(atMs);
    this.#setMs = atMs;
  }
}
