/** A binary heap by due time: thousands of targets, and the earliest is asked for after every outcome. */

export class DueQueue<T extends { readonly dueMs: number }> {
  readonly #heap: T[] = [];

  get size(): number {
    return this.#heap.length;
  }

  /** The earliest, left in place. */
  peek(): T | undefined {
    return this.#heap[0];
  }

  /** `item.dueMs` must not change while it is in the queue. */
  push(item: T): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(item);
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = heap[parentIndex];
      if (parent === undefined || parent.dueMs <= item.dueMs) {
        break;
      }
      heap[index] = parent;
      index = parentIndex;
    }
    heap[index] = item;
  }

  pop(): T | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (last === undefined || heap.length === 0) {
      return first;
    }
    let index = 0;
    for (;;) {
      let childIndex = 2 * index + 1;
      const left = heap[childIndex];
      const right = heap[childIndex + 1];
      if (left !== undefined && right !== undefined && right.dueMs < left.dueMs) {
        childIndex += 1;
      }
      const child = heap[childIndex];
      if (child === undefined || child.dueMs >= last.dueMs) {
        break;
      }
      heap[index] = child;
      index = childIndex;
    }
    heap[index] = last;
    return first;
  }
}
