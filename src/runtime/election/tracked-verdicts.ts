/** What is known of tracked objects, for groups that begin to track one later. */
import type { TrackedObject, TrackUse } from '../../config/model.js';
import type { GroupInput, TrackState } from '../../vrrp/group-types.js';

interface Verdict {
  readonly state: TrackState;
  /** A file's number. */
  readonly value: number | undefined;
}

export class TrackedVerdicts {
  readonly #verdicts = new Map<string, Verdict>();

  set(object: string, verdict: Verdict): void {
    this.#verdicts.set(object, verdict);
  }

  /** Forgets those of objects that are tracked no more. */
  keep(objects: readonly TrackedObject[]): void {
    const known = new Set(objects.map(({ name }) => name));
    for (const name of this.#verdicts.keys()) if (!known.has(name)) this.#verdicts.delete(name);
  }

  /** Inputs for a group that tracks these. */
  inputs(track: readonly TrackUse[]): readonly GroupInput[] {
    return track.flatMap(({ object }) => {
      const verdict = this.#verdicts.get(object);
      return verdict === undefined ? [] : { type: 'tracked', object, ...verdict };
    });
  }
}
