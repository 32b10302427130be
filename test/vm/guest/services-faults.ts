/**
 * Runs inside the VM: two directors of the nat topology and what befalls their kernels: sync daemons stopped, their
 * interface made anew, a table emptied, real servers that die, leave the file or go to weight 0, with TCP and UDP clients
 * all the while. Prints one JSON object, which test/vm/services-faults.long.test.ts judges.
 *
 * Usage: services-faults.js OUT_DIR (takes the directors' logs)
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ClientControl } from '../../../src/drill/client/client-control.js';
import type { ClientResults } from '../../../src/drill/client/client-protocol.js';
import { Director } from '../../../src/drill/lab/director.js';
import { Lab } from '../../../src/drill/lab/lab.js';
import { startRealServer } from '../../../src/drill/lab/server-control.js';
import { TOPOLOGIES } from '../../../src/drill/lab/topology.js';
import { projectFolder } from '../../../src/drill/vm/session.js';
import { waitFor } from '../../../src/drill/wait.js';
import type { DirectorStatus } from '../../../src/runtime/status.js';
import { MAIN } from '../../program.js';

type Verified = ClientResults['verify']['connections'];
type Sync = DirectorStatus['connection_sync'];

export interface ServicesFaultsReport {
  /** Without the sync interface on lb1, then with it. */
  readonly late: { readonly without: Sync; readonly with: Sync };
  /** Milliseconds until the kernel had both daemons again after `ipvsadm --stop-daemon`. */
  readonly stoppedDaemonMs: number;
  /** Status and the kernel's list after a reload to an interface that is not there, and after the way back. */
  readonly badReload: { readonly status: Sync; readonly kernel: string; readonly back: Sync };
  /** After the sync interfaces were made anew: both kernels' group memberships. */
  readonly madeAnew: { readonly sync: readonly Sync[]; readonly warnings: readonly string[] };
  /** `ipvsadm -C`: until the table was whole again, and what the log said. */
  readonly emptied: { readonly ms: number; readonly said: readonly string[] };
  /** The real server that the UDP client spoke to goes dark. */
  readonly dead: {
    readonly before: string;
    readonly after: string;
    /** From the verdict in the log to the first answer of another real server. */
    readonly movedMs: number;
    readonly connections: Verified;
    readonly onDead: readonly number[];
  };
  /** A persistent client before and after its real server got weight 0. */
  readonly quiescent: {
    readonly before: Readonly<Record<string, number>>;
    readonly after: Readonly<Record<string, number>>;
    readonly left: string;
  };
  /** A real server removed by a reload. */
  readonly drained: {
    readonly status: readonly unknown[];
    readonly table: string;
    readonly spread: Readonly<Record<string, number>>;
    readonly kept: Verified;
    readonly tableAfter: string;
    readonly gone: Verified;
  };
  /** A planned stop of the master after all this. */
  readonly stop: Verified;
}

const UDP = fileURLToPath(new URL('udp.js', import.meta.url));
const { signal } = new AbortController();
const SOON = { timeoutMs: 90_000, everyMs: 50, signal };
const UP = { timeoutMs: 240_000, everyMs: 250, signal };
const { vip } = TOPOLOGIES.nat;
const UDP_PORT = 5300;
const PERSISTENT_PORT = 8088;
const NAMES = ['lb1', 'lb2'] as const;
type Name = (typeof NAMES)[number];
const RIP = { rs1: '10.10.10.2', rs2: '10.10.10.3' } as const;

const [outDir = '.'] = process.argv.slice(2);
const started = performance.now();
function say(what: string): void {
  process.stderr.write(`${Math.round((performance.now() - started) / 1000)} s: ${what}\n`);
}

interface FileOptions {
  readonly syncInterface?: string;
  readonly servers?: readonly string[];
  readonly persistentWeights?: Readonly<Record<string, number>>;
}

function configText({
  syncInterface = 'sync0',
  servers = ['rs1', 'rs2'],
  persistentWeights = {},
}: FileOptions) {
  const original = readFileSync(join(projectFolder(), 'config', 'nat.yaml'), 'utf8');
  const head = original.slice(0, original.indexOf('virtual_servers:'));
  const real = (
    names: readonly string[],
    port: number,
    weights: Readonly<Record<string, number>> = {},
  ): string =>
    names
      .map((name) => {
        const address = name === 'rs1' ? RIP.rs1 : RIP.rs2;
        return `      - { address: ${address}, port: ${port}, weight: ${weights[name] ?? 1} }\n`;
      })
      .join('');
  const server = (name: string, port: number, protocol: string, rest: string, servers: string): string =>
    `  - name: ${name}\n    address: ${vip}\n    port: ${port}\n    protocol: ${protocol}\n    scheduler: rr\n` +
    `    forwarding: nat\n${rest}    health_check: { tcp: {}, interval: 1s, timeout: 1s, rise: 1, fall: 4 }\n` +
    `    real_servers:\n${servers}`;
  const both = ['rs1', 'rs2'];
  return (
    head.replace('interface: eth1\n  id: 51', `interface: ${syncInterface}\n  id: 51`) +
    'virtual_servers:\n' +
    server('web', 80, 'tcp', '', real(servers, 80)) +
    server('names', UDP_PORT, 'udp', '', real(both, UDP_PORT)) +
    server(
      'sticky',
      PERSISTENT_PORT,
      'tcp',
      '    persistence: { timeout: 5m }\n',
      real(both, 80, persistentWeights),
    )
  );
}

