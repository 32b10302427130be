/** Files of the program under a director that runs: an update removes and replaces them, and its processes must not be mixed with others. */
import { openSync, readFileSync } from 'node:fs';
import { nativeFile } from '../sockets/native.js';

/** What is on the disk is not the program that runs. */
export class ProgramChangedError extends Error {
  override readonly name = 'ProgramChangedError';
  readonly code = 'ERR_PROGRAM_CHANGED';
}

/**
 * Remembers the program as it is now; what is returned throws when it is another one. `main`: its entry, which has the digests
 * of all parts of the bundle in their names, so that its text stands for the whole.
 *
 * @throws {ProgramChangedError} from the function that is returned.
 */
export function rememberProgram(main: string): () => void {
  const then = textOf(main);
  return () => {
    if (textOf(main) === then) return;
    throw new ProgramChangedError(
      'the program on the disk is not the one that runs, since an update replaced or removed it: restart this director',
    );
  };
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

export interface HeldExecutable {
  /** What to start: this very file, also when its name has gone or stands for another one. */
  readonly file: string;
  /** As which it is to be seen (`argv0`). */
  readonly name: string;
}

/**
 * Holds an executable of the program open for as long as this process lives: execve(2) of a descriptor's name in /proc takes the
 * file behind it, and the child resolves that name before the descriptor is closed (O_CLOEXEC).
 *
 * @throws {NativePartError} when it is not compiled; the system's error when it cannot be opened.
 */
export function holdExecutable(name: 'guardian' | 'runner'): HeldExecutable {
  const file = nativeFile(name);
  return { file: `/proc/self/fd/${openSync(file, 'r')}`, name: file };
}
