/**
 * No connection is too young for a change of master: the one that was master tells the peer of its youngest, when it has just let go,
 * and the one that is master now drops what it does not know yet instead of resetting it (planning/hand-over.ts).
 */

import type { DirectorConfig } from '../../config/model.js';
import {
  gateElements,
  HAND_OVER_REMOVAL,
  HAND_OVER_TABLE,
  type HandOverPlan,
  handOverRuleset,
  planHandOver,
} from '../../planning/hand-over.js';
import { messageOf } from '../../util/error-message.js';
import { workInTurn } from '../../util/in-turn.js';
import { canonicalAddress } from '../../util/ip-address.js';
import { Looks } from '../looks.js';
import type { Clock, Log, Nft, NftSets } from '../ports.js';
import { ClosedSweep, type ClosedSweepPorts } from './closed-sweep.js';
import type { ServicesPart } from './services.js';
import type { Roles } from './services-messages.js';

/** After it has become master: by then the predecessor's kernel has told of everything, and a dropped packet is repeated. */
export const WAIT_MS = 5000;
/** After the role is gone, once more: the last packets may still have come here. */
export const AGAIN_MS = 300;
/** After this it is said no more: the successor's kernel knows better, and what is old here may be new there. */
export const TELL_LIMIT_MS = 3000;

const NOTHING: HandOverPlan = new Map();

export interface HandOverPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly nft: Nft;
  readonly nftSets: NftSets;
  /**
   * Sends the connections that the kernel may not have told of to the sync group; resolves with how many. Stops after `limitMs`.
   * Rejects with what the kernel says.
   */
  readonly tellYoung: (limitMs: number) => Promise<number>;
  /** Makes the kernel forget closed connections of these virtual addresses (io/sync/forget.ts). */
  readonly forgetClosed: ClosedSweepPorts['forgetClosed'];
  /** This host's, canonical; those of instances among them. */
  readonly ownAddresses: () => readonly string[];
}

export class HandOver implements ServicesPart {
  readonly what = `the table ${HAND_OVER_TABLE}`;
  readonly #ports: HandOverPorts;
  readonly #inTurn = workInTurn();
  readonly #inTurnToTell = workInTurn();
  #config: Pick<DirectorConfig, 'instances' | 'virtualServers' | 'connectionSync'> | undefined;
  /** Since when this host is master, by name of the instance. */
  #masterSince = new Map<string, number>();
  /** What an earlier process left is seen to. */
  #begun = false;
  #plan = NOTHING;
  /** What is in the kernel, but for what the gates have in them; undefined: nothing. */
  #inForce: string | undefined;
  #complaint: string | undefined;
  #rehearsed = false;
  /** Instances of which this host is known not to be master. */
  #others: ReadonlySet<string> = new Set();
  readonly #cancels = new Set<() => void>();

  readonly #sweep: ClosedSweep;
  readonly #looks: Looks;

  constructor(ports: HandOverPorts) {
    this.#ports = ports;
    const { clock, log, forgetClosed } = ports;
    this.#sweep = new ClosedSweep({ clock, log, forgetClosed, backupOf: () => this.#backupOf() });
    this.#looks = new Looks(clock, () => this.#look());
  }

  configure(config: DirectorConfig): Promise<void> {
    const isFirst = this.#config === undefined;
    this.#config = config;
    if (config.connectionSync !== undefined && !this.#rehearsed) {
      this.#rehearsed = true;
      // What it needs is loaded and compiled while there is time. With no time given nothing is told.
      void this.#ports.tellYoung(0).catch(() => undefined);
    }
    if (isFirst) this.#looks.start();
    return this.#apply();
  }

