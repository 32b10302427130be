/** Users of the host, from /etc/passwd. */
import { readFile } from 'node:fs/promises';

/** Runs what names no user. */
export const UNPRIVILEGED_USER = 'nobody';

export interface User {
  readonly uid: number;
  /** Of the user's primary group. */
  readonly gid: number;
}

/** Undefined when there is no such user. Read anew each time, so that a user added later is found. */
export async function findUser(name: string): Promise<User | undefined> {
  const text = await readFile('/etc/passwd', 'utf8');
  for (const line of text.split('\n')) {
    const [user, , uid, gid] = line.split(':');
    if (user !== name || uid === undefined || gid === undefined) continue;
    if (/^\d+$/.test(uid) && /^\d+$/.test(gid)) return { uid: Number(uid), gid: Number(gid) };
  }
  return undefined;
}
