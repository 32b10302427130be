/** Virtual addresses that the kernel removes by itself, unless this process lives and says again that it wants them. */
import type { VirtualAddress } from '../../config/model.js';
import { addressPayload, RTM_NEWADDR } from '../../netlink/address-messages.js';
import { NLM_F_REPLACE } from '../../netlink/message.js';
import type { AddressLifetime } from '../../runtime/guardian/address-lifetime.js';
import type { InTurn } from '../../util/in-turn.js';
import { familyOf } from '../../util/ip-address.js';
import type { NetlinkConnection, NetlinkRequest } from './connection.js';

/**
 * Late by more, this process stood still, and the guardian may have taken the addresses away: they are another's by now. Its
 * shortest lease is longer.
 */
const LATE_MS = 100;

/** Renewed in one turn of the event loop, which an advertisement may have to wait for. */
const MAX_AT_ONCE = 64;

/**
 * Of the route to the subnet of an address on a virtual MAC device. The parent has a route to the same subnet, as a rule,
 * and after its link was down the two would come in another order: the host would speak from the virtual address.
 */
const LAST_RESORT_METRIC = 0x7fff_ffff;

/** An address on a device, and whether it is a source of choice. */
export interface PlacedAddress {
  readonly address: VirtualAddress;
  readonly index: number;
  /** IPv6 alone. */
  readonly deprecated: boolean;
}

/**
 * The kernel gives the route to an IPv6 address's subnet the lifetime of the address that was renewed last
 * (modify_prefix_route), also where an address of the host's own needs that route for ever. So only a /128 expires. None
 * does on a virtual MAC device: it would leave with a multicast report that draws the clients here.
 */
function mayExpire({ address, prefixLength, virtualMac }: VirtualAddress): boolean {
  return familyOf(address) === 'ipv4' || (prefixLength === 128 && virtualMac !== true);
}

interface Held {
  readonly placed: PlacedAddress;
  /** What the kernel was told last; undefined: permanent. */
  given: AddressLifetime | undefined;
}

/** The configuration is looked at so often, while it wants no lifetimes. */
const PERMANENT = { renewalMs: 1000 };

export interface AddressLifetimesPorts {
  readonly connection: Pick<NetlinkConnection, 'transact'>;
  /** That of all other work on addresses: one that is being removed must not be renewed. */
  readonly inTurn: InTurn;
  /** Of now; it changes with the configuration. */
  lifetime(): AddressLifetime | undefined;
  /** Those of `addresses` that this host holds. */
  held(addresses: readonly VirtualAddress[]): Promise<readonly VirtualAddress[]>;
  /** Of a clock that only goes forward, in milliseconds. */
  nowMs(): number;
}

/**
 * Renews what is held as long as this process turns its event loop. An address that somebody else removed would be added by
 * that, too, which is what the restorer does about it anyway.
 */
export class AddressLifetimes {
  readonly #ports: AddressLifetimesPorts;
  /** By text, in the order in which they are renewed. */
  readonly #held = new Map<string, Held>();
  #next = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(ports: AddressLifetimesPorts) {
    this.#ports = ports;
  }

  /** Of RTM_NEWADDR, with the lifetime of now. */
  payload({ address, index, deprecated }: PlacedAddress): Uint8Array {
    return addressPayload('new', address.address, address.prefixLength, index, {
      deprecated,
      routeMetric: address.virtualMac === true ? LAST_RESORT_METRIC : undefined,
      validSeconds: mayExpire(address) ? this.#ports.lifetime()?.seconds : undefined,
    });
  }

  /** The address was added, with `payload`. */
  hold(key: string, placed: PlacedAddress): void {
    if (!mayExpire(placed.address)) return;
    this.#held.set(key, { placed, given: this.#ports.lifetime() });
    this.#schedule();
  }

  /** The address is to go, or has gone. */
  release(key: string): void {
    this.#held.delete(key);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#held.clear();
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#held.size === 0) return;
    const { renewalMs } = this.#ports.lifetime() ?? PERMANENT;
    const pauseMs = renewalMs / Math.ceil(this.#held.size / MAX_AT_ONCE);
    const dueMs = this.#ports.nowMs() + pauseMs;
    this.#timer = setTimeout(() => {
      void this.#ports
        .inTurn(() => this.#renew(dueMs))
        .finally(() => {
          this.#timer = undefined;
          this.#schedule();
        });
    }, pauseMs);
    this.#timer.unref();
  }

  /** The next piece. What the kernel refuses is gone with its device, or is told by who watches it. */
  async #renew(dueMs: number): Promise<void> {
    const lifetime = this.#ports.lifetime();
    if (this.#ports.nowMs() > dueMs + LATE_MS) await this.#forgetLost();
    const all = [...this.#held.values()];
    if (this.#next >= all.length) this.#next = 0;
    const piece = all.slice(this.#next, this.#next + MAX_AT_ONCE);
    this.#next += piece.length;
    const requests: NetlinkRequest[] = [];
    for (const held of piece) {
      if (held.given === undefined && lifetime === undefined) continue;
      held.given = lifetime;
      requests.push({ type: RTM_NEWADDR, flags: NLM_F_REPLACE, payload: this.payload(held.placed) });
    }
    await this.#ports.connection.transact(requests).catch(() => undefined);
  }

  /** RTM_NEWADDR would add what is gone: whether it is to come back is for others to say. */
  async #forgetLost(): Promise<void> {
    const present = new Set(
      await this.#ports.held([...this.#held.values()].map(({ placed }) => placed.address)),
    );
    for (const [key, { placed }] of this.#held) if (!present.has(placed.address)) this.#held.delete(key);
  }
}
