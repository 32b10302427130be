/** What happens next in virtual time, first come first served among equals. */
import { MinHeap } from '../../../src/util/min-heap.js';

interface Entry<T> {
  readonly atMs: number;
  readonly order: number;
  readonly event: T;
}

export class EventQueue<T> {
  readonly #heap = new MinHeap<Entry<T>>(
    (a, b) => a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order),
  );
  #order = 0;

  get size(): number {
    return this.#heap.size;
  }

  /** Time of the next event; Infinity without one. */
  get nextMs(): number {
    return this.#heap.first?.atMs ?? Number.POSITIVE_INFINITY;
  }

  push(atMs: number, event: T): void {
    this.#order += 1;
    this.#heap.push({ atMs, order: this.#order, event });
  }

  pop(): T | undefined {
    return this.#heap.pop()?.event;
  }
}
