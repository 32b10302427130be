/** CLOCK_MONOTONIC for the runtime. Deadlines go by a timerfd, because Node's timers count in whole milliseconds. */

import type { Clock } from '../../runtime/ports.js';
import { DeadlineHeap, type HeapEntry } from '../../util/deadline-heap.js';
import { native, type SocketHandle } from '../sockets/native.js';

interface Deadline extends HeapEntry {
  readonly callback: () => void;
}

function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

class MonotonicClock implements Clock {
  readonly #heap = new DeadlineHeap<Deadline>();
  #timer: SocketHandle | undefined;
  /** What the timer is set to; Infinity: it is stopped; NaN: it has run out. */
  #setMs = Number.POSITIVE_INFINITY;
  #watching = false;
  /** While a deadline acts: the timer is set once, behind it. */
  #acting = false;

  nowMs(): number {
    return nowMs();
  }

  at(atMs: number, callback: () => void): () => void {
    if (atMs <= nowMs()) {
      const immediate = setImmediate(callback);
      return () => clearImmediate(immediate);
    }
    const deadline = { atMs, callback, cancelled: false };
    this.#heap.add(deadline);
    // A wake for nothing costs less than setting the timer again and again.
    if (atMs < this.#setMs) this.#set();
    return () => {
      this.#heap.cancel(deadline);
      if (this.#heap.first === undefined) this.#set();
    };
  }

  /** One a turn: what follows from a deadline is done, and the sockets are read, before the next acts. */
  #due(): void {
    this.#acting = true;
    const { first } = this.#heap;
    const due = first !== undefined && first.atMs <= nowMs() ? this.#heap.shift() : undefined;
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

  /** Sets the timer to the first deadline. It keeps the process alive while there is one. */
  #set(): void {
    const atMs = this.#heap.first?.atMs ?? Number.POSITIVE_INFINITY;
    if (this.#acting || atMs === this.#setMs) return;
    const addon = native();
    this.#timer ??= addon.openTimer(() => this.#due());
    const waits = Number.isFinite(atMs);
    addon.setTimer(this.#timer, waits ? atMs : 0);
    if (waits !== this.#watching) addon.watch(this.#timer, waits);
    this.#watching = waits;
    this.#setMs = atMs;
  }
}

/** The monotonic clock, comparable with the receive times of the sockets. A callback is never early. */
export const monotonicClock: Clock = new MonotonicClock();
