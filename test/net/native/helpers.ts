/** A network namespace of the test's own: the test file runs itself again inside it. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const INSIDE = 'LVS_DIRECTOR_TEST_NAMESPACE';

/** Runs a command inside the namespace and throws with its words when it fails. */
export function run(command: string, ...args: string[]): string {
  const result = spawnSync(command, args, { encoding: 'utf8', timeout: 10_000 });
  if (result.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${result.stderr}`);
  return result.stdout;
}

/**
 * True inside a fresh namespace that has a veth pair, `va` (10.9.0.1/24) and `vb` (10.9.0.2/24). Outside it
 * runs the file inside one, passes its results on, and returns false.
 */
export function inNamespace(fileUrl: string): boolean {
  if (process.env[INSIDE] === '1') {
    setUp();
    return true;
  }
  if (process.getuid?.() !== 0) {
    t.pass('skipped: needs root for a network namespace', { skip: 'not root' });
    return false;
  }
  const result = spawnSync('unshare', ['--net', process.execPath, fileURLToPath(fileUrl)], {
    env: { ...process.env, [INSIDE]: '1' },
    stdio: ['ignore', 'pipe', 'inherit'],
    encoding: 'utf8',
    timeout: 60_000,
  });
  process.stdout.write(result.stdout);
  process.exit(result.status ?? 1);
}

function setUp(): void {
  run('ip', 'link', 'add', 'va', 'type', 'veth', 'peer', 'name', 'vb');
  for (const [name, address] of [
    ['va', '10.9.0.1/24'],
    ['vb', '10.9.0.2/24'],
  ] as const) {
    run('ip', 'address', 'add', address, 'dev', name);
    run('ip', 'link', 'set', name, 'up');
    // Both ends live in one namespace: what comes in bears an address of this host.
    run('sysctl', '-qw', `net.ipv4.conf.${name}.accept_local=1`, `net.ipv4.conf.${name}.rp_filter=0`);
  }
  run('sysctl', '-qw', 'net.ipv4.conf.all.rp_filter=0');
  run('ip', 'link', 'set', 'lo', 'up');
}

/** Resolves when `condition` holds, looked at after each turn of `everyMs`; rejects after `limitMs`. */
export async function until(condition: () => boolean, what: string, limitMs = 30_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`not within ${limitMs} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
