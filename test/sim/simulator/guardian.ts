/**
 * The guardian as native/guardian.c is: armed with bytes, it acts when its pipe closes without a farewell or its lease is
 * over. And the daemon's end of it, as io/processes/guardian.ts.
 */
import type { VirtualAddress } from '../../../src/config/model.js';
import type {
  GuardianFarewell,
  GuardianOrders,
  Guardian as GuardianPort,
} from '../../../src/runtime/ports.js';
import type { Packet } from './packet.js';

/** native/withdrawal.h GRACE_MS. */
const GRACE_MS = 150;
/** The clocks of world and host are reckoned into one another with rounding. */
const ROUNDING_MS = 1e-6;
const NO_ORDERS: GuardianOrders = { farewells: [], holdMs: 0, leaseMs: 0 };

/** Where it runs. */
export interface GuardianHost {
  readonly number: number;
  readonly clockRate: number;
  /** The whole host does. */
  readonly standsStill: boolean;
  /** By its own clock. */
  nowMs(): number;
  worldMs(localMs: number): number;
  guardianActs(guardian: Guardian): void;
  release(addresses: readonly VirtualAddress[]): void;
}

export interface GuardianWorld {
  readonly nowMs: number;
  at(atMs: number, run: () => void): void;
  /** Says a farewell to all its destinations; false: to none. */
  send(host: GuardianHost, farewell: GuardianFarewell): boolean;
  trace(director: number, words: string): void;
  count(what: string): void;
}

export class Guardian {
  readonly #director: GuardianHost;
  readonly #world: GuardianWorld;
  /** Said to the daemon's end before anything else is done. */
  readonly #onActing: () => void;
  #state: 'armed' | 'acting' | 'ended' = 'armed';
  #orders = NO_ORDERS;
  /** In the director's clock. */
  #armedAtMs = 0;
  #looking = false;
  /** Numbers of the farewells whose addresses are kept, each until its successor was heard. */
  readonly #kept = new Set<number>();
  readonly #heard = new Set<number>();

  constructor(director: GuardianHost, world: GuardianWorld, onActing: () => void) {
    this.#director = director;
    this.#world = world;
    this.#onActing = onActing;
  }

  get isActing(): boolean {
    return this.#state === 'acting';
  }

  order(orders: GuardianOrders): void {
    if (this.#state !== 'armed') return;
    this.#orders = orders;
    this.#armedAtMs = this.#director.nowMs();
    this.#watchLease();
  }

  /** Released by the daemon, or without power. */
  end(): void {
    this.#state = 'ended';
  }

  /** The daemon died without a farewell. */
  pipeClosed(): void {
    if (this.#state !== 'armed') return;
    if (this.#orders.farewells.length > 0) this.#act('the daemon died');
    else this.end();
  }

  /** The whole host stood still, and this process with it. */
  thawed(): void {
    this.#watchLease();
  }

  #watchLease(): void {
    if (this.#looking || this.#orders.leaseMs === 0 || this.#state !== 'armed') return;
    this.#looking = true;
    const dueMs = this.#director.worldMs(this.#armedAtMs + this.#orders.leaseMs);
    this.#world.at(Math.max(dueMs, this.#world.nowMs), () => {
      this.#looking = false;
      if (this.#state !== 'armed' || this.#director.standsStill) return;
      const { leaseMs } = this.#orders;
      const isOver = leaseMs > 0 && this.#director.nowMs() - this.#armedAtMs + ROUNDING_MS >= leaseMs;
      if (isOver) this.#act('the daemon hangs');
      else this.#watchLease();
    });
  }

  #act(why: string): void {
    const { farewells, holdMs } = this.#orders;
    this.#world.trace(this.#director.number, `guardian acts: ${why}`);
    this.#world.count('guardian acts');
    this.#state = 'acting';
    this.#director.guardianActs(this);
    this.#onActing();
    for (const number of farewells.keys()) this.#kept.add(number);
    for (const [number, farewell] of farewells.entries()) {
      if (this.#world.send(this.#director, farewell)) this.#removeAfter(number, holdMs);
      else this.#remove(number);
    }
  }

  /** The grace ends the hold early, never late. */
  hear({ router, advertisement, ttl }: Packet): void {
    if (this.#state !== 'acting' || advertisement.priority === 0) return;
    const number = this.#orders.farewells.findIndex(
      (one) => one.virtualRouterId === router + 1 && ttl >= one.minTtl,
    );
    if (!this.#kept.has(number) || this.#heard.has(number)) return;
    this.#heard.add(number);
    this.#removeAfter(number, GRACE_MS);
  }

  #removeAfter(number: number, afterMs: number): void {
    const { clockRate } = this.#director;
    this.#world.at(this.#world.nowMs + afterMs / clockRate, () => this.#remove(number));
  }

  #remove(number: number): void {
    if (this.#state !== 'acting' || !this.#kept.delete(number)) return;
    const addresses = this.#orders.farewells[number]?.addresses ?? [];
    this.#world.trace(
      this.#director.number,
      `guardian removes ${addresses.map(({ address }) => address).join(', ')}`,
    );
    this.#director.release(addresses);
    if (this.#kept.size === 0) this.end();
  }
}

/** The daemon's end: one guardian after the other. */
export class GuardianLink implements GuardianPort {
  readonly #director: GuardianHost;
  readonly #world: GuardianWorld;
  /** The daemon reads the guardian's word that it acted, as soon as it runs. */
  readonly #tell: (read: () => void) => void;
  readonly #onActed: () => void;
  #running: Guardian;

  constructor(
    director: GuardianHost,
    world: GuardianWorld,
    handlers: { tell: (read: () => void) => void; onActed: () => void },
  ) {
    this.#director = director;
    this.#world = world;
    this.#tell = handlers.tell;
    this.#onActed = handlers.onActed;
    this.#running = this.#start();
  }

  arm(orders: GuardianOrders): void {
    this.#running.order(orders);
  }

  prepare(): void {}

  disarm(): void {
    this.#running.end();
  }

  /** The daemon died. */
  pipeClosed(): void {
    this.#running.pipeClosed();
  }

  /** No power. */
  end(): void {
    this.#running.end();
  }

  thawed(): void {
    this.#running.thawed();
  }

  #start(): Guardian {
    const guardian: Guardian = new Guardian(this.#director, this.#world, () =>
      this.#tell(() => this.#acted(guardian)),
    );
    return guardian;
  }

  /** This process lives, so the addresses are its own affair again: it releases the guardian. */
  #acted(guardian: Guardian): void {
    guardian.end();
    if (guardian === this.#running) this.#running = this.#start();
    this.#onActed();
  }
}
