/** What the guardian is to do for the instances that are master now. */
import { MAX_HELD, type VrrpInstance } from '../../config/model.js';
import { VRRP_TTL } from '../../vrrp/packet.js';
import { handOverHoldMs } from '../../vrrp/timers.js';
import type { GuardianOrders } from '../ports.js';

/** Shorter leases would take a busy event loop for a hang. */
const MIN_LEASE_MS = 250;

/** What the kernel has of an instance, or a part of it. */
export type Holdings = Pick<VrrpInstance, 'addresses' | 'routes' | 'rules'>;

interface Master {
  readonly config: VrrpInstance;
  /** What the kernel may have beside what its settings say. */
  readonly leaving?: Holdings | undefined;
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
    farewells: withLeaving(masters).map(({ config, source, packets, holdings }) => ({
      interface: config.interface,
      sendInterface: config.virtualMacInterface ?? config.interface,
      source,
      destinations: packets.map(({ destination, payload }) => ({ address: destination, payload })),
      udpPort: config.transport.kind === 'udp' ? config.transport.port : undefined,
      minTtl: config.transport.kind === 'unicast' ? config.transport.minTtl : VRRP_TTL,
      virtualRouterId: config.virtualRouterId,
      addresses: holdings.addresses,
      routes: holdings.routes,
      rules: holdings.rules,
    })),
    holdMs: Math.max(...intervals.map(handOverHoldMs)),
    leaseMs: Math.max(MIN_LEASE_MS, Math.min(...patience)),
  };
}

/** With what is to be removed of each. More than a file may hold is not told, for the guardian has room for that. */
function withLeaving(masters: readonly Master[]): readonly (Master & { readonly holdings: Holdings })[] {
  const count = masters.reduce((sum, { config, leaving }) => sum + sizeOf(config) + sizeOf(leaving), 0);
  return masters.map((master) => {
    const { config, leaving } = master;
    if (leaving === undefined || count > MAX_HELD) return { ...master, holdings: config };
    const holdings = {
      addresses: [...config.addresses, ...leaving.addresses],
      routes: [...config.routes, ...leaving.routes],
      rules: [...config.rules, ...leaving.rules],
    };
    return { ...master, holdings };
  });
}

function sizeOf(held: Holdings | undefined): number {
  return held === undefined ? 0 : held.addresses.length + held.routes.length + held.rules.length;
}
