/** Looks at what may hang in the kernel, such as a file of a network file system: libuv's threads are few, and others need them. */

export type BoundedLook<T> =
  | { readonly type: 'done'; readonly value: T }
  /** It did not end in time, or could not begin. */
  | { readonly type: 'late'; readonly reason: string };

interface Waiting {
  begin(): void;
}

/** Those of one `key` that are asked for at the same time are one look. */
export class BoundedLooks<T> {
  readonly #most: number;
  readonly #timeoutMs: number;
  /** Whose callers still wait. */
  readonly #shared = new Map<string, Promise<BoundedLook<T>>>();
  /** Begun and not ended, in time or not. */
  readonly #underWay = new Set<string>();
  readonly #waiting = new Set<Waiting>();

  /** At most `most` threads are held, whatever hangs. */
  constructor(most: number, timeoutMs: number) {
    this.#most = most;
    this.#timeoutMs = timeoutMs;
  }

  /** Rejects when `work` does in time. None begins while an earlier one of its key has not ended. */
  look(key: string, work: () => Promise<T>): Promise<BoundedLook<T>> {
    const shared = this.#shared.get(key);
    if (shared !== undefined) return shared;
    if (this.#underWay.has(key)) return Promise.resolve(late('an earlier look has not come back'));
    const look = this.#look(key, work).finally(() => this.#shared.delete(key));
    this.#shared.set(key, look);
    return look;
  }

  async #look(key: string, work: () => Promise<T>): Promise<BoundedLook<T>> {
    let timer: NodeJS.Timeout | undefined;
    let waiting: Waiting | undefined;
    const ended = new Promise<BoundedLook<T>>((resolve, reject) => {
      waiting = {
        begin: () => {
          this.#underWay.add(key);
          work()
            .then((value) => resolve({ type: 'done', value }), reject)
            .finally(() => {
              this.#underWay.delete(key);
              this.#next();
            });
        },
      };
      this.#waiting.add(waiting);
      this.#next();
    });
    const out = new Promise<BoundedLook<T>>((resolve) => {
      timer = setTimeout(() => {
        const begun = waiting === undefined || !this.#waiting.delete(waiting);
        resolve(
          late(
            begun ? `no answer within ${this.#timeoutMs} ms` : `${this.#most} other looks do not come back`,
          ),
        );
      }, this.#timeoutMs);
    });
    // What comes too late is nobody's error.
    ended.catch(() => undefined);
    try {
      return await Promise.race([ended, out]);
    } finally {
      clearTimeout(timer);
    }
  }

  #next(): void {
    for (const waiting of this.#waiting) {
      if (this.#underWay.size >= this.#most) return;
      this.#waiting.delete(waiting);
      waiting.begin();
    }
  }
}

function late(reason: string): { type: 'late'; reason: string } {
  return { type: 'late', reason };
}
