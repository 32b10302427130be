/** Keeps the guardian's orders current and its lease renewed. */
import type { Clock, Guardian, GuardianOrders } from '../ports.js';

export const NO_ORDERS: GuardianOrders = { farewells: [], holdMs: 0, leaseMs: 0 };

/** Renewals within one lease: a few may be late. */
const RENEWALS_PER_LEASE = 4;

export class GuardianLease {
  readonly #guardian: Guardian;
  readonly #clock: Clock;
  readonly #onOverdue: (stoodMs: number) => void;
  #orders: GuardianOrders = NO_ORDERS;
  #armedAtMs = Number.POSITIVE_INFINITY;
  #cancelHeartbeat: () => void = () => {};

  /** `onOverdue`: this process stood still past the lease; the orders are spent by then. */
  constructor(guardian: Guardian, clock: Clock, onOverdue: (stoodMs: number) => void) {
    this.#guardian = guardian;
    this.#clock = clock;
    this.#onOverdue = onOverdue;
  }

  /** Replaces the orders and renews the lease, unless that was done a moment ago. */
  arm(orders: GuardianOrders): void {
    const sinceMs = this.#clock.nowMs() - this.#armedAtMs;
    const isFresh = sinceMs >= 0 && sinceMs < orders.leaseMs / RENEWALS_PER_LEASE;
    if (orders === this.#orders && isFresh) return;
    this.#orders = orders;
    // Orders that are refused are not given, however often they are asked for.
    this.#armedAtMs = Number.POSITIVE_INFINITY;
    this.#heartbeat();
  }

  /**
   * Looks whether this process stood still past the lease: then the farewells are sent and the addresses gone, and
   * to speak as master before that is known would take the role from the successor.
   */
  check(): void {
    const { leaseMs } = this.#orders;
    const stoodMs = this.#clock.nowMs() - this.#armedAtMs;
    if (leaseMs === 0 || stoodMs < leaseMs) return;
    this.spent();
    this.#onOverdue(stoodMs);
  }

  /** The guardian acted: its orders are spent. */
  spent(): void {
    this.#orders = NO_ORDERS;
    this.#armedAtMs = Number.POSITIVE_INFINITY;
    this.#cancelHeartbeat();
  }

  /** Leaves in good order. */
  disarm(): void {
    this.spent();
    this.#guardian.disarm();
  }

  #heartbeat(): void {
    this.#cancelHeartbeat();
    this.#cancelHeartbeat = () => {};
    this.#guardian.arm(this.#orders);
    this.#armedAtMs = this.#clock.nowMs();
    const { leaseMs } = this.#orders;
    if (leaseMs === 0) return;
    this.#cancelHeartbeat = this.#clock.at(this.#armedAtMs + leaseMs / RENEWALS_PER_LEASE, () => {
      this.check();
      if (this.#orders.leaseMs > 0) this.#heartbeat();
    });
  }
}
