/** Directors whose log goes where it cannot be written. */
import { type Bench, directorYaml, type LaunchedDirector, settled, statusOf } from '../daemon-helpers.js';

/** Where standard output and standard error go; "$0" is the folder of the test, "$@" the director. */
export const TROUBLES = {
  'a full file system':
    'mkdir "$0/full-$$" && cd "$0/full-$$" && mount -t tmpfs -o size=64k none . && cd "$PWD" && ' +
    '{ cat /dev/zero > fill || :; } 2>/dev/null && exec "$@" > log 2>&1',
  'a device that is always full': 'exec "$@" > /dev/full 2>&1',
  'a pipe that nobody reads':
    'mkfifo "$0/pipe-$$" && exec 9<> "$0/pipe-$$" && head -c 65536 /dev/zero >&9 && exec "$@" > "$0/pipe-$$" 2>&1',
  'a pipe whose reader is gone':
    'mkfifo "$0/pipe-$$" && exec 9<> "$0/pipe-$$" 8> "$0/pipe-$$" 9<&- && exec "$@" >&8 2>&1',
  'a file that was removed': 'exec 8> "$0/removed-$$" && rm "$0/removed-$$" && exec "$@" >&8 2>&1',
  // Nothing is mapped at address 0 of a process, and write(2) of its /proc/PID/mem says so with EIO.
  'a device that says EIO': `exec "$@" > /proc/${process.pid}/mem 2>&1`,
  'a device that is always full, in the pretty format': 'exec "$@" --log pretty > /dev/full 2>&1',
  nothing: 'exec "$@" >&- 2>&-',
};
export const FULL = TROUBLES['a full file system'];
/** In a mount namespace of its own, so that nothing stays mounted. */
export function troubled(bench: Bench, host: string, shell: string): Promise<LaunchedDirector> {
  return bench.launch(host, directorYaml(), ['unshare', '--mount', '/bin/sh', '-c', shell, bench.folder]);
}

export async function becomes(director: LaunchedDirector, state: string): Promise<void> {
  await settled(`${director.host} is ${state}`, async () => {
    if (!director.child.running) throw new Error(`${director.host} ended`);
    // Its socket comes when it has begun.
    const status = await statusOf(director).catch(() => undefined);
    const [instance] = status?.instances ?? [];
    return instance?.state === state && (state === 'master' || instance.master !== null);
  });
}
