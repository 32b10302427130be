/** Keeps state in a file whose file system may fail or hang: nobody waits long for it, and the newest state is tried again. */
import type { Clock, Log, StateFile } from './ports.js';

/** How long a caller waits at most, for one attempt that was under way already and for its own. */
export const ATTEMPT_LIMIT_MS = 2000;
/** Wait after an attempt that failed; doubles from one to the next. */
export const FIRST_RETRY_MS = 1000;
export const LAST_RETRY_MS = 30_000;

export interface StateKeeperPorts<State> {
  readonly clock: Clock;
  readonly log: Log;
  readonly file: StateFile<State>;
  /** For the log. */
  readonly name: string;
  /** Of a file that cannot be read. */
  readonly empty: State;
}

/** `undefined`: the file is to go. */
interface Wanted<State> {
  readonly state: State | undefined;
}

/** One operation of the file is under way at a time; of several that wait the newest counts. No promise here rejects. */
export class StateKeeper<State> implements StateFile<State> {
  readonly #ports: StateKeeperPorts<State>;
  #wanted: Wanted<State> | undefined;
  #waiting: (() => void)[] = [];
  /** An operation is under way; `late` once it has taken longer than ATTEMPT_LIMIT_MS. */
  #busy: false | 'in time' | 'late' = false;
  #failures = 0;
  #retryMs = FIRST_RETRY_MS;
  #cancelRetry: () => void = () => {};

  constructor(ports: StateKeeperPorts<State>) {
    this.#ports = ports;
  }

  /** Empty, and told, when it cannot be read in time. To be called before the others. */
  load(): Promise<State> {
    const { file, empty, name, log } = this.#ports;
    return new Promise((resolve) => {
      const without = (err: Error): void => {
        log.warn(
          { event: 'state-file', err },
          `${name} cannot be read (${err.message}): starting without it, so what an earlier run left may stay`,
        );
        resolve(empty);
      };
      void this.#operate(() => file.load().then(resolve), without)
        .catch((error: unknown) => without(toError(error)))
        .finally(() => this.#next());
    });
  }

  /** Resolves when `state` or a newer one is written, or is known not to be for now. */
  save(state: State): Promise<void> {
    return this.#want({ state });
  }

  /** Resolves as `save`. */
  remove(): Promise<void> {
    return this.#want({ state: undefined });
  }

  #want(wanted: Wanted<State>): Promise<void> {
    this.#wanted = wanted;
    if (this.#busy === 'late') return Promise.resolve();
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#next();
    });
  }

  #next(): void {
    const wanted = this.#wanted;
    if (this.#busy !== false || wanted === undefined) return;
    this.#cancelRetry();
    this.#wanted = undefined;
    void this.#attempt(wanted);
  }

  async #attempt(wanted: Wanted<State>): Promise<void> {
    const { file } = this.#ports;
    const { state } = wanted;
    const mine = this.#waiting.splice(0);
    const failed = (error: Error): void => {
      this.#failed(error);
      for (const resolve of [...mine, ...this.#waiting.splice(0)]) resolve();
    };
    try {
      await this.#operate(() => (state === undefined ? file.remove() : file.save(state)), failed);
    } catch (error) {
      this.#wanted ??= wanted;
      failed(toError(error));
      return this.#retryLater();
    }
    this.#succeeded();
    for (const resolve of mine) resolve();
    this.#next();
  }

  /** Rejects as `work` does, however late; `onLate` is called when it takes too long. */
  async #operate(work: () => Promise<void>, onLate: (error: Error) => void): Promise<void> {
    const { clock } = this.#ports;
    this.#busy = 'in time';
    const cancel = clock.at(clock.nowMs() + ATTEMPT_LIMIT_MS, () => {
      this.#busy = 'late';
      onLate(new Error(`no answer within ${ATTEMPT_LIMIT_MS} ms`));
    });
    try {
      await work();
    } finally {
      cancel();
      this.#busy = false;
    }
  }

  #failed(err: Error): void {
    const { name, log } = this.#ports;
    this.#failures += 1;
    if (this.#failures > 1) return;
    log.error(
      { event: 'state-file', err },
      `${name} cannot be written (${err.message}): tried again; a start after a crash would not know all that is left`,
    );
  }

  #succeeded(): void {
    const { name, log } = this.#ports;
    const failures = this.#failures;
    this.#failures = 0;
    this.#retryMs = FIRST_RETRY_MS;
    if (failures === 0) return;
    log.info({ event: 'state-file', failures }, `${name} can be written again, after ${failures} failures`);
  }

  #retryLater(): void {
    const { clock } = this.#ports;
    const waitMs = this.#retryMs;
    this.#retryMs = Math.min(2 * waitMs, LAST_RETRY_MS);
    this.#cancelRetry = clock.at(clock.nowMs() + waitMs, () => this.#next());
  }
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
