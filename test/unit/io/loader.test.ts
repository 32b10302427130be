/** The process that reads and checks the configuration: what it leaves, and what becomes of one that fails. */
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { waitFor } from '../../../src/drill/wait.js';
import { keepConfiguration, readConfiguration } from '../../../src/io/host/configuration-files.js';
import { AHEAD, openLoader, openLoaderAhead } from '../../../src/io/processes/loader.js';
import type { LoadRequest } from '../../../src/runtime/configuration.js';
import { MAIN } from '../../program.js';

const YAML = `version: 1
directors: { lb1: { address: 10.0.0.1 }, lb2: { address: 10.0.0.2 } }
vrrp:
  instances:
    - { name: outside, interface: eth0, virtual_router_id: 51, addresses: [192.0.2.1/24] }
virtual_servers:
  - name: web
    address: 192.0.2.1
    port: 80
    forwarding: nat
    real_servers: [{ address: 10.0.0.9 }, { address: 10.0.0.10 }]
`;

function folder(t: Test): string {
  const path = mkdtempSync(join(tmpdir(), 'loader-'));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function requestFor(directory: string, yaml: string, maxFaults = 3): LoadRequest {
  const config = join(directory, 'director.yaml');
  writeFileSync(config, yaml);
  return { config, director: 'lb1', runtimeDirectory: join(directory, 'run'), maxFaults };
}

/** A loader that is another program. */
function loaderOf(directory: string, code: string, limitMs = 60_000) {
  const main = join(directory, 'main.mjs');
  writeFileSync(main, code);
  return openLoader({ main, limitMs });
}

void t.test('a good file: the election gets its part, the services process the whole', async (t) => {
  const request = requestFor(folder(t), YAML);
  const answer = await openLoader({ main: MAIN })(request);
  if (!answer.ok) throw new Error(JSON.stringify(answer));
  const { election, path, ...counts } = answer.configuration;
  t.match(counts, { virtualServers: 1, realServers: 2, sha256: /^[0-9a-f]{64}$/ });
  t.match(election, { director: 'lb1', instances: [{ name: 'outside', priority: 100 }] });
  t.notOk(Object.hasOwn(election, 'virtualServers'));
  t.equal((statSync(path).mode & 0o777).toString(8), '600');
  t.equal((statSync(request.runtimeDirectory).mode & 0o777).toString(8), '700');
  const whole = await readConfiguration(path);
  t.match(whole, {
    ...election,
    virtualServers: [{ name: 'web', realServers: [{ port: 80 }, { port: 80 }] }],
  });

  const another = await openLoader({ main: MAIN })({ ...request, director: undefined, current: 'lb1' });
  t.match(
    another,
    { ok: true, configuration: { election: { director: 'lb1' } } },
    'whatever the host is called',
  );

  const second = await openLoader({ main: MAIN })(request);
  if (!second.ok) throw new Error(JSON.stringify(second));
  t.not(second.configuration.path, path, 'one that runs is never overwritten');
  await keepConfiguration(request.runtimeDirectory, path);
  t.same(readdirSync(request.runtimeDirectory).length, 1);
  t.ok(existsSync(path));
  await keepConfiguration(request.runtimeDirectory, undefined);
  t.same(readdirSync(request.runtimeDirectory), []);
});

void t.test('a faulty file: no more faults than were asked for, and nothing is left', async (t) => {
  const request = requestFor(folder(t), `${YAML}a: 1\nb: 1\nc: 1\nd: 1\ne: 1\n`);
  const answer = await openLoader({ main: MAIN })(request);
  t.match(answer, { ok: false, untold: 2 });
  t.match('faults' in answer && answer.faults, [/director\.yaml:12:1: a: unknown key/, /: b: /, /: c: /]);
  t.notOk(existsSync(request.runtimeDirectory));
  const missing = await openLoader({ main: MAIN })({ ...request, config: '/nowhere.yaml' });
  t.match(missing, { ok: false, unreadable: /cannot read the configuration \/nowhere.yaml: no such file/ });
});

void t.test('a place where nothing can be left', async (t) => {
  const plain = requestFor(folder(t), YAML);
  const request = { ...plain, runtimeDirectory: join(plain.config, 'below') };
  const answer = await openLoader({ main: MAIN })(request);
  t.match(answer, { ok: false, failed: /cannot be left in .*below: ENOTDIR/ });
});

void t.test('one that crashes, hangs, talks too much or cannot be started', async (t) => {
  const directory = folder(t);
  const request = requestFor(directory, YAML);
  const words = async (load: ReturnType<typeof openLoader>) => {
    const answer = await load(request);
    return 'failed' in answer ? answer.failed : JSON.stringify(answer);
  };
  t.match(await words(loaderOf(directory, 'process.exit(7);')), /ended early \(exit status 7\)/);
  t.match(
    await words(
      loaderOf(directory, "process.stdout.write('{\"ok\":'); process.kill(process.pid, 'SIGKILL');"),
    ),
    /ended early \(SIGKILL\)/,
  );
  t.match(await words(loaderOf(directory, 'setInterval(() => {}, 1000);', 300)), /not be read within 0.3 s/);
  t.match(
    await words(
      loaderOf(directory, "process.stdout.write('x'.repeat(9_000_000)); setInterval(() => {}, 1000);"),
    ),
    /has more than \d+ bytes of instances/,
  );
  const { execPath } = process;
  t.teardown(() => {
    process.execPath = execPath;
  });
  process.execPath = '/nowhere/node';
  t.match(await words(openLoader({ main: MAIN })), /cannot be started \(spawn \/nowhere\/node ENOENT\)/);
});

/** Loaders that wait, children of this process. */
function waiting(): number[] {
  return readdirSync('/proc').flatMap((name) => {
    try {
      const argv = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      const parent = /^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${name}/status`, 'utf8'))?.[1];
      return argv.includes(AHEAD) && parent === String(process.pid) ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

/** Resolves when so many wait. */
async function wait(count: number): Promise<number[]> {
  const limits = { timeoutMs: 60_000, everyMs: 20, signal: new AbortController().signal };
  await waitFor(
    `${count} that wait`,
    () => (waiting().length === count ? undefined : `${waiting().length} do`),
    limits,
  );
  return waiting();
}

void t.test('one that waits answers the next request, and another one is made', async (t) => {
  const request = requestFor(folder(t), YAML);
  const loader = openLoaderAhead({ main: MAIN, afterMs: 1 });
  t.teardown(() => loader.keepReady(false));
  t.match(await loader.load(request), { ok: true });
  t.same(waiting(), [], 'nobody asked for one');

  loader.keepReady(true);
  const first = await wait(1);
  t.match(await loader.load(request), { ok: true, configuration: { virtualServers: 1 } });
  const second = await wait(1);
  t.notSame(second, first, 'the first has answered and ended');
  const faulty = requestFor(folder(t), `${YAML}a: 1\n`);
  t.match(await loader.load(faulty), { ok: false, faults: [/director\.yaml:12:1: a: unknown key/] });

  const [third = 0] = await wait(1);
  process.kill(third, 'SIGKILL');
  t.match(await loader.load(request), { ok: true }, 'one is started in its place');

  await wait(1);
  loader.keepReady(false);
  t.same(await wait(0), [], 'none, when none is wanted any more');
});
