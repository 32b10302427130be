/** What a reload does to the running groups: which go on as they are, which are formed anew, what leaves. Pure. */
import type { VrrpInstance } from '../../config/model.js';
import type { GroupPlan } from '../../planning/groups.js';
import { addressText } from '../../vrrp/address-difference.js';

/** A running group by its plan. */
interface Planned {
  readonly plan: GroupPlan;
}

export interface Formed<Running> {
  readonly plan: GroupPlan;
  /** Instances that run already, in these groups; `name` is what each is called from here on. */
  readonly continuing: readonly {
    readonly running: Running;
    readonly before: VrrpInstance;
    readonly name: string;
  }[];
  readonly fresh: readonly VrrpInstance[];
}

export interface Leaving<Running> {
  readonly running: Running;
  readonly instances: readonly VrrpInstance[];
  /** Others of its group go on: a farewell would have the peer's group take them, too. */
  readonly isPart: boolean;
}

export interface Regrouping<Running> {
  readonly kept: readonly { readonly plan: GroupPlan; readonly running: Running }[];
  readonly formed: readonly Formed<Running>[];
  readonly leaving: readonly Leaving<Running>[];
}

/** Whoever speaks for the same virtual router is the same, whatever it is called and however it is heard. */
function routerKey({ family, interface: name, virtualRouterId }: VrrpInstance): string {
  return `${family} ${name} ${virtualRouterId}`;
}

export function regrouping<Running extends Planned>(
  groups: readonly Running[],
  plans: readonly GroupPlan[],
): Regrouping<Running> {
  const places = new Map(
    groups.flatMap((running) =>
      running.plan.instances.map((before) => [routerKey(before), { running, before }]),
    ),
  );
  const formed: Formed<Running>[] = [];
  const kept: { plan: GroupPlan; running: Running }[] = [];
  const going = new Set<VrrpInstance>();
  for (const plan of plans) {
    const continuing: Formed<Running>['continuing'][number][] = [];
    const fresh: VrrpInstance[] = [];
    for (const instance of plan.instances) {
      const place = places.get(routerKey(instance));
      if (place === undefined || going.has(place.before)) {
        fresh.push(instance);
        continue;
      }
      going.add(place.before);
      continuing.push({ ...place, name: instance.name });
    }
    const [first] = continuing;
    const isWhole =
      first !== undefined &&
      fresh.length === 0 &&
      continuing.length === first.running.plan.instances.length &&
      continuing.every(({ running, before, name }) => running === first.running && before.name === name);
    if (isWhole) kept.push({ plan, running: first.running });
    else formed.push({ plan, continuing, fresh });
  }
  const leaving = groups.flatMap((running) => {
    const instances = running.plan.instances.filter((one) => !going.has(one));
    if (instances.length === 0) return [];
    return [{ running, instances, isPart: instances.length < running.plan.instances.length }];
  });
  return { kept, formed, leaving };
}

/** Whether an instance of `after` takes a name or an address of `before`: they cannot both be there. */
export function isTakenBy(before: GroupPlan, after: GroupPlan): boolean {
  const names = new Set(before.instances.map(({ name }) => name));
  const addresses = new Set(before.instances.flatMap((one) => one.addresses.map(addressText)));
  return after.instances.some((one) => names.has(one.name) || sharesAddress(one, addresses));
}

/** `held`: addresses as `addressText` writes them. */
export function sharesAddress({ addresses }: VrrpInstance, held: ReadonlySet<string>): boolean {
  return addresses.some((address) => held.has(addressText(address)));
}
