/** A cheap look at part of the kernel's table, each second another part. */
import { type Drain, isDrained } from '../../ipvs/drain.js';
import type { DumpedDestination, Service } from '../../ipvs/model.js';
import { plan, serviceKeyText } from '../../ipvs/plan.js';
import type { Ipvs } from './services-ports.js';

/** Virtual servers that one look asks the kernel for, of those in turn and of those that drain. */
export const LOOK_SERVICES = 64;

/** The table as it was left by the last changes, none of which failed. */
export interface KnownTable {
  readonly services: readonly Service[];
  readonly drains: readonly Drain[];
  /** Whether what is not in `services` was removed. */
  readonly pruned: boolean;
  /** Whether that went for services of others, too. */
  readonly exclusive: boolean;
}

export type Found = 'as known' | 'drained' | 'changed';

export class TableLook {
  readonly #ipvs: Pick<Ipvs, 'destinations'>;
  #next = 0;

  constructor(ipvs: Pick<Ipvs, 'destinations'>) {
    this.#ipvs = ipvs;
  }

  /**
   * A table that was emptied is found at once, a single change in as many looks as there are parts. Attributes of a
   * virtual server itself are not looked at. Rejects with the kernel's words.
   */
  async look(known: KnownTable, nowMs: number): Promise<Found> {
    const draining = new Set(known.drains.map(({ key }) => serviceKeyText(key)));
    const busy =
      draining.size === 0 ? [] : known.services.filter(({ key }) => draining.has(serviceKeyText(key)));
    let found: Found = 'as known';
    for (const service of new Set([...this.#inTurn(known.services), ...busy.slice(0, LOOK_SERVICES)])) {
      const destinations = await this.#ipvs.destinations(service.key);
      const actual = { ...service, destinations };
      if (plan([service], [actual], { ownedKeys: new Set(), prune: known.pruned }).length > 0)
        return 'changed';
      if (
        draining.has(serviceKeyText(service.key)) &&
        hasDrained(known.drains, service, destinations, nowMs)
      ) {
        found = 'drained';
      }
    }
    return found;
  }

  #inTurn(services: readonly Service[]): readonly Service[] {
    if (services.length <= LOOK_SERVICES) return services;
    const first = this.#next < services.length ? this.#next : 0;
    this.#next = first + LOOK_SERVICES;
    return services.slice(first, this.#next);
  }
}

function hasDrained(
  drains: readonly Drain[],
  { key }: Service,
  destinations: readonly DumpedDestination[],
  nowMs: number,
): boolean {
  const text = serviceKeyText(key);
  return drains
    .filter((drain) => serviceKeyText(drain.key) === text)
    .some((drain) => {
      const { address, port } = drain.destination;
      const now = destinations.find((one) => one.address === address && one.port === port);
      return now !== undefined && isDrained({ ...drain, destination: now }, nowMs);
    });
}
