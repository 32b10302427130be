/** A binary heap: thousands of things that wait, and the first of them is asked for again and again. */

export class MinHeap<T> {
  readonly #isBefore: (a: T, b: T) => boolean;
  #items: T[] = [];

  /** `isBefore` must not change its mind about what is in the heap. */
  constructor(isBefore: (a: T, b: T) => boolean) {
    this.#isBefore = isBefore;
  }

  get size(): number {
    return this.#items.length;
  }

  /** Left in place. */
  get first(): T | undefined {
    return this.#items[0];
  }

  push(item: T): void {
    const items = this.#items;
    let at = items.length;
    items.push(item);
    while (at > 0) {
      const above = (at - 1) >> 1;
      const parent = items[above] as T;
      if (!this.#isBefore(item, parent)) break;
      items[at] = parent;
      at = above;
    }
    items[at] = item;
  }

  /** Takes the first one out. */
  pop(): T | undefined {
    const items = this.#items;
    const first = items[0];
    const last = items.pop();
    if (last === undefined || items.length === 0) return first;
    const half = items.length >> 1;
    let at = 0;
    while (at < half) {
      let below = 2 * at + 1;
      const right = below + 1;
      if (right < items.length && this.#isBefore(items[right] as T, items[below] as T)) below = right;
      const child = items[below] as T;
      if (!this.#isBefore(child, last)) break;
      items[at] = child;
      at = below;
    }
    items[at] = last;
    return first;
  }

  /** Leaves only those for which `stays` is true. */
  keep(stays: (item: T) => boolean): void {
    const kept = this.#items.filter(stays);
    this.#items = [];
    for (const item of kept) this.push(item);
  }
}
