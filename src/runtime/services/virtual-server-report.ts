/** Virtual servers and the health of their real servers, for metrics. Pure. */
import type { RealServer, VirtualServer } from '../../config/model-servers.js';
import type { HealthAges } from '../../health/health.js';
import type { Drain } from '../../ipvs/drain.js';
import { serviceKeyText } from '../../ipvs/plan.js';
import { serviceKeyOf } from '../../planning/desired.js';
import type { RealServerHealth } from '../../track/quorum.js';

/** One service of the kernel, as it is to be. */
export interface VirtualServerReport {
  readonly name: string;
  /** Its key (`serviceKeyText`). */
  readonly service: string;
  /** Whether it has a health check. */
  readonly isChecked: boolean;
  readonly isPersistent: boolean;
  readonly realServers: readonly RealServerReport[];
  /** Whether the sorry server has the traffic; undefined without one. */
  readonly isSorry: boolean | undefined;
  /** Whether so few real servers are healthy that all get traffic; undefined without a threshold. */
  readonly isInPanic: boolean | undefined;
  /** Real servers that left the configuration and keep their connections for a while. */
  readonly draining: number;
}

export interface RealServerReport extends HealthAges {
  readonly address: string;
  readonly port: number;
  readonly health: RealServerHealth;
}

export interface HealthBook {
  of(virtualServer: string, realServer: RealServer): { readonly health: RealServerHealth };
  ages(virtualServer: string, realServer: RealServer): HealthAges;
}

/** Where the traffic goes elsewhere than to the healthy real servers. */
export interface PoolBook {
  isSorry(server: VirtualServer): boolean;
  isInPanic(server: VirtualServer): boolean;
}

export function virtualServerReports(
  virtualServers: readonly VirtualServer[],
  book: HealthBook,
  pools: PoolBook,
  drains: readonly Drain[],
): readonly VirtualServerReport[] {
  const draining = new Map<string, number>();
  for (const { key } of drains) {
    const text = serviceKeyText(key);
    draining.set(text, (draining.get(text) ?? 0) + 1);
  }
  return virtualServers.map((server) => {
    const service = serviceKeyText(serviceKeyOf(server));
    return {
      name: server.name,
      service,
      isChecked: server.healthChecks !== undefined,
      isPersistent: server.persistence !== undefined,
      realServers: server.realServers.map((real) => ({
        address: real.address,
        port: real.port,
        health: book.of(server.name, real).health,
        ...book.ages(server.name, real),
      })),
      isSorry: server.sorryServer === undefined ? undefined : pools.isSorry(server),
      isInPanic: server.panicThreshold === 0 ? undefined : pools.isInPanic(server),
      draining: draining.get(service) ?? 0,
    };
  });
}
