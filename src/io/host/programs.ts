/** Programs of this host, wherever a shell or a unit has its PATH. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Of an administrator, which the PATH of a user or of a unit may lack. */
const MORE_FOLDERS = ['/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin'];

/** PATH, and behind it the sbin folders. */
export function searchPath(): string {
  return [process.env['PATH'] ?? '', ...MORE_FOLDERS].join(delimiter);
}

/** Where a program is; undefined when it is not there. */
export function findProgram(name: string, path: string = searchPath()): string | undefined {
  return path
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
