/** Remembers since when real servers that were removed keep their connections, also across a restart, and tells of it. */
import type { VirtualServer } from '../../../config/model-servers.js';
import { type Drain, type DrainTimes, drainKey } from '../../../ipvs/drain.js';
import { serviceKeyText } from '../../../ipvs/plan.js';
import { serviceKeyOf } from '../../../planning/desired.js';
import type { Log } from '../../ports.js';
import type { VirtualServerStatus } from '../../status.js';

export interface DrainKeeperPorts {
  readonly log: Log;
  saveDrains(times: DrainTimes): Promise<void>;
}

export class DrainKeeper {
  readonly #ports: DrainKeeperPorts;
  #times: DrainTimes;

  constructor(times: DrainTimes, ports: DrainKeeperPorts) {
    this.#times = times;
    this.#ports = ports;
  }

  get times(): DrainTimes {
    return this.#times;
  }

  async save(drains: readonly Drain[]): Promise<void> {
    const { log } = this.#ports;
    const before = this.#times;
    if (Object.keys(before).length === 0 && drains.length === 0) return;
    const times = Object.fromEntries(
      drains.map(({ key, destination, sinceMs }) => [drainKey(key, destination), sinceMs]),
    );
    this.#times = times;
    await this.#ports.saveDrains(times);
    for (const name of Object.keys(times)) {
      if (!Object.hasOwn(before, name)) log.info({ event: 'drain', drain: name }, `${name}: drains`);
    }
    for (const name of Object.keys(before)) {
      if (!Object.hasOwn(times, name)) log.info({ event: 'drain', drain: name }, `${name}: drains no more`);
    }
  }
}

/** Those of a virtual server, for `director status`. */
export function drainingOf(
  server: VirtualServer,
  drains: readonly Drain[],
  nowMs: number,
): NonNullable<VirtualServerStatus['draining']> {
  const key = serviceKeyText(serviceKeyOf(server));
  return drains
    .filter((drain) => serviceKeyText(drain.key) === key)
    .map(({ sinceMs, limitMs, destination }) => ({
      address: destination.address,
      port: destination.port,
      active_connections: destination.activeConnections,
      inactive_connections: destination.inactiveConnections,
      at_most_s: Math.max(0, Math.ceil((sinceMs + limitMs - nowMs) / 1000)),
    }));
}
