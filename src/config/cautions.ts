/** What a good configuration had better not say: told as warnings, with the place in the file. */
import { type DirectorConfig, OWNER_PRIORITY } from './model.js';

export interface Caution {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** In the order of the file's parts. */
export function cautions(config: DirectorConfig): readonly Caution[] {
  const { connectionSync, instances } = config;
  if (connectionSync === undefined) return [];
  return instances.flatMap(({ name, preempt, priority }, position) => {
    // The address owner's preemption is not a matter of choice.
    if (preempt.mode === 'never' || priority === OWNER_PRIORITY) return [];
    const when = preempt.delayMs === 0 ? 'at once' : 'after the delay';
    return {
      path: ['vrrp', 'instances', position, 'preempt'],
      message:
        `a director that returns from a reboot has an empty connection table, and ${name} takes the role back ${when}: ` +
        "connections that were quiet meanwhile are lost; 'preempt: false' keeps them",
    };
  });
}