class Pair {
  readonly lab = new Lab(TOPOLOGIES.nat);
  readonly workDir = mkdtempSync(join(tmpdir(), 'services-faults-'));
  readonly configFile = join(this.workDir, 'director.yaml');
  readonly client: ClientControl[] = [];
  readonly events: { name: Name; event: string; message: string; atMs: number }[] = [];
  readonly answers: { atMs: number; server: string }[] = [];
  readonly directors = NAMES.map(
    (name) =>
      new Director(this.lab, {
        name,
        command: [process.execPath, MAIN],
        configFile: this.configFile,
        runtimeDir: join(this.workDir, name),
        logFile: join(outDir, `${name}.log`),
        onEvent: ({ event, message, atMs }) => this.events.push({ name, event, message, atMs }),
        onExit: () => {},
      }),
  );

  write(options: FileOptions): void {
    writeFileSync(this.configFile, configText(options));
  }

  director(name: Name): Director {
    const director = this.directors[NAMES.indexOf(name)];
    if (director === undefined) throw new Error(name);
    return director;
  }

  async status(name: Name): Promise<DirectorStatus | undefined> {
    return this.director(name).status();
  }

  async until(what: string, of: (status: DirectorStatus) => boolean, name: Name = 'lb1', limits = SOON) {
    await waitFor(
      what,
      async () => {
        const status = await this.status(name);
        return status !== undefined && of(status) ? undefined : JSON.stringify(status ?? 'no status');
      },
      limits,
    );
    return (await this.status(name))?.connection_sync ?? null;
  }

  async reload(options: FileOptions): Promise<void> {
    this.write(options);
    for (const director of this.directors) director.signal('SIGHUP');
  }

  async makeSyncInterface(name: Name): Promise<void> {
    const address = name === 'lb1' ? '10.99.0.11/24' : '10.99.0.12/24';
    const batch = [
      'link add sync0 link eth1 type macvlan mode bridge',
      `addr add ${address} dev sync0`,
      'link set sync0 up',
      '',
    ];
    await this.lab.run(name, ['ip', '-batch', '-'], batch.join('\n'));
  }

  kernelDaemons(name: Name): Promise<string> {
    return this.lab.run(name, ['ipvsadm', '-L', '--daemon']);
  }

  async table(name: Name = 'lb1'): Promise<string> {
    return this.lab.run(name, ['ipvsadm', '-Ln']);
  }

  async told(name: Name, event: string, from: number): Promise<string[]> {
    const of = this.events.slice(from).filter((one) => one.name === name && one.event === event);
    return of.map(({ message }) => message);
  }

  get one(): ClientControl {
    const [client] = this.client;
    if (client === undefined) throw new Error('no client');
    return client;
  }

  async verify(): Promise<Verified> {
    const { connections } = await this.one.send({ command: 'verify', timeoutMs: 20_000, only: null });
    await this.one.send({ command: 'close' });
    return connections;
  }

  async open(count: number): Promise<void> {
    await this.one.send({ command: 'open', address: vip, port: 80, count });
  }

  async spread(port: number): Promise<Readonly<Record<string, number>>> {
    return (await this.one.send({ command: 'spread', address: vip, port, count: 6 })).servers;
  }

  /** Ports of the client's connections to a real server, as lb1's kernel has them. */
  async portsOn(realServer: string): Promise<number[]> {
    const lines = (await this.lab.run('lb1', ['ipvsadm', '-Lnc'])).split('\n');
    return lines
      .filter(
        (line) => line.startsWith('TCP') && line.includes(`${vip}:80 `) && line.includes(` ${realServer}:80`),
      )
      .map((line) => Number(/ 192\.168\.1\.2:(\d+) /.exec(line)?.[1]));
  }
}

const bothRun = ({ connection_sync: sync }: DirectorStatus): boolean =>
  sync?.daemons.length === 2 && sync.faults?.length === 0;
const allUp = ({ virtual_servers: servers }: DirectorStatus): boolean =>
  servers.every((server) => server.real_servers.every(({ health }) => health === 'up'));

