import { join } from 'node:path';
import { monotonicClock } from '../../io/host/clock.js';
import { openStateFile, type StateKind } from '../../io/host/state-file.js';
import type { Log, StateFile } from '../../runtime/ports.js';
import { StateKeeper } from '../../runtime/state-keeper.js';

/** The state of one of the two processes, which whatever happens to its file does not stop. */
export function keepState<State extends object>(
  kind: StateKind<State>,
  directory: string,
  log: Log,
): StateFile<State> {
  return new StateKeeper({
    clock: monotonicClock,
    log,
    name: join(directory, kind.fileName),
    empty: kind.empty,
    file: openStateFile(kind, directory, (path, reason) =>
      log.warn({ err: reason }, `${path} is damaged: starting without it`),
    ),
  });
}
