/** Deadlines, the earliest first; one that is cancelled goes when it comes to the top, or with many others. */
import { MinHeap } from './min-heap.js';

/** Cancelled entries that may stay in the heap beside as many live ones, before it is built anew. */
const MAX_CANCELLED = 64;

export interface HeapEntry {
  readonly atMs: number;
  /** Set by `cancel` alone while it is in the heap. */
  cancelled: boolean;
}

export class DeadlineHeap<Entry extends HeapEntry> {
  readonly #heap = new MinHeap<Entry>((a, b) => a.atMs < b.atMs);
  #cancelled = 0;

  get first(): Entry | undefined {
    for (;;) {
      const { first } = this.#heap;
      if (first?.cancelled !== true) return first;
      this.#cancelled -= 1;
      this.#heap.pop();
    }
  }

  add(entry: Entry): void {
    this.#heap.push(entry);
  }

  /** Takes the first one out. */
  shift(): Entry | undefined {
    const { first } = this;
    if (first !== undefined) this.#heap.pop();
    return first;
  }

  cancel(entry: Entry): void {
    if (entry.cancelled) return;
    entry.cancelled = true;
    this.#cancelled += 1;
    if (this.#cancelled < MAX_CANCELLED || this.#cancelled * 2 < this.#heap.size) return;
    this.#heap.keep((one) => !one.cancelled);
    this.#cancelled = 0;
  }
}
