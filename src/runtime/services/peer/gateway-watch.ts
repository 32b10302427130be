/** Whether the gateway answers: what tells a dead peer from a director that is cut off. */
import type { GatewayVerdict } from '../../../peer/hello.js';
import type { Clock } from '../../ports.js';

const PAUSE_MS = 2000;
/** Probes without an answer, one after the other, before it counts as silent. */
const FALL = 3;

export class GatewayWatch {
  readonly #clock: Clock;
  readonly #probe: (address: string) => Promise<boolean | undefined>;
  readonly #changed: () => void;
  #address: string | undefined;
  #verdict: GatewayVerdict = 'unprobed';
  #failures = 0;
  #cancel: () => void = () => {};

  constructor(clock: Clock, probe: (address: string) => Promise<boolean | undefined>, changed: () => void) {
    this.#clock = clock;
    this.#probe = probe;
    this.#changed = changed;
  }

  get verdict(): GatewayVerdict {
    return this.#verdict;
  }

  /** Undefined: none is probed. */
  watch(address: string | undefined): void {
    if (address === this.#address) return;
    this.#cancel();
    this.#address = address;
    this.#failures = 0;
    this.#verdict = 'unprobed';
    if (address !== undefined) void this.#look(address);
  }

  async #look(address: string): Promise<void> {
    const answers = await this.#probe(address);
    if (address !== this.#address) return;
    const before = this.#verdict;
    if (answers === true) {
      this.#failures = 0;
      this.#verdict = 'answers';
    } else if (answers === false) {
      this.#failures += 1;
      if (this.#failures >= FALL) this.#verdict = 'silent';
    }
    this.#cancel = this.#clock.at(this.#clock.nowMs() + PAUSE_MS, () => void this.#look(address));
    if (this.#verdict !== before) this.#changed();
  }
}
