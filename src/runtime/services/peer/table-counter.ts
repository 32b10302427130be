/** How many connections the kernel holds: counted at a pace that its table's size sets. */
import type { TableNumbers } from '../../../ipvs/count.js';
import type { Clock } from '../../ports.js';

const PAUSE_MS = 2000;
/** Between the beginnings of two counts, whoever asks for them. */
const LEAST_PAUSE_MS = 500;
/** Thousands of virtual servers take the kernel and this process time: not more than a twentieth of it. */
const REST_FACTOR = 20;
/** The quickest of so many counts says what one costs: the others have waited for a processor that was busy elsewhere. */
const COUNTS = 4;
/** The kernel gathers for up to three seconds what it tells a peer, who then has to count. */
const FRESH_MS = 5000;

export interface Count extends Omit<TableNumbers, 'made'> {
  /** Connections that came in the `FRESH_MS` before, or since the count before that. */
  readonly fresh: number;
  /** When the kernel was asked, CLOCK_MONOTONIC. */
  readonly atMs: number;
}

export class TableCounter {
  readonly #clock: Clock;
  readonly #read: () => Promise<TableNumbers>;
  readonly #counted: () => void;
  #last: Count | undefined;
  /** Connections ever made, by the last counts, the oldest of which is `FRESH_MS` old if any is. */
  #made: readonly { readonly made: number; readonly atMs: number }[] = [];
  /** Of the last counts. */
  #tookMs: readonly number[] = [];
  #cancel: () => void = () => {};
  #begunMs = Number.NEGATIVE_INFINITY;
  #isCounting = false;
  #isOn = false;

  /** `counted` is called after each count, also after one that failed. */
  constructor(clock: Clock, read: () => Promise<TableNumbers>, counted: () => void) {
    this.#clock = clock;
    this.#read = read;
    this.#counted = counted;
  }

  /** Undefined while the kernel does not tell. */
  get last(): Count | undefined {
    return this.#last;
  }

  /** Whether there is a table to count. */
  turn(on: boolean): void {
    if (on === this.#isOn) return;
    this.#isOn = on;
    this.#cancel();
    this.#last = undefined;
    this.#made = [];
    if (on) void this.#count();
  }

  /** Somebody waits for it. Where one is under way or has just been made, it is for him to ask again. */
  countNow(): void {
    const isSoon = this.#clock.nowMs() < this.#begunMs + LEAST_PAUSE_MS;
    if (!this.#isOn || this.#isCounting || isSoon) return;
    this.#cancel();
    void this.#count();
  }

  #take({ connections, lasting, established, made }: TableNumbers, atMs: number): Count {
    const oldest = this.#made.findLastIndex((count) => count.atMs <= atMs - FRESH_MS);
    const counts = this.#made.slice(Math.max(0, oldest));
    this.#made = [...counts, { made, atMs }];
    // Of the first count all may have come just now. A number that falls has lost a virtual server.
    const fresh = counts[0] === undefined ? established : Math.max(0, made - counts[0].made);
    return { connections, lasting, established, fresh, atMs };
  }

  async #count(): Promise<void> {
    const atMs = this.#clock.nowMs();
    this.#begunMs = atMs;
    this.#isCounting = true;
    try {
      this.#last = this.#take(await this.#read(), atMs);
    } catch {
      // Whoever keeps the table tells of it.
      this.#last = undefined;
    }
    this.#isCounting = false;
    if (!this.#isOn) return;
    const nowMs = this.#clock.nowMs();
    this.#tookMs = [...this.#tookMs, nowMs - atMs].slice(-COUNTS);
    const costMs = this.#tookMs.length < COUNTS ? 0 : Math.min(...this.#tookMs);
    this.#cancel();
    this.#cancel = this.#clock.at(nowMs + Math.max(PAUSE_MS, REST_FACTOR * costMs), () => {
      void this.#count();
    });
    this.#counted();
  }
}
