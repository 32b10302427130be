/** Keeps the source translation of `fullnat` and `masquerade` in the kernel: desired state like the table, compared and put back. */

import type { DirectorConfig } from '../../../config/model.js';
import { SOURCE_NAT_REMOVAL, SOURCE_NAT_TABLE, sourceNatRuleset } from '../../../planning/source-nat.js';
import { messageOf } from '../../../util/error-message.js';
import { workInTurn } from '../../../util/in-turn.js';
import { Looks } from '../../looks.js';
import type { Clock, Log, Nft } from '../../ports.js';

export interface SourceNatKeeperPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly nft: Nft;
  /** Remembers that there is a table of ours, across a crash of this process. */
  save(made: boolean): Promise<void>;
}

export class SourceNatKeeper {
  readonly #ports: SourceNatKeeperPorts;
  readonly #inTurn = workInTurn();
  #made: boolean;
  #wanted: string | undefined;
  /** What nft printed of the table when we had made it. */
  #known: string | undefined;
  #fault: string | undefined;
  readonly #looks: Looks;

  constructor(made: boolean, ports: SourceNatKeeperPorts) {
    this.#made = made;
    this.#ports = ports;
    this.#looks = new Looks(ports.clock, () => this.#inTurn(() => this.#look()));
  }

  /** Why it is not in force, by the words of nft; undefined: it is, or nothing is wanted. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Resolves when it is in force, or was told why not: that is tried again. */
  async apply(config: Pick<DirectorConfig, 'virtualServers' | 'masquerades'>): Promise<void> {
    const wanted = sourceNatRuleset(config);
    if (wanted === this.#wanted && (wanted !== undefined || !this.#made)) return;
    this.#wanted = wanted;
    await this.#inTurn(() => this.#bring());
  }

  /** Takes the table away, also one that an earlier process left. @throws what nft says */
  async restore(): Promise<void> {
    this.#looks.stop();
    await this.#inTurn(async () => {
      this.#wanted = undefined;
      this.#looks.stop();
      await this.#set();
    });
  }

  async #bring(): Promise<void> {
    const { log } = this.#ports;
    try {
      await this.#set();
      if (this.#fault !== undefined) log.info({ event: 'source-nat' }, 'the source translation is in force');
      this.#fault = undefined;
    } catch (error) {
      const words = messageOf(error);
      if (words !== this.#fault)
        log.error({ event: 'source-nat', err: error }, `${words}; it is tried again`);
      this.#fault = words;
    }
    if (this.#wanted === undefined && this.#fault === undefined) this.#looks.stop();
    else this.#looks.start();
  }

  async #set(): Promise<void> {
    const { nft } = this.#ports;
    if (this.#wanted === undefined) {
      this.#known = undefined;
      if (!this.#made) return;
      await nft.set(SOURCE_NAT_REMOVAL);
      return this.#remember(false);
    }
    // Before there is one: a crash in between must not leave it for ever.
    await this.#remember(true);
    await nft.set(this.#wanted);
    this.#known = await nft.list(SOURCE_NAT_TABLE);
  }

  async #look(): Promise<void> {
    const { log, nft } = this.#ports;
    // Not beside a stop.
    if (this.#wanted === undefined && !this.#made) return;
    const found =
      this.#fault === undefined ? await nft.list(SOURCE_NAT_TABLE).catch(() => undefined) : undefined;
    if (this.#fault === undefined && found === this.#known) return;
    if (this.#fault === undefined)
      log.warn({ event: 'source-nat' }, `somebody changed the table ${SOURCE_NAT_TABLE}: repaired`);
    await this.#bring();
  }

  async #remember(made: boolean): Promise<void> {
    if (made === this.#made) return;
    this.#made = made;
    await this.#ports.save(made);
  }
}
