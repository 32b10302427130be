/** Where this program's own files are. They lie below this one as in `src`, compiled one by one as in the bundle. */
import { fileURLToPath } from 'node:url';

/** Path of a compiled file, by its place below `src`. */
export function programFile(path: string): string {
  return fileURLToPath(new URL(path, import.meta.url));
}

/** The entry, which is started again for each process of a director. */
export const MAIN = programFile('main.js');

/** The ready configurations. */
export const CONFIG_FOLDER = programFile('../../config');