  roles(roles: Roles): void {
    const { clock } = this.#ports;
    const before = this.#masterSince;
    const masters = Object.keys(roles).filter((name) => roles[name]?.state === 'master');
    this.#masterSince = new Map(masters.map((name) => [name, before.get(name) ?? clock.nowMs()]));
    const gained = masters.filter((name) => !before.has(name));
    const lost = [...before.keys()].filter((name) => !this.#masterSince.has(name));
    // First: the role may come back soon, and its addresses do not wait for this process.
    if (gained.length + lost.length > 0) void this.#setGates([...gained, ...lost]);
    const hadNone = this.#others.size === 0;
    this.#others = new Set(Object.keys(roles).filter((name) => roles[name]?.state !== 'master'));
    if (gained.length > 0 || (hadNone && lost.length === 0)) this.#sweep.begin();
    if (lost.length === 0) return;
    const untilMs = clock.nowMs() + TELL_LIMIT_MS;
    void this.#tell(untilMs);
    this.#in(AGAIN_MS, () => void this.#tell(untilMs).then(() => this.#sweep.begin()));
  }

  /** Twice: the last packets may still come here while the first time goes on. */
  async succeeded(): Promise<void> {
    const untilMs = this.#ports.clock.nowMs() + TELL_LIMIT_MS;
    await this.#tell(untilMs);
    await this.#tell(untilMs);
  }

  event(): void {}

  healthChanged(): void {}

  async close(): Promise<void> {
    for (const cancel of this.#cancels) cancel();
    this.#looks.stop();
    this.#sweep.end();
    this.#config = undefined;
    await this.#apply();
  }

  #in(ms: number, action: () => void): void {
    const { clock } = this.#ports;
    const cancel = clock.at(clock.nowMs() + ms, () => {
      this.#cancels.delete(cancel);
      action();
    });
    this.#cancels.add(cancel);
  }

  #tell(untilMs: number): Promise<void> {
    return this.#inTurnToTell(async () => {
      const { clock, log, tellYoung } = this.#ports;
      if (this.#config?.connectionSync === undefined) return;
      const limitMs = untilMs - clock.nowMs();
      if (limitMs <= 0) return;
      try {
        const connections = await tellYoung(limitMs);
        log.info(
          { event: 'hand-over', connections },
          `the peer was told of the ${connections} youngest connections`,
        );
      } catch (error) {
        const words = `the youngest connections could not be told to the peer: ${messageOf(error)}`;
        log.warn({ event: 'hand-over', err: error }, words);
      }
    });
  }

  /** Never rejects: a director without it does what it did without it. */
  #apply(): Promise<void> {
    return this.#inTurn(async () => {
      const { log, nft } = this.#ports;
      const plan = this.#planned();
      // As if nobody waited: what the gates have in them changes by itself.
      const wanted = handOverRuleset(plan, () => 0);
      try {
        if (!this.#begun && wanted === undefined && (await nft.list(HAND_OVER_TABLE)) !== undefined)
          await nft.set(HAND_OVER_REMOVAL);
        this.#begun = true;
        if (wanted === this.#inForce) return;
        await nft.set(handOverRuleset(plan, this.#waits) ?? HAND_OVER_REMOVAL);
        this.#inForce = wanted;
        this.#plan = plan;
        this.#complaint = undefined;
      } catch (error) {
        // Without nft there is nothing of ours in it either.
        const words = messageOf(error);
        if (wanted !== undefined && words !== this.#complaint)
          log.warn(
            { event: 'hand-over', err: error },
            `${words}; connections that are younger than two seconds may be reset when the master changes`,
          );
        this.#complaint = words;
      }
    });
  }

  /** By instance. Never rejects. */
  #setGates(instances: readonly string[]): Promise<void> {
    return this.#orAnew(async () => {
      const elements = gateElements(this.#plan, instances, this.#waits);
      if (elements.length > 0) await this.#ports.nftSets.change(elements);
    });
  }

  #look(): Promise<void> {
    const [gate] = gateElements(this.#plan, this.#plan.keys(), this.#waits);
    return this.#orAnew(async () => {
      if (gate !== undefined) await this.#ports.nftSets.find(gate.table, gate.set);
    });
  }

  /** Makes the whole table anew where the kernel refuses: somebody took it away. */
  async #orAnew(work: () => Promise<void>): Promise<void> {
    try {
      await this.#inTurn(async () => {
        if (this.#inForce !== undefined) await work();
      });
    } catch (error) {
      const words = `the table ${HAND_OVER_TABLE} is made anew: ${messageOf(error)}`;
      this.#ports.log.warn({ event: 'hand-over', err: error }, words);
      this.#inForce = undefined;
      await this.#apply();
    }
  }

  readonly #waits = (instance: string): number => {
    const sinceMs = this.#masterSince.get(instance);
    return sinceMs === undefined
      ? Number.POSITIVE_INFINITY
      : Math.max(0, sinceMs + WAIT_MS - this.#ports.clock.nowMs());
  };

  #backupOf(): ReadonlySet<string> {
    const { connectionSync, instances = [] } = this.#config ?? {};
    if (connectionSync === undefined) return new Set();
    const others = instances.filter(({ name }) => this.#others.has(name));
    return new Set(
      others.flatMap(({ addresses }) => addresses.map(({ address }) => canonicalAddress(address))),
    );
  }

  #planned(): HandOverPlan {
    if (this.#config?.connectionSync === undefined) return NOTHING;
    const { instances, virtualServers } = this.#config;
    return planHandOver(instances, virtualServers, new Set(this.#ports.ownAddresses()));
  }
}
