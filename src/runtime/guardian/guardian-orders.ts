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
  const removals = removalsOf(masters);
  return {
    farewells: masters.map(({ config, source, packets }, index) => ({
      interface: config.interface,
      sendInterface: config.virtualMacInterface ?? config.interface,
      source,
      destinations: packets.map(({ destination, payload }) => ({ address: destination, payload })),
      udpPort: config.transport.kind === 'udp' ? config.transport.port : undefined,
      minTtl: config.transport.kind === 'unicast' ? config.transport.minTtl : VRRP_TTL,
      virtualRouterId: config.virtualRouterId,
      addresses: (removals[index] ?? config).addresses,
      routes: (removals[index] ?? config).routes,
      rules: (removals[index] ?? config).rules,
    })),
    holdMs: Math.max(...intervals.map(handOverHoldMs)),
    leaseMs: Math.max(MIN_LEASE_MS, Math.min(...patience)),
  };
}

/** What is to be removed for each. More than a file may hold is not told, for the guardian has room for that. */
function removalsOf(masters: readonly Master[]): readonly Holdings[] {
  const all = masters.map(({ config, leaving }) => {
    if (leaving === undefined) return config;
    return {
      addresses: [...config.addresses, ...leaving.addresses],
      routes: [...config.routes, ...leaving.routes],
      rules: [...config.rules, ...leaving.rules],
    };
  });
  const counts = all.map(({ addresses, routes, rules }) => addresses.length + routes.length + rules.length);
  const count = counts.reduce((sum, one) => sum + one, 0);
  return count > MAX_HELD ? masters.map(({ config }) => config) : all;
}
