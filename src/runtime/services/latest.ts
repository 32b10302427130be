/** What somebody told last: asked for anew not too often, and waited for not too long. */
import type { Clock } from '../ports.js';

/** Who is asked has so long until the next question. */
export const APART_MS = 1000;
/** And so many times as long as the last answer took, so that he is at it for a fifth of the time at most. */
const REST_FACTOR = 4;
/** One who asks waits so long for a fresh answer, and goes on with the one before. */
export const WAIT_MS = 50;
/** A question that was not answered for so long is asked again. */
export const LOST_MS = 10_000;

export interface Known<T> {
  readonly value: T;
  /** When it came, in the clock's milliseconds, and how long it took. */
  readonly atMs: number;
  readonly tookMs: number;
}

interface Question {
  readonly askedMs: number;
  readonly answered: Promise<void>;
}

export class Latest<T> {
  readonly #clock: Clock;
  readonly #ask: () => Promise<T>;
  #known: Known<T> | undefined;
  #question: Question | undefined;
  #nextMs = Number.NEGATIVE_INFINITY;
  #failures = 0;

  /** A question that is rejected counts as a failure, and leaves what is known. */
  constructor(clock: Clock, ask: () => Promise<T>) {
    this.#clock = clock;
    this.#ask = ask;
  }

  get failures(): number {
    return this.#failures;
  }

  /** Undefined while nothing is known. Never rejects. */
  async get(): Promise<Known<T> | undefined> {
    const nowMs = this.#clock.nowMs();
    const isLost = this.#question !== undefined && nowMs >= this.#question.askedMs + LOST_MS;
    if ((this.#question === undefined && nowMs >= this.#nextMs) || isLost) this.#begin(nowMs);
    if (this.#question !== undefined) await this.#atMost(this.#question.answered, nowMs + WAIT_MS);
    return this.#known;
  }

  #begin(askedMs: number): void {
    const take = (known: Known<T> | undefined): void => {
      if (this.#question !== question) return;
      this.#question = undefined;
      const endedMs = this.#clock.nowMs();
      this.#nextMs = endedMs + Math.max(APART_MS, REST_FACTOR * (endedMs - askedMs));
      if (known === undefined) this.#failures += 1;
      else this.#known = known;
    };
    const answered = this.#ask().then(
      (value) => {
        const atMs = this.#clock.nowMs();
        take({ value, atMs, tookMs: atMs - askedMs });
      },
      () => take(undefined),
    );
    const question = { askedMs, answered };
    this.#question = question;
  }

  async #atMost(promise: Promise<void>, untilMs: number): Promise<void> {
    let cancel = () => {};
    const late = new Promise<void>((resolve) => {
      cancel = this.#clock.at(untilMs, resolve);
    });
    await Promise.race([promise, late]);
    cancel();
  }
}
