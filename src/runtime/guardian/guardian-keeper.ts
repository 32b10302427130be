/** Keeps the guardian informed: of every address before it comes and until it is gone. */
import type { VrrpInstance } from '../../config/model.js';
import { advertisementPackets } from '../advertisement-packets.js';
import type { Clock, Guardian, GuardianOrders, Log } from '../ports.js';
import { GuardianLease, NO_ORDERS } from './guardian-lease.js';
import { guardianOrders, type Holdings } from './guardian-orders.js';

/** Orders for so many groups are made in less time than a turn of the event loop may take. */
export const FEW_GROUPS = 16;
/** In which the guardian's word comes at the latest, after this process saw for itself that its lease was over. */
const GUARDIAN_ANSWER_MS = 1000;

/** An instance as the guardian needs to know it. */
export interface GuardedInstance {
  readonly config: VrrpInstance;
  readonly source: string;
  /** Where its advertisements go; empty while it cannot speak. */
  readonly destinations: readonly string[];
  /** Those of one group become master together. */
  readonly group: object;
  /** Whether the kernel may have an address of it. */
  readonly holds: boolean;
  /** What the kernel may have beside what the settings say: it is told to go. */
  readonly leaving: Holdings | undefined;
  /** After so long without a sign of this director another one takes its place (BFD); undefined: by the advertisements alone. */
  readonly watchedMs: number | undefined;
}

export interface GuardianKeeperPorts {
  readonly clock: Clock;
  readonly guardian: Guardian;
  readonly log: Log;
  instances(): readonly GuardedInstance[];
  /** Other orders than before are in force. */
  onArmed(): void;
  /** The farewells are said and the addresses gone: this process stood still for too long. */
  onWithdrawn(): void;
}

export class GuardianKeeper {
  readonly #ports: GuardianKeeperPorts;
  readonly #lease: GuardianLease;
  /** Orders that may be armed next, by the names of the instances in them. */
  readonly #prepared = new Map<string, GuardianOrders>();
  /** While the orders are to be made anew. */
  #armed: Promise<void> | undefined;
  #cancelOrders: () => void = () => {};
  /** Until then the guardian's word that it acted is no news. */
  #knownUntilMs = Number.NEGATIVE_INFINITY;

  constructor(ports: GuardianKeeperPorts) {
    this.#ports = ports;
    this.#lease = new GuardianLease(ports.guardian, ports.clock, (stoodMs) => this.#overdue(stoodMs));
  }

  /** A role or settings changed: orders are made when the changes of this moment are over, for many groups change together. */
  changed(): void {
    const { clock } = this.#ports;
    this.#armed ??= new Promise((resolve) => {
      this.#cancelOrders = clock.at(clock.nowMs(), () => {
        this.#arm();
        resolve();
      });
    });
  }

  /** Before an address comes: undefined when its orders are given. A few groups do not wait for others. */
  guarded(): Promise<void> | undefined {
    if (this.#armed === undefined) return undefined;
    const groups = new Set(this.#ports.instances().map(({ group }) => group));
    if (groups.size > FEW_GROUPS) return this.#armed;
    this.#cancelOrders();
    this.#arm();
    return undefined;
  }

  /** Orders for those that hold addresses by now, whatever else changes in this moment. */
  armNow(): void {
    this.#order(this.#holding());
  }

  /**
   * Orders for those that hold addresses and for a group that is about to. If that holds none after all, `changed` takes
   * them back.
   */
  armAhead(group: object): void {
    this.#order(this.#ports.instances().filter((one) => one.holds || one.group === group));
  }

  /** Makes ready what may be armed next: orders for one group more than hold addresses now, and for all. */
  prepare(): void {
    const { guardian } = this.#ports;
    // One that cannot speak does not become master.
    const all = this.#ports.instances().filter(({ holds, destinations }) => holds || destinations.length > 0);
    for (const group of [undefined, ...new Set(all.map(({ group }) => group))]) {
      const next = all.filter((one) => group === undefined || one.group === group || one.holds);
      if (next.every(({ holds }) => holds)) continue;
      const orders = ordersFor(next);
      guardian.prepare(orders);
      this.#prepared.set(namesOf(next), orders);
    }
  }

  /** What was made ready holds no more. */
  forgetPrepared(): void {
    this.#prepared.clear();
  }

  /** Looks whether this process stood still past its lease; before it speaks or believes what it hears. */
  check(): void {
    this.#lease.check();
  }

  /** The guardian says that it acted. */
  acted(): void {
    // Known already: what became master since then has nothing to do with it.
    if (this.#ports.clock.nowMs() < this.#knownUntilMs) return;
    this.#withdrawn();
  }

  /** Leaves in good order. */
  disarm(): void {
    this.#cancelOrders();
    this.#lease.disarm();
  }

  #overdue(stoodMs: number): void {
    const { clock, log } = this.#ports;
    log.error({ event: 'stalled', stoodMs }, `this process stood still for ${Math.round(stoodMs)} ms`);
    this.#knownUntilMs = clock.nowMs() + GUARDIAN_ANSWER_MS;
    this.#withdrawn();
  }

  #withdrawn(): void {
    this.#lease.spent();
    this.#ports.onWithdrawn();
  }

  #arm(): void {
    this.#armed = undefined;
    this.armNow();
    this.#ports.onArmed();
  }

  #order(instances: readonly GuardedInstance[]): void {
    const isSettled = instances.every(({ leaving }) => leaving === undefined);
    const prepared = isSettled ? this.#prepared.get(namesOf(instances)) : undefined;
    this.#lease.arm(prepared ?? ordersFor(instances));
  }

  #holding(): readonly GuardedInstance[] {
    return this.#ports.instances().filter(({ holds }) => holds);
  }
}

function namesOf(instances: readonly GuardedInstance[]): string {
  return instances.map(({ config }) => config.name).join('\n');
}

function ordersFor(instances: readonly GuardedInstance[]): GuardianOrders {
  if (instances.length === 0) return NO_ORDERS;
  return guardianOrders(
    instances.map(({ config, source, destinations, leaving, watchedMs }) => ({
      config,
      leaving,
      source,
      watchedMs,
      packets: advertisementPackets(config, 0, { source, destinations }),
    })),
  );
}
