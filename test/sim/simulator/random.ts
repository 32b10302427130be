/** Seeded random numbers: the same seed gives the same run on every machine. */

const TWO_TO_32 = 4_294_967_296;
/** Rounds after which the generator has forgotten how plain its seed was. */
const WARM_UP_ROUNDS = 12;

/** sfc32 by Chris Doty-Humphrey: 128 bits of state, fast, passes PractRand. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #counter = 1;

  /** @param seed any whole number @param stream sets apart generators of one seed */
  constructor(seed: number, stream = 0) {
    this.#a = seed | 0;
    this.#b = Math.floor(seed / TWO_TO_32) | 0;
    this.#c = stream | 0;
    for (let i = 0; i < WARM_UP_ROUNDS; i += 1) this.#next();
  }

  #next(): number {
    const result = (((this.#a + this.#b) | 0) + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + result) | 0;
    return result >>> 0;
  }

  /** At least 0, below 1. */
  unit(): number {
    return this.#next() / TWO_TO_32;
  }

  /** At least `low`, below `high`. */
  between(low: number, high: number): number {
    return low + this.unit() * (high - low);
  }

  /** A whole number from `low` to `high`, both included. */
  whole(low: number, high: number): number {
    return low + Math.floor(this.unit() * (high - low + 1));
  }

  /** Like `between`, every order of magnitude as likely as the next; `low` is above 0. */
  magnitude(low: number, high: number): number {
    return low * (high / low) ** this.unit();
  }

  chance(probability: number): boolean {
    return this.unit() < probability;
  }

  pick<T>(choices: readonly [T, ...T[]]): T {
    return choices[this.whole(0, choices.length - 1)] ?? choices[0];
  }

  /** Each choice as often as its weight says. */
  weighted<T>(choices: readonly [readonly [number, T], ...(readonly [number, T])[]]): T {
    let at = this.unit() * choices.reduce((sum, [weight]) => sum + weight, 0);
    for (const [weight, choice] of choices) {
      at -= weight;
      if (at < 0) return choice;
    }
    return choices[0][1];
  }
}
