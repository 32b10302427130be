/** How many connections the kernel holds: counted at a pace that its table's size sets. */
import type { Clock } from '../../ports.js';

const PAUSE_MS = 2000;
/** Thousands of virtual servers take the kernel and this process time: not more than a twentieth of it. */
const REST_FACTOR = 20;

export class TableCounter {
  readonly #clock: Clock;
  readonly #read: () => Promise<number>;
  readonly #counted: () => void;
  #last: { readonly connections: number; readonly atMs: number } | undefined;
  #cancel: () => void = () => {};
  #isOn = false;

  /** `counted` is called after each count, also after one that failed. */
  constructor(clock: Clock, read: () => Promise<number>, counted: () => void) {
    this.#clock = clock;
    this.#read = read;
    this.#counted = counted;
  }

  /** Undefined while the kernel does not tell. `atMs`: when it was asked. */
  get last(): { readonly connections: number; readonly atMs: number } | undefined {
    return this.#last;
  }

  /** Whether there is a table to count. */
  turn(on: boolean): void {
    if (on === this.#isOn) return;
    this.#isOn = on;
    this.#cancel();
    this.#last = undefined;
    if (on) void this.#count();
  }

  async #count(): Promise<void> {
    const atMs = this.#clock.nowMs();
    try {
      const connections = await this.#read();
      this.#last = { connections, atMs };
    } catch {
      // Whoever keeps the table tells of it.
      this.#last = undefined;
    }
    if (!this.#isOn) return;
    const nowMs = this.#clock.nowMs();
    this.#cancel = this.#clock.at(nowMs + Math.max(PAUSE_MS, REST_FACTOR * (nowMs - atMs)), () => {
      void this.#count();
    });
    this.#counted();
  }
}
