/** The guardian once it acts, as native/guardian.c: farewells, wait for each successor, removal. */
import type { Director, Packet } from './director.js';
import type { World } from './world.js';

/** native/guardian.c GRACE_MS. */
const GRACE_MS = 150;

export interface Orders {
  /** Routers, each with its addresses as bits. */
  readonly farewells: readonly number[];
  readonly masks: readonly number[];
  readonly holdMs: number;
  readonly leaseMs: number;
}

export class Guardian {
  readonly #director: Director;
  readonly #world: World;
  readonly #orders: Orders;
  readonly #onDone: () => void;
  /** Routers whose addresses are kept, each until its successor was heard. */
  readonly #kept = new Set<number>();
  readonly #heard = new Set<number>();
  #ended = false;

  constructor(director: Director, world: World, orders: Orders, onDone: () => void) {
    this.#director = director;
    this.#world = world;
    this.#orders = orders;
    this.#onDone = onDone;
  }

  act(): void {
    for (const router of this.#orders.farewells) this.#kept.add(router);
    for (const router of this.#orders.farewells) {
      const sent = this.#world.transmit(this.#director, router, 0);
      if (sent) this.#removeAfter(router, this.#orders.holdMs);
      else this.#remove(router);
    }
  }

  /** The grace ends the hold early, never late. */
  hear({ router, advertisement }: Packet): void {
    if (this.#ended || advertisement.priority === 0 || !this.#kept.has(router)) return;
    if (this.#heard.has(router)) return;
    this.#heard.add(router);
    this.#removeAfter(router, GRACE_MS);
  }

  /** Released by the daemon, or without power. */
  end(): void {
    this.#ended = true;
  }

  #removeAfter(router: number, afterMs: number): void {
    const { clockRate } = this.#director.plan;
    this.#world.at(this.#world.nowMs + afterMs / clockRate, () => this.#remove(router));
  }

  #remove(router: number): void {
    if (this.#ended || !this.#kept.delete(router)) return;
    this.#world.trace(this.#director.number, `guardian removes the addresses of r${router}`);
    const mask = this.#orders.masks[this.#orders.farewells.indexOf(router)] ?? 0;
    this.#director.setHeld(router, (this.#director.held[router] ?? 0) & ~mask);
    if (this.#kept.size === 0) {
      this.#ended = true;
      this.#onDone();
    }
    this.#director.restore();
  }
}
