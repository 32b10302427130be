/** A binary heap of deadlines, the earliest first. */

/** Cancelled entries that may stay in the heap beside as many live ones, before it is built anew. */
const MAX_CANCELLED = 64;

export interface HeapEntry {
  readonly atMs: number;
  /** Set by `cancel` alone while it is in the heap. */
  cancelled: boolean;
}

export class DeadlineHeap<Entry extends HeapEntry> {
  #entries: Entry[] = [];
  #cancelled = 0;

  get first(): Entry | undefined {
    for (;;) {
      const first = this.#entries[0];
      if (first?.cancelled !== true) return first;
      this.#cancelled -= 1;
      this.#removeFirst();
    }
  }

  add(entry: Entry): void {
    const entries = this.#entries;
    let at = entries.push(entry) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.#at(parent).atMs <= entry.atMs) break;
      entries[at] = this.#at(parent);
      at = parent;
    }
    entries[at] = entry;
  }

  /** Takes the first one out. */
  shift(): Entry | undefined {
    const { first } = this;
    if (first !== undefined) this.#removeFirst();
    return first;
  }

  cancel(entry: Entry): void {
    if (entry.cancelled) return;
    entry.cancelled = true;
    this.#cancelled += 1;
    if (this.#cancelled < MAX_CANCELLED || this.#cancelled * 2 < this.#entries.length) return;
    const live = this.#entries.filter((one) => !one.cancelled);
    this.#entries = [];
    this.#cancelled = 0;
    for (const one of live) this.add(one);
  }

  #at(index: number): Entry {
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
