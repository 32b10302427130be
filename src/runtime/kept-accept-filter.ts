/** An accept filter that comes back when somebody takes it away: `systemctl restart nftables` flushes all rules. */
import { workInTurn } from '../util/in-turn.js';
import { Looks } from './looks.js';
import type { AcceptFilter, Clock, Log } from './ports.js';
import { RepairPace } from './repair-pace.js';

export interface KeptAcceptFilterPorts {
  readonly filter: AcceptFilter;
  /** Resolves where the kernel has it, rejects with what the kernel says. It takes no program. */
  readonly find: () => Promise<void>;
  readonly clock: Clock;
  readonly log: Log;
}

export class KeptAcceptFilter implements AcceptFilter {
  readonly #ports: KeptAcceptFilterPorts;
  readonly #inTurn = workInTurn();
  readonly #pace = new RepairPace();
  readonly #looks: Looks;
  /** What is kept. */
  #addresses: readonly string[] = [];

  constructor(ports: KeptAcceptFilterPorts) {
    this.#ports = ports;
    this.#looks = new Looks(ports.clock, () => this.#inTurn(() => this.#look()));
  }

  /** Rejects as the filter does, and then keeps none until the next call. */
  drop(addresses: readonly string[]): Promise<void> {
    return this.#inTurn(async () => {
      this.#looks.stop();
      this.#addresses = [];
      await this.#ports.filter.drop(addresses);
      this.#addresses = addresses;
      if (addresses.length > 0) this.#looks.start();
    });
  }

  async #look(): Promise<void> {
    if (this.#addresses.length === 0) return;
    await this.#ports.find().catch((gone: unknown) => this.#makeAnew(gone));
  }

  async #makeAnew(gone: unknown): Promise<void> {
    const { filter, clock, log } = this.#ports;
    if (!this.#pace.due(clock.nowMs())) return;
    const isNews = this.#pace.made(clock.nowMs());
    try {
      await filter.drop(this.#addresses);
      if (isNews) log.warn({ err: gone }, 'somebody removed the filter of accept_mode: false: made anew');
    } catch (error) {
      if (isNews) log.error({ err: error }, 'the filter of accept_mode: false could not be made anew');
    }
  }
}
