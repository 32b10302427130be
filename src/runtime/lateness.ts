/** How late deadlines were handled: a histogram with fixed bounds, cheap enough for every deadline. */

/** Upper bounds in milliseconds; the last bucket is open. */
const BOUNDS_MS: readonly number[] = [0.5, 1, 2, 3, 5, 7, 10, 15, 20, 30, 50, 100, 200, 500, 1000];

export interface LatenessSummary {
  readonly count: number;
  readonly max_ms: number;
  /** Upper bound of the bucket in which the 99th percentile lies; the maximum when that is the last. */
  readonly p99_ms: number;
  /** How many were more than 20 ms late. */
  readonly over_20_ms: number;
}

export class Lateness {
  readonly #buckets = [...BOUNDS_MS, Number.POSITIVE_INFINITY].map(() => 0);
  #count = 0;
  #maxMs = 0;

  record(lateMs: number): void {
    this.#count += 1;
    if (lateMs > this.#maxMs) this.#maxMs = lateMs;
    let bucket = 0;
    while (bucket < BOUNDS_MS.length && lateMs > (BOUNDS_MS[bucket] ?? 0)) bucket += 1;
    this.#buckets[bucket] = (this.#buckets[bucket] ?? 0) + 1;
  }

  summary(): LatenessSummary {
    const over = this.#buckets.slice(BOUNDS_MS.indexOf(20) + 1).reduce((sum, n) => sum + n, 0);
    return {
      count: this.#count,
      max_ms: Math.round(this.#maxMs * 100) / 100,
      p99_ms: this.#percentile(0.99),
      over_20_ms: over,
    };
  }

  #percentile(share: number): number {
    let seen = 0;
    for (const [bucket, n] of this.#buckets.entries()) {
      seen += n;
      if (seen >= this.#count * share) return BOUNDS_MS[bucket] ?? Math.round(this.#maxMs * 100) / 100;
    }
    return 0;
  }
}
