/** Undoes what others do, at a pace that does not make a contest of it. */
import type { Clock, Log } from '../../ports.js';

/** From one look to the next, whatever was found: what is removed and put back by others in a loop is looked at so often. */
export const LOOK_PAUSE_MS = 20;
/** Wait after the second time in a row that something had to be undone; doubles from one time to the next. */
export const FIRST_WAIT_MS = 100;
export const LAST_WAIT_MS = 2000;
/** Nothing had to be undone for so long: the next time there is no wait. */
export const QUIET_MS = 30_000;
/** What cannot be undone is tried again after so long, and given up when that has lasted. */
export const RETRY_MS = 500;
export const GIVE_UP_MS = 5000;
/** A place that somebody else has taken is looked at again after so long; there is mostly an event before. */
export const TAKEN_RETRY_MS = 10_000;

export interface RestorerPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** Of its lines. */
  readonly event: string;
  /** What was done, for the log. */
  readonly words: (what: string) => string;
  /**
   * Compares what an instance ought to have with the kernel and mends that; resolves with what it mended, as ip(8) writes it. Called
   * for one instance at a time.
   */
  restore(instance: string): Promise<readonly string[]>;
  /** It could not be mended for GIVE_UP_MS. */
  onGivenUp(instance: string, error: Error): void;
}

interface Watched {
  /** Something may be missing that no look has covered yet. */
  lost: boolean;
  busy: boolean;
  /** Times in a row that something was to be mended. */
  times: number;
  lastMs: number;
  notBeforeMs: number;
  failingSinceMs: number | undefined;
  /** Why something is missing all the time. */
  trouble: string | undefined;
  cancel: () => void;
}

export class Restorer {
  readonly #ports: RestorerPorts;
  readonly #watched = new Map<string, Watched>();

  constructor(ports: RestorerPorts) {
    this.#ports = ports;
  }

  /** Something is not as an instance ought to have it, or may not be. */
  lost(instance: string): void {
    const watched = this.#of(instance);
    watched.lost = true;
    this.#soon(instance, watched);
  }

  /** It could not be added for now, though the instance goes on: `error` says why. */
  missing(instance: string, error: Error): void {
    this.#troubled(instance, this.#of(instance), error);
  }

  /** Nothing of it is to be mended any more. */
  forget(instance: string): void {
    this.#watched.get(instance)?.cancel();
    this.#watched.delete(instance);
  }

  /** Whether something may be wrong that it has not mended yet. */
  isAtWork(instance: string): boolean {
    const watched = this.#watched.get(instance);
    return watched !== undefined && (watched.busy || watched.lost || watched.trouble !== undefined);
  }

  /** Why something is not as an instance ought to have it; undefined when all is. */
  troubleOf(instance: string): string | undefined {
    return this.#watched.get(instance)?.trouble;
  }

  #of(instance: string): Watched {
    let watched = this.#watched.get(instance);
    if (watched === undefined) {
      watched = {
        lost: false,
        busy: false,
        times: 0,
        lastMs: Number.NEGATIVE_INFINITY,
        notBeforeMs: Number.NEGATIVE_INFINITY,
        failingSinceMs: undefined,
        trouble: undefined,
        cancel: () => {},
      };
      this.#watched.set(instance, watched);
    }
    return watched;
  }

  #soon(instance: string, watched: Watched): void {
    if (watched.busy) return;
    const { clock } = this.#ports;
    watched.cancel();
    if (watched.notBeforeMs <= clock.nowMs()) void this.#restore(instance, watched);
    else watched.cancel = clock.at(watched.notBeforeMs, () => void this.#restore(instance, watched));
  }

  async #restore(instance: string, watched: Watched): Promise<void> {
    watched.busy = true;
    watched.lost = false;
    try {
      const restored = await this.#ports.restore(instance);
      watched.failingSinceMs = undefined;
      watched.trouble = undefined;
      if (restored.length > 0) this.#restored(instance, watched, restored);
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error;
      this.#troubled(instance, watched, error);
    } finally {
      watched.busy = false;
      watched.notBeforeMs = Math.max(watched.notBeforeMs, this.#ports.clock.nowMs() + LOOK_PAUSE_MS);
    }
    if (watched.lost && this.#watched.get(instance) === watched) this.#soon(instance, watched);
  }

  #restored(instance: string, watched: Watched, what: readonly string[]): void {
    const { clock, log, event, words } = this.#ports;
    const now = clock.nowMs();
    watched.times = now - watched.lastMs > QUIET_MS ? 1 : watched.times + 1;
    watched.lastMs = now;
    const waitMs = watched.times < 2 ? 0 : Math.min(LAST_WAIT_MS, FIRST_WAIT_MS * 2 ** (watched.times - 2));
    watched.notBeforeMs = now + waitMs;
    // A rival who goes on for ever is told of less and less.
    if (!Number.isInteger(Math.log2(watched.times))) return;
    const again =
      watched.times === 1 ? '' : ` (${watched.times} times in a row: waiting ${waitMs} ms next time)`;
    log.warn(
      { event, instance, what, times: watched.times },
      `${instance}: ${words(what.join(', '))}${again}`,
    );
  }

  #troubled(instance: string, watched: Watched, error: Error): void {
    const { clock, log } = this.#ports;
    const now = clock.nowMs();
    const isTaken = 'code' in error && error.code === 'ERR_FOREIGN_ROUTE';
    if (error.message !== watched.trouble) {
      watched.trouble = error.message;
      log.warn({ event: 'missing', instance, err: error }, `${instance}: ${error.message}`);
    }
    watched.failingSinceMs = isTaken ? undefined : (watched.failingSinceMs ?? now);
    if (watched.failingSinceMs !== undefined && now - watched.failingSinceMs >= GIVE_UP_MS) {
      watched.failingSinceMs = undefined;
      return this.#ports.onGivenUp(instance, error);
    }
    watched.cancel();
    // An event may be the reason for a try before that.
    watched.notBeforeMs = now + FIRST_WAIT_MS;
    const retry = () => {
      if (!watched.busy) void this.#restore(instance, watched);
    };
    watched.cancel = clock.at(now + (isTaken ? TAKEN_RETRY_MS : RETRY_MS), retry);
  }
}
