/** Address changes of a group that are not done yet. What one takes away the guardian must know until it is gone. */
import type { VrrpInstance } from '../../config/model.js';
import type { Holdings } from '../guardian/guardian-orders.js';

export class Changes {
  /** By instance; undefined: one that takes nothing away. */
  readonly #underWay = new Map<string, Set<{ readonly leaving: Holdings | undefined }>>();
  #count = 0;

  /** How many are under way or waiting. */
  get count(): number {
    return this.#count;
  }

  isChanging(instance: string): boolean {
    return (this.#underWay.get(instance)?.size ?? 0) > 0;
  }

  /** What may still be there of an instance beside what its settings say; undefined: nothing. */
  leaving(config: VrrpInstance): Holdings | undefined {
    // Asked for every instance before a takeover, and as a rule there is nothing.
    if (!this.isChanging(config.name)) return undefined;
    const told = [...(this.#underWay.get(config.name) ?? [])].flatMap(({ leaving }) => leaving ?? []);
    const beside = <T>(listOf: (one: Holdings) => readonly T[]): readonly T[] => {
      const others = new Map(told.flatMap(listOf).map((one) => [JSON.stringify(one), one]));
      for (const one of listOf(config)) others.delete(JSON.stringify(one));
      return [...others.values()];
    };
    const [addresses, routes, rules] = [
      beside((one) => one.addresses),
      beside((one) => one.routes),
      beside((one) => one.rules),
    ];
    return addresses.length + routes.length + rules.length === 0 ? undefined : { addresses, routes, rules };
  }

  /** Returns what ends it. */
  begin(instance: string, leaving?: Holdings): () => void {
    const change = { leaving };
    const changes = this.#underWay.get(instance) ?? new Set();
    changes.add(change);
    this.#underWay.set(instance, changes);
    this.#count += 1;
    return () => {
      changes.delete(change);
      this.#count -= 1;
    };
  }

  /** An instance of another group goes on here, as `name`, with what is not done there. */
  takeOver(from: Changes, instance: string, name: string): void {
    const changes = from.#underWay.get(instance);
    if (changes !== undefined) this.#underWay.set(name, changes);
  }
}
