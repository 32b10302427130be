/** The guardian once it acts, as native/guardian.c: farewells, wait for the successors, removal. */
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
  readonly #awaited = new Set<number>();
  #inGrace = false;
  #ended = false;

  constructor(director: Director, world: World, orders: Orders, onDone: () => void) {
    this.#director = director;
    this.#world = world;
    this.#orders = orders;
    this.#onDone = onDone;
  }

  act(): void {
    for (const router of this.#orders.farewells) {
      if (this.#world.transmit(this.#director, router, 0)) this.#awaited.add(router);
    }
    if (this.#awaited.size === 0) return this.#remove();
    this.#at(this.#orders.holdMs);
  }

  hear(packet: Packet): void {
    if (this.#ended || this.#inGrace || packet.advertisement.priority === 0) return;
    if (!this.#awaited.delete(packet.router) || this.#awaited.size > 0) return;
    this.#inGrace = true;
    this.#at(GRACE_MS);
  }

  /** Released by the daemon, or without power. */
  end(): void {
    this.#ended = true;
  }

  #at(afterMs: number): void {
    this.#world.at(this.#world.nowMs + afterMs / this.#director.plan.clockRate, () => this.#remove());
  }

  #remove(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#world.trace(this.#director.number, 'guardian removes the addresses');
    this.#orders.farewells.forEach((router, i) => {
      const held = this.#director.held[router] ?? 0;
      this.#director.setHeld(router, held & ~(this.#orders.masks[i] ?? 0));
    });
    this.#onDone();
    this.#director.restore();
  }
}
