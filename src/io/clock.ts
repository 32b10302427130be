/** CLOCK_MONOTONIC for the runtime. Deadlines go by a timerfd, because Node's timers count in whole milliseconds. */
import type { Clock } from '../runtime/ports.js';
import { native, type SocketHandle } from './native.js';

/** Cancelled deadlines that may stay in the heap beside as many live ones, before it is built anew. */
const MAX_CANCELLED = 64;

interface Deadline {
  readonly atMs: number;
  readonly callback: () => void;
  cancelled: boolean;
}

function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}

/** A binary heap, the earliest deadline first. */
class DeadlineHeap {
  #entries: Deadline[] = [];
  #cancelled = 0;

  get first(): Deadline | undefined {
    for (;;) {
      const first = this.#entries[0];
      if (first?.cancelled !== true) return first;
      this.#cancelled -= 1;
      this.#removeFirst();
    }
  }

  add(deadline: Deadline): void {
    const entries = this.#entries;
    let at = entries.push(deadline) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#at(parent).atMs <= deadline.atMs) break;
      entries[at] = this.#at(parent);
      at = parent;
    }
    entries[at] = deadline;
  }

  /** Takes the first one out. */
  shift(): Deadline | undefined {
    const { first } = this;
    if (first !== undefined) this.#removeFirst();
    return first;
  }

  cancel(deadline: Deadline): void {
    if (deadline.cancelled) return;
    deadline.cancelled = true;
    this.#cancelled += 1;
    if (this.#cancelled < MAX_CANCELLED || this.#cancelled * 2 < this.#entries.length) return;
    const live = this.#entries.filter((entry) => !entry.cancelled);
    this.#entries = [];
    this.#cancelled = 0;
    for (const entry of live) this.add(entry);
  }

  #at(index: number): Deadline {
    const entry = this.#entries[index];
    if (entry === undefined) throw new Error(`invariant: no deadline at ${index}`);
    return entry;
  }

  #removeFirst(): void {
    const entries = this.#entries;
    const last = entries.pop();
    if (last === undefined || entries.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= entries.length) break;
      if (child + 1 < entries.length && this.#at(child + 1).atMs < this.#at(child).atMs) child += 1;
      if (this.#at(child).atMs >= last.atMs) break;
      entries[at] = this.#at(child);
      at = child;
    }
    entries[at] = last;
  }
}

class MonotonicClock implements Clock {
  readonly #heap = new DeadlineHeap();
  #timer: SocketHandle | undefined;
  /** What the timer is set to; Infinity: it is stopped; NaN: it has run out. */
  #setMs = Number.POSITIVE_INFINITY;
  #watching = false;

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
    this.#set();
    return () => {
      this.#heap.cancel(deadline);
      // Where others wait, a wake for nothing costs less than setting the timer again and again.
      if (this.#heap.first === undefined) this.#set();
    };
  }

  /** One a turn: what follows from a deadline is done, and the sockets are read, before the next acts. */
  #due(): void {
    this.#setMs = Number.NaN;
    const { first } = this.#heap;
    const due = first !== undefined && first.atMs <= nowMs() ? this.#heap.shift() : undefined;
    try {
      if (due !== undefined) {
        // From here on it is done: to cancel it changes nothing.
        due.cancelled = true;
        due.callback();
      }
    } finally {
      this.#set();
    }
  }

  /** Sets the timer to the first deadline. It keeps the process alive while there is one. */
  #set(): void {
    const atMs = this.#heap.first?.atMs ?? Number.POSITIVE_INFINITY;
    if (atMs === this.#setMs) return;
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
