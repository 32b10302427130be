/** Keeps the guardian's orders current and its lease renewed. */
import type { Clock, Guardian, GuardianOrders } from './ports.js';

export const NO_ORDERS: GuardianOrders = { farewells: [], holdMs: 0, leaseMs: 0 };

/** Renewals within one lease: a few may be late. */
const RENEWALS_PER_LEASE = 4;

export class GuardianLease {
  readonly #guardian: Guardian;
  readonly #clock: Clock;
  #orders: GuardianOrders = NO_ORDERS;
  #armedAtMs = Number.POSITIVE_INFINITY;
  #cancelHeartbeat: () => void = () => {};

  constructor(guardian: Guardian, clock: Clock) {
    this.#guardian = guardian;
    this.#clock = clock;
  }

  /** Replaces the orders and renews the lease. */
  arm(orders: GuardianOrders): void {
    this.#orders = orders;
    this.#heartbeat();
  }

  /**
   * Whether this process stood still past the lease: then the farewells are sent and the addresses gone, and to
   * speak as master before that is known would take the role from the successor. In milliseconds, 0: no.
   */
  overdueMs(): number {
    const { leaseMs } = this.#orders;
    const stoodMs = this.#clock.nowMs() - this.#armedAtMs;
    return leaseMs > 0 && stoodMs >= leaseMs ? stoodMs : 0;
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
    this.#cancelHeartbeat = this.#clock.at(this.#armedAtMs + leaseMs / RENEWALS_PER_LEASE, () =>
      this.#heartbeat(),
    );
  }
}
