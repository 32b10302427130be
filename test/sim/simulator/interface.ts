/** One interface of a director's host: a device that may be deleted and made again, and the address to speak from. */
export interface Seen {
  /** IFLA_IFINDEX; undefined without a device. */
  readonly index: number | undefined;
  readonly hasSource: boolean;
}

/** A device that is made again gets another one. */
const NEXT_INDEX = 100;

export class Interface implements Seen {
  index: number | undefined;
  hasSource = true;
  /** In the world's time, while there is none. */
  sourceLostMs = 0;
  /** Faults that keep the one and the other away. */
  deletions = 0;
  losses = 0;
  #lastIndex: number;

  constructor(index: number) {
    this.index = index;
    this.#lastIndex = index;
  }

  get seen(): Seen {
    return { index: this.index, hasSource: this.hasSource };
  }

  get isUntouched(): boolean {
    return this.deletions + this.losses === 0 && this.hasSource;
  }

  /** Returns whether there was one. */
  loseSource(nowMs: number): boolean {
    if (!this.hasSource) return false;
    this.hasSource = false;
    this.sourceLostMs = nowMs;
    return true;
  }

  /** Returns whether there is one now that was not there. */
  regainSource(): boolean {
    if (this.hasSource || this.losses > 0 || this.index === undefined) return false;
    this.hasSource = true;
    return true;
  }

  make(): void {
    this.#lastIndex += NEXT_INDEX;
    this.index = this.#lastIndex;
  }
}
