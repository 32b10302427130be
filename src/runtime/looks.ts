/** Looks again and again at what others may change. */
import type { Clock } from './ports.js';

/** From the end of one look to the next. `systemctl restart nftables` and `sysctl --system` are told of by nobody. */
export const LOOK_MS = 5000;

export class Looks {
  readonly #clock: Clock;
  readonly #look: () => Promise<void>;
  #run = 0;
  #cancel: () => void = () => {};

  /** `look` does not reject. */
  constructor(clock: Clock, look: () => Promise<void>) {
    this.#clock = clock;
    this.#look = look;
  }

  /** The first one is LOOK_MS from now. */
  start(): void {
    this.stop();
    const run = this.#run;
    const soon = (): void => {
      if (run !== this.#run) return;
      this.#cancel = this.#clock.at(this.#clock.nowMs() + LOOK_MS, () => void this.#look().then(soon));
    };
    soon();
  }

  /** None begins any more. */
  stop(): void {
    this.#run += 1;
    this.#cancel();
  }
}
