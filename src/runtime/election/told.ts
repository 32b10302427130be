/** What this director was told, for groups that begin later: verdicts, the operator's switch, how complete its table is. */
import type { TrackedObject } from '../../config/model.js';
import type { GroupPlan } from '../../planning/groups.js';
import { renameIn } from '../../util/rename-in.js';
import type { GroupInput, GroupState, TrackState } from '../../vrrp/group-types.js';

interface Verdict {
  readonly state: TrackState;
  /** A file's number. */
  readonly value: number | undefined;
}

export class Told {
  readonly #verdicts = new Map<string, Verdict>();
  readonly #maintained = new Set<string>();
  /** Undefined: the services process has not said a word of it. */
  sync: (GroupInput & { readonly type: 'sync-progress' }) | undefined;

  verdict(object: string, verdict: Verdict): void {
    this.#verdicts.set(object, verdict);
  }

  /** Forgets verdicts on objects that are tracked no more. */
  keep(objects: readonly TrackedObject[]): void {
    const known = new Set(objects.map(({ name }) => name));
    for (const name of this.#verdicts.keys()) if (!known.has(name)) this.#verdicts.delete(name);
  }

  maintenance(instances: readonly string[], on: boolean): void {
    for (const name of instances) {
      if (on) this.#maintained.add(name);
      else this.#maintained.delete(name);
    }
  }

  /** Instances that go on have other names, by those before. */
  renamed(names: ReadonlyMap<string, string>): void {
    renameIn(this.#maintained, names);
  }

  /**
   * Inputs for a group that begins, or has new settings. One that runs knows how complete the table is, or has lost that
   * since the last word.
   */
  inputs({ instances, track }: GroupPlan, { maintenance, phase }: GroupState): readonly GroupInput[] {
    const verdicts = track.flatMap(({ object }): GroupInput[] => {
      const verdict = this.#verdicts.get(object);
      return verdict === undefined ? [] : [{ type: 'tracked', object, ...verdict }];
    });
    const on = instances.some(({ name }) => this.#maintained.has(name));
    return [
      ...verdicts,
      ...(on === maintenance ? [] : [{ type: 'maintenance', on } as const]),
      ...(phase === 'stopped' && this.sync !== undefined ? [this.sync] : []),
    ];
  }
}
