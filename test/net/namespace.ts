/** Tests in a network namespace of their own: nothing they do reaches the host, nothing of it is left behind. */
import { execFileSync, spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const INSIDE = 'LVS_DIRECTOR_TEST_NAMESPACE';

/** Why no namespace can be had here; undefined when one can. */
function obstacle(): string | undefined {
  if (process.getuid?.() !== 0) {
    return 'network namespaces need root';
  }
  const { status } = spawnSync('unshare', ['--net', '--mount', 'true']);
  return status === 0 ? undefined : 'unshare --net --mount is not permitted here';
}

/**
 * Runs `body`, which declares tests, in a child process in fresh network and mount namespaces with `lo` up. The child
 * executes the same test file (`import.meta.url`) once more. Skips with a reason where that cannot be.
 */
export async function runInNamespace(testUrl: string, body: () => Promise<void>): Promise<void> {
  if (process.env[INSIDE] === '1') {
    ip('link set lo up');
    await body();
    return;
  }
  const reason = obstacle();
  if (reason !== undefined) {
    t.plan(0, reason);
    return;
  }
  // /sys and /proc/sys/net show the namespace of the process that mounts or opens them.
  const script = 'mount -t sysfs sysfs /sys && exec "$@"';
  const argv = ['--net', '--mount', 'sh', '-c', script, 'sh', process.execPath, fileURLToPath(testUrl)];
  await t.spawn('unshare', argv, { env: { ...process.env, [INSIDE]: '1' } }, 'in a network namespace');
}

/** ip(8), from iproute2. Throws when it fails. */
export function ip(command: string): string {
  return execFileSync('ip', command.split(' '), { encoding: 'utf8' });
}

/** Waits until `condition` holds; throws when it does not within `limitMs`. */
export async function eventually(
  what: string,
  condition: () => boolean | Promise<boolean>,
  limitMs = 30_000,
): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > endMs) {
      throw new Error(`not within ${limitMs} ms: ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
