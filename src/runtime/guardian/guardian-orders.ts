/** What the guardian is to do for the instances that are master now. */
import type { VrrpInstance } from '../../config/model.js';
import { VRRP_TTL } from '../../vrrp/packet.js';
import { handOverHoldMs } from '../../vrrp/timers.js';
import type { GuardianOrders } from '../ports.js';

/** Shorter leases would take a busy event loop for a hang. */
const MIN_LEASE_MS = 250;

interface Master {
  readonly config: VrrpInstance;
  readonly source: string;
  /** After so long another director takes over; undefined: after three intervals. */
  readonly watchedMs?: number | undefined;
  /** Its farewell for each destination. */
  readonly packets: readonly { readonly destination: string; readonly payload: Uint8Array }[];
}

export function guardianOrders(masters: readonly Master[]): GuardianOrders {
  const intervals = masters.map(({ config }) => config.advertisementIntervalMs);
  const patience = masters.map(({ config, watchedMs }) =>
    Math.min(3 * config.advertisementIntervalMs, watchedMs ?? Number.POSITIVE_INFINITY),
  );
  return {
    farewells: masters.map(({ config, source, packets }) => ({
      interface: config.interface,
      sendInterface: config.virtualMacInterface ?? config.interface,
      source,
      destinations: packets.map(({ destination, payload }) => ({ address: destination, payload })),
      udpPort: config.transport.kind === 'udp' ? config.transport.port : undefined,
      minTtl: config.transport.kind === 'unicast' ? config.transport.minTtl : VRRP_TTL,
      virtualRouterId: config.virtualRouterId,
      addresses: config.addresses,
      routes: config.routes,
      rules: config.rules,
    })),
    holdMs: Math.max(...intervals.map(handOverHoldMs)),
    leaseMs: Math.max(MIN_LEASE_MS, Math.min(...patience)),
  };
}
