/** How fast to undo what others do: at once, but never in a race with a rival who undoes it again. */

/** Repairs in a row that are made at once. */
const AT_ONCE = 3;
/** After so long without one, the next counts as the first. */
const QUIET_MS = 60_000;
const FIRST_PAUSE_MS = 2000;
const MAX_PAUSE_MS = 30_000;

export class RepairPace {
  #inARow = 0;
  #lastMs = -Infinity;

  /** Whether a repair may be made now. */
  due(nowMs: number): boolean {
    return nowMs >= this.#lastMs + this.#pauseMs();
  }

  /** Whether it is to be told of: of a rival who goes on for ever less and less. */
  made(nowMs: number): boolean {
    this.#inARow = nowMs - this.#lastMs >= QUIET_MS ? 1 : this.#inARow + 1;
    this.#lastMs = nowMs;
    return Number.isInteger(Math.log2(this.#inARow));
  }

  #pauseMs(): number {
    if (this.#inARow < AT_ONCE) return 0;
    return Math.min(FIRST_PAUSE_MS * 2 ** (this.#inARow - AT_ONCE), MAX_PAUSE_MS);
  }
}
