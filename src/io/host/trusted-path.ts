/** Whether a program may run as root: whoever can change it, or a directory on the way to it, would be root. */
import { lstat, readlink } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';

/** As the kernel's MAXSYMLINKS. */
const MAX_SYMLINKS = 40;

const WRITABLE_BY_OTHERS = 0o022;
const STICKY = 0o1000;

/**
 * Looks at every directory, symbolic link and file on the way to an absolute path.
 * @returns what makes it unsafe, as the end of a sentence; undefined when only root can change it
 * @throws the system's error when a part of the path is missing
 */
export async function untrustedPart(path: string): Promise<string | undefined> {
  let links = 0;
  let done = '/';
  const rest = parts(path);
  for (;;) {
    const { uid, mode, isLink, isDirectory } = await inspect(done);
    if (uid !== 0) return `${done} does not belong to root`;
    if (isLink) {
      links += 1;
      if (links > MAX_SYMLINKS) return `${path} has more than ${MAX_SYMLINKS} symbolic links`;
      rest.unshift(...parts(resolve(dirname(done), await readlink(done))));
      done = '/';
      continue;
    }
    // In a sticky directory (such as /tmp) nobody can replace what belongs to root.
    if ((mode & WRITABLE_BY_OTHERS) !== 0 && !(isDirectory && (mode & STICKY) !== 0)) {
      return `${done} can be written by others than root`;
    }
    const next = rest.shift();
    if (next === undefined) return undefined;
    done = join(done, next);
  }
}

function parts(path: string): string[] {
  return path.split('/').filter((part) => part !== '');
}

async function inspect(path: string) {
  const stat = await lstat(path);
  return { uid: stat.uid, mode: stat.mode, isLink: stat.isSymbolicLink(), isDirectory: stat.isDirectory() };
}
