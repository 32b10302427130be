/** How late deadlines were handled. */
import { Histogram, type HistogramCounts } from './histogram.js';

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
  readonly #histogram = new Histogram(BOUNDS_MS);
  #maxMs = 0;

  record(lateMs: number): void {
    this.#histogram.record(lateMs);
    if (lateMs > this.#maxMs) this.#maxMs = lateMs;
  }

  /** In milliseconds. */
  counts(): HistogramCounts {
    return this.#histogram.counts();
  }

  summary(): LatenessSummary {
    const { counts } = this.counts();
    return {
      count: total(counts),
      max_ms: Math.round(this.#maxMs * 100) / 100,
      p99_ms: this.#percentile(counts, 0.99),
      over_20_ms: total(counts.slice(BOUNDS_MS.indexOf(20) + 1)),
    };
  }

  #percentile(counts: readonly number[], share: number): number {
    const count = total(counts);
    let seen = 0;
    for (const [bucket, n] of counts.entries()) {
      seen += n;
      if (seen >= count * share) return BOUNDS_MS[bucket] ?? Math.round(this.#maxMs * 100) / 100;
    }
    return 0;
  }
}

function total(counts: readonly number[]): number {
  return counts.reduce((sum, n) => sum + n, 0);
}
