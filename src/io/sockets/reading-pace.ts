/** How fast a socket is read that anybody can fill. Pure but for its memory. */

export interface ReadingPaceOptions {
  readonly nowMs: () => number;
  /** Messages in a second, over any longer time. */
  readonly perSecond: number;
  /** Messages that may be read at once, give or take one batch. */
  readonly burst: number;
  /** How long the socket is left alone when that is used up, in milliseconds. */
  readonly restMs: number;
}

export class ReadingPace {
  readonly restMs: number;
  readonly #options: ReadingPaceOptions;
  #perSecond: number;
  #left: number;
  #atMs: number;

  constructor(options: ReadingPaceOptions) {
    this.#options = options;
    this.#perSecond = options.perSecond;
    this.restMs = options.restMs;
    this.#left = options.burst;
    this.#atMs = options.nowMs();
  }

  setRate(perSecond: number): void {
    this.#perSecond = perSecond;
  }

  /** Whether nothing may be read now. */
  isSpent(): boolean {
    const { nowMs, burst } = this.#options;
    const now = nowMs();
    this.#left = Math.min(burst, this.#left + ((now - this.#atMs) / 1000) * this.#perSecond);
    this.#atMs = now;
    return this.#left < 1;
  }

  spend(count: number): void {
    this.#left -= count;
  }
}
