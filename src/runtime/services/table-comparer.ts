/** The kernel's table beside the one that is wanted: all of it, or what has changed since it was last seen in order. */
import type { VirtualServer } from '../../config/model-servers.js';
import { type Drain, type DrainTimes, withDrains } from '../../ipvs/drain.js';
import type { DumpedService, IpvsOp, Service } from '../../ipvs/model.js';
import { type OwnedKeys, planInSlices, sameService, serviceKeyText } from '../../ipvs/plan.js';
import {
  type Conditions,
  desiredServices,
  drainLimits,
  sorryInUse,
  wholeServices,
  withUnheard,
} from '../../planning/desired.js';
import type { Ipvs } from './services-ports.js';
import type { KnownTable } from './table-look.js';

/** What is wanted at one moment. */
export interface Wanted extends Pick<Conditions, 'serves' | 'share' | 'weight' | 'isInDoubt'> {
  /** Virtual servers that this director is to have in its table. */
  readonly active: readonly VirtualServer[];
  readonly ownedKeys: OwnedKeys;
  /** Whether anything may be removed at all. */
  readonly prune: boolean;
  readonly drainTimes: DrainTimes;
  readonly nowMs: number;
}

export interface Comparison {
  readonly wanted: Wanted;
  /** The whole table as it is to be. */
  readonly desired: readonly Service[];
  readonly drains: readonly Drain[];
  readonly ops: readonly IpvsOp[];
  /** What undoes others' changes of the table that was known: part of `ops`, unless it is wanted now. */
  readonly repairs: readonly IpvsOp[];
}

export interface TableComparerPorts {
  readonly ipvs: Pick<Ipvs, 'dump' | 'destinations'>;
  /** Lets the event loop turn: thousands of services are compared in slices. */
  breathe(): Promise<void>;
}

export class TableComparer {
  readonly #ports: TableComparerPorts;

  constructor(ports: TableComparerPorts) {
    this.#ports = ports;
  }

  /** `wanted` is asked after the dump and in one go: a verdict in between must not let the pruning begin on a table that was wanted without it. */
  async whole(known: KnownTable | undefined, wantedNow: () => Wanted): Promise<Comparison> {
    const actual = await this.#ports.ipvs.dump();
    await this.#ports.breathe();
    const wanted = wantedNow();
    const healthy = healthyServices(wanted, actual);
    const { desired, drains } = wanted.prune
      ? draining(healthy, actual, wanted)
      : { desired: healthy, drains: known?.drains ?? [] };
    const ops = await this.#plan(desired, actual, wanted);
    const repairs =
      known === undefined || ops.length === 0
        ? []
        : await this.#plan(known.services, actual, {
            ownedKeys: known.exclusive ? wanted.ownedKeys : new Set(),
            prune: known.pruned,
          });
    return { wanted, desired, drains, ops, repairs };
  }

  /**
   * The same, but only of the services that are wanted otherwise than they were, or drain: the others are taken for what
   * they were. Undefined when that does not do: the table is not known whole, a service is to come that it had not, or one
   * has gone. Rejects with the kernel's words.
   */
  async changed(known: KnownTable, wantedNow: () => Wanted): Promise<Comparison | undefined> {
    const wanted = wantedNow();
    if (!known.pruned || !wanted.prune) return undefined;
    const healthy = healthyServices(wanted, known.services);
    // Nearly all are the same objects as before. One that drains never is.
    const [is, was] = [new Set(healthy), new Set(known.services)];
    const otherwise = healthy.filter((service) => !was.has(service));
    const before = new Map(
      known.services
        .filter((service) => !is.has(service))
        .map((service) => [serviceKeyText(service.key), service]),
    );
    const touched = new Set(known.drains.map(({ key }) => serviceKeyText(key)));
    const gone = new Set(before.keys());
    for (const service of otherwise) {
      const text = serviceKeyText(service.key);
      const was = before.get(text);
      if (was === undefined) return undefined;
      gone.delete(text);
      if (!sameService(service, was)) touched.add(text);
    }
    for (const text of gone) touched.add(text);
    const actual = await this.#ask(before, touched);
    if (actual === undefined) return undefined;
    const isTouched = ({ key }: Service): boolean => touched.has(serviceKeyText(key));
    const { desired, drains } = draining(otherwise.filter(isTouched), actual, wanted);
    const ops = await this.#plan(desired, actual, wanted);
    const repairs = await this.#plan([...before.values()].filter(isTouched), actual, {
      ownedKeys: new Set(),
      prune: true,
    });
    const renewed = new Map(desired.map((service) => [serviceKeyText(service.key), service]));
    const table = healthy.map((service) =>
      was.has(service) ? service : (renewed.get(serviceKeyText(service.key)) ?? service),
    );
    return { wanted, desired: table, drains, ops, repairs };
  }

  /** Attributes of a service itself are taken for what they were. Undefined when one has nothing left of what it had. */
  async #ask(
    before: ReadonlyMap<string, Service>,
    keys: ReadonlySet<string>,
  ): Promise<DumpedService[] | undefined> {
    const actual: DumpedService[] = [];
    for (const text of keys) {
      const service = before.get(text);
      if (service === undefined) continue;
      const destinations = await this.#ports.ipvs.destinations(service.key);
      if (destinations.length === 0 && service.destinations.length > 0) return undefined;
      actual.push({ ...service, destinations });
    }
    return actual;
  }

  async #plan(...input: Parameters<typeof planInSlices>): Promise<IpvsOp[]> {
    const slices = planInSlices(...input);
    for (;;) {
      await this.#ports.breathe();
      const slice = slices.next();
      if (slice.done === true) return slice.value;
    }
  }
}

function healthyServices(
  { active, serves, share, weight, isInDoubt }: Wanted,
  table: readonly Service[],
): readonly Service[] {
  // By the kernel's word, so that a restart goes on where it was.
  const sorry = sorryInUse(active, table);
  const desired = desiredServices(active, {
    serves,
    wasSorry: (key) => sorry.has(key),
    ...(share && { share }),
    ...(weight && { weight }),
    ...(isInDoubt === true && { isInDoubt }),
  });
  return withUnheard(desired, active, table, serves);
}

function draining(
  healthy: readonly Service[],
  actual: readonly DumpedService[],
  { active, drainTimes, nowMs }: Wanted,
): { readonly desired: readonly Service[]; readonly drains: readonly Drain[] } {
  const configured = () => wholeServices(active);
  return withDrains(healthy, configured, actual, drainTimes, nowMs, () => drainLimits(active));
}