async function begin(pair: Pair): Promise<ServicesFaultsReport['late']> {
  const { lab } = pair;
  await lab.build();
  pair.write({});
  await pair.makeSyncInterface('lb2');
  // One after the other: each start takes seconds under emulation.
  for (const host of lab.hosts('real-server')) {
    await startRealServer(lab, host);
    await new Promise<void>((resolve) => {
      const command = [process.execPath, UDP, 'serve', host.name, String(UDP_PORT)];
      lab.start(host.name, command, { onLine: () => resolve() });
    });
  }
  const client = new ClientControl(lab, 'client');
  pair.client.push(client);
  await client.ready();
  say('servers and client are up');
  await pair.director('lb1').start();
  const without = await pair.until(
    'lb1 is master',
    (status) => status.instances.every(({ state }) => state === 'master') && allUp(status),
    'lb1',
    UP,
  );
  await pair.makeSyncInterface('lb1');
  const late = await pair.until('the late interface is used', bothRun);
  await pair.director('lb2').start();
  await pair.until(
    'lb2 is backup',
    (status) => status.instances.every(({ state }) => state === 'backup') && allUp(status) && bothRun(status),
    'lb2',
    UP,
  );
  lab.start('client', [process.execPath, UDP, 'ask', vip, String(UDP_PORT)], {
    onLine: (line) => {
      const [at = '', server = ''] = line.split(' ');
      pair.answers.push({ atMs: Number(at), server });
    },
  });
  await waitFor('UDP is answered', () => (pair.answers.length > 0 ? undefined : 'no answer'), UP);
  return { without, with: late };
}

async function stoppedDaemon(pair: Pair): Promise<number> {
  await pair.lab.run('lb1', ['ipvsadm', '--stop-daemon', 'master']);
  await pair.lab.run('lb2', ['ipvsadm', '--stop-daemon', 'backup']);
  const from = performance.now();
  for (const name of NAMES) {
    await waitFor(
      `both daemons run on ${name}`,
      async () => {
        const lines = (await pair.kernelDaemons(name)).trimEnd().split('\n');
        return lines.length === 2 ? undefined : lines.join(' | ');
      },
      SOON,
    );
  }
  return Math.round(performance.now() - from);
}

async function badReload(pair: Pair): Promise<ServicesFaultsReport['badReload']> {
  await pair.reload({ syncInterface: 'nosuch0' });
  const status = await pair.until(
    'the missing interface is told',
    (now) => now.connection_sync?.interface === 'nosuch0' && (now.connection_sync.faults ?? []).length > 0,
  );
  const kernel = await pair.kernelDaemons('lb1');
  await pair.reload({});
  const back = await pair.until('back', (now) => now.connection_sync?.interface === 'sync0' && bothRun(now));
  return { status, kernel, back };
}

async function madeAnew(pair: Pair): Promise<ServicesFaultsReport['madeAnew']> {
  const from = pair.events.length;
  for (const name of NAMES) {
    await pair.lab.run(name, ['ip', 'link', 'del', 'sync0']);
    await pair.makeSyncInterface(name);
  }
  for (const name of NAMES) {
    await waitFor(
      `${name} listens again`,
      async () => ((await pair.lab.procNet(name, 'igmp')).includes('510000E0') ? undefined : 'no member'),
      SOON,
    );
    await waitFor(
      `${name} starts its master daemon anew`,
      async () =>
        (await pair.told(name, 'sync-daemon', from)).some(
          (line) => line.includes('the master') && line.endsWith('started'),
        )
          ? undefined
          : 'not yet',
      SOON,
    );
  }
  const sync = [await pair.until('lb1', bothRun, 'lb1'), await pair.until('lb2', bothRun, 'lb2')];
  return { sync, warnings: await pair.told('lb1', 'sync-daemon', from) };
}

async function emptied(pair: Pair): Promise<ServicesFaultsReport['emptied']> {
  const from = pair.events.length;
  const before = (await pair.table()).split('\n').length;
  await pair.lab.run('lb1', ['ipvsadm', '-C']);
  const clearedMs = performance.now();
  await waitFor(
    'the table is back',
    async () => ((await pair.table()).split('\n').length === before ? undefined : 'not yet'),
    SOON,
  );
  const ms = Math.round(performance.now() - clearedMs);
  return { ms, said: await pair.told('lb1', 'ipvs-repair', from) };
}

async function dead(pair: Pair): Promise<ServicesFaultsReport['dead']> {
  await pair.until('all are up', allUp);
  const before = pair.answers.at(-1)?.server === 'rs2' ? 'rs2' : 'rs1';
  await pair.open(2);
  const onDead = await pair.portsOn(RIP[before]);
  const from = pair.events.length;
  await pair.lab.cables(before, 'down');
  await waitFor(
    'the verdict',
    () =>
      pair.events
        .slice(from)
        .some(({ name, message }) => name === 'lb1' && /^names: real server .* is down/.test(message))
        ? undefined
        : 'none yet',
    SOON,
  );
  const verdictMs = pair.events
    .slice(from)
    .find(({ name, message }) => name === 'lb1' && /^names: .* is down/.test(message))?.atMs;
  let moved: { atMs: number; server: string } | undefined;
  await waitFor(
    'the UDP client moves',
    () => {
      moved = pair.answers.find((one) => one.atMs >= (verdictMs ?? 0) && one.server !== before);
      return moved === undefined ? `last answer: ${JSON.stringify(pair.answers.at(-1))}` : undefined;
    },
    SOON,
  );
  await pair.until('web is down there too', (status) =>
    status.virtual_servers.every((server) => server.real_servers.some(({ health }) => health === 'down')),
  );
  const connections = await pair.verify();
  await pair.lab.cables(before, 'up');
  await pair.until('all are up again', allUp);
  return {
    before,
    after: moved?.server ?? '',
    movedMs: (moved?.atMs ?? 0) - (verdictMs ?? 0),
    connections,
    onDead,
  };
}

async function quiescent(pair: Pair): Promise<ServicesFaultsReport['quiescent']> {
  const before = await pair.spread(PERSISTENT_PORT);
  const left = Object.keys(before)[0] ?? 'rs1';
  await pair.reload({ persistentWeights: { [left]: 0 } });
  await pair.until('the weight is 0', (status) =>
    status.virtual_servers.some((server) => server.real_servers.some(({ weight }) => weight === 0)),
  );
  await waitFor(
    'the kernel has it',
    async () =>
      / 0 +\d+ +\d+ *$/m.test(await pair.lab.procNet('lb1', 'ip_vs')) ? undefined : await pair.table(),
    SOON,
  );
  const after = await pair.spread(PERSISTENT_PORT);
  await pair.reload({});
  await pair.until('back', (status) =>
    status.virtual_servers.every((server) => server.real_servers.every(({ weight }) => weight === 1)),
  );
  return { before, after, left };
}

async function drained(pair: Pair): Promise<ServicesFaultsReport['drained']> {
  await pair.open(2);
  await pair.reload({ servers: ['rs2'] });
  const draining = (status: DirectorStatus) =>
    status.virtual_servers.flatMap((server) => server.draining ?? []);
  await pair.until('it drains', (status) => draining(status).length > 0);
  const now = await pair.status('lb1');
  const table = await pair.table();
  const spread = await pair.spread(80);
  const { connections: kept } = await pair.one.send({ command: 'verify', timeoutMs: 20_000, only: null });
  await pair.until('it is gone', (status) => draining(status).length === 0);
  const tableAfter = await pair.table();
  const gone = await pair.verify();
  await pair.reload({});
  await pair.until('back', (status) =>
    status.virtual_servers.every((server) => server.real_servers.length === 2),
  );
  return { status: now === undefined ? [] : draining(now), table, spread, kept, tableAfter, gone };
}

async function main(): Promise<void> {
  const pair = new Pair();
  const late = await begin(pair);
  say('the pair is up');
  const stoppedDaemonMs = await stoppedDaemon(pair);
  say('sync daemons stopped by hand');
  const reload = await badReload(pair);
  say('reload to a missing interface');
  const anew = await madeAnew(pair);
  say('sync interfaces made anew');
  const cleared = await emptied(pair);
  say('table emptied');
  const died = await dead(pair);
  say('a real server died');
  const quiet = await quiescent(pair);
  say('persistent client');
  const drain = await drained(pair);
  say('a real server drained');
  // What goes before the stop: all that a client can have open, told to the peer.
  await pair.until('all are up', allUp);
  await pair.open(3);
  await waitFor(
    'the peer knows the connections',
    async () => {
      const lines = (await pair.lab.run('lb2', ['ipvsadm', '-Lnc'])).split('\n');
      const known = lines.filter((line) => / ESTABLISHED .*192\.168\.1\.253:80 /.test(line)).length;
      return known >= 9 ? undefined : `${known} known: ${lines.join('\n')}`;
    },
    { ...SOON, timeoutMs: 20_000 },
  ).catch((error: unknown) => say(String(error)));
  pair.director('lb1').signal('SIGTERM');
  await waitFor('lb1 ends', () => (pair.director('lb1').running ? 'it runs' : undefined), SOON);
  const stop = await pair.verify();
  say('planned stop');
  await pair.director('lb2').stop();
  await pair.lab.destroy();
  for (const director of pair.directors) director.closeLog();
  rmSync(pair.workDir, { recursive: true, force: true });
  const report: ServicesFaultsReport = {
    late,
    stoppedDaemonMs,
    badReload: reload,
    madeAnew: anew,
    emptied: cleared,
    dead: died,
    quiescent: quiet,
    drained: drain,
    stop,
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

await main();
