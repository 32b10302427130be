/**
 * Runs inside the VM: one director with virtual servers of many kinds, a client, and who answers it. Prints one JSON
 * object, which test/vm/services-traffic.test.ts judges.
 *
 * Usage: services-traffic.js OUT_DIR (takes the director's log)
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Director } from '../../../src/drill/lab/director.js';
import { Lab } from '../../../src/drill/lab/lab.js';
import type { Child } from '../../../src/drill/lab/process.js';
import { TOPOLOGIES } from '../../../src/drill/lab/topology.js';
import { waitFor } from '../../../src/drill/wait.js';
import type { VirtualServerStatus } from '../../../src/runtime/status.js';
import { MAIN } from '../../program.js';
import { ALL_PORTS_VIP, addressDualStack, addressRealServers, mark, VIP, VIP6 } from './dual-stack.js';

interface Order {
  readonly before: string;
  readonly said: string;
  readonly after: string;
  readonly names: readonly string[];
}

export interface ServicesTrafficReport {
  /** Names of who answered, by what was asked. */
  readonly served: Readonly<Record<string, readonly string[]>>;
  /** While no real server lives. */
  readonly sorry: Readonly<Record<string, readonly string[]>>;
  readonly sorryStatus: readonly VirtualServerStatus[];
  readonly back: Readonly<Record<string, readonly string[]>>;
  /** Real server rs1 of `names`: the answer, the table and who serves; again after a restart and `undrain`. */
  readonly drained: Order;
  readonly restarted: Order;
  /** `ipvsadm -Sn` after the start and while no real server lives. */
  readonly table: string;
  /** `ipvsadm -L --timeout` and net.ipv4.vs.sloppy_tcp before, with and after the director. */
  readonly settings: readonly string[];
  readonly sorryTable: string;
  /** `director list` beside `ipvsadm -Ln`, by the options of the former; the last one after `director zero`. */
  readonly views: readonly View[];
  readonly top: TopReport;
}

/** `director top`. */
interface TopReport {
  /** What a terminal shows, and what it shows afterwards. */
  readonly screen: string;
  readonly left: string;
  /** With `--once`. */
  readonly once: string;
  /** Connections of `web` over IPv4 that lines of `--json` tell of, while a client opened four. */
  readonly connections: number;
}

/** What is looked at of a line of `director top --json`. */
interface TopLine {
  readonly sinceMs: number | null;
  readonly services: readonly {
    readonly name: string | null;
    readonly key: { readonly family: string };
    readonly connectionsPerSecond: number;
  }[];
}

interface View {
  readonly options: string;
  readonly ours: string;
  readonly theirs: string;
}

/** A connection may end between the two looks. */
const LOOKS = 5;

const [outDir = '.'] = process.argv.slice(2);
const NAME_SERVER = fileURLToPath(new URL('name-server.js', import.meta.url));
const { signal } = new AbortController();
const UP = { timeoutMs: 240_000, everyMs: 250, signal };
const REAL_PORTS = ['80', '5300', '8081', '8082'];
const SORRY_PORT = 8090;

const CONFIG = `version: 1
directors: { lb1: { address: 10.10.10.11 } }
ipvs: { timeouts: { tcp: 10m, udp: 30s }, sysctls: { sloppy_tcp: 1, conn_max: 5 } }
virtual_servers:
  - name: web
    addresses: [${VIP}, "${VIP6}"]
    port: 80
    scheduler: rr
    forwarding: nat
    health_check: { tcp: {}, interval: 1s, timeout: 1s, rise: 1, fall: 2 }
    sorry_server: { address: 10.10.10.2, port: ${SORRY_PORT} }
    real_servers: &all [{ address: 10.10.10.2 }, { address: 10.10.10.3 }, { address: "fd00::2" }, { address: "fd00::3" }]
  - name: names
    address: ${VIP}
    port: 5300
    protocol: udp
    scheduler: rr
    one_packet: true
    forwarding: nat
    health_check: &check { tcp: {}, port: 80, interval: 1s, timeout: 1s, rise: 1, fall: 2 }
    real_servers: &v4 [{ address: 10.10.10.2 }, { address: 10.10.10.3 }]
  - { name: marked, fwmark: 7, scheduler: rr, forwarding: nat, persistence: {}, health_check: *check, real_servers: *v4 }
  - name: all-ports
    address: ${ALL_PORTS_VIP}
    port: 0
    scheduler: rr
    forwarding: nat
    persistence: { timeout: 10m }
    health_check: *check
    real_servers: *v4
`;

/** Of the VIP; they are one service to the kernel. */
const MARKED_PORTS = [8081, 8082];

const QUESTIONS = {
  web: `tcp:4:${VIP}:80`,
  web6: `tcp:4:${VIP6}:80`,
  names: `udp:4:${VIP}:5300`,
  marked: `tcp:2:${VIP}:8081`,
  marked2: `tcp:2:${VIP}:8082`,
  all: `tcp:2:${ALL_PORTS_VIP}:80`,
  all2: `tcp:2:${ALL_PORTS_VIP}:8082`,
};

type Questions = readonly (keyof typeof QUESTIONS)[];

class Bench {
  readonly lab = new Lab(TOPOLOGIES.nat);
  readonly workDir = mkdtempSync(join(tmpdir(), 'services-traffic-'));
  readonly director = new Director(this.lab, {
    name: 'lb1',
    command: [process.execPath, MAIN],
    configFile: join(this.workDir, 'director.yaml'),
    runtimeDir: this.workDir,
    logFile: join(outDir, 'lb1.log'),
    onEvent: () => {},
    onExit: () => {},
  });

  async open(): Promise<void> {
    const { lab } = this;
    writeFileSync(join(this.workDir, 'director.yaml'), CONFIG);
    await lab.build();
    await addressDualStack(lab);
    await addressRealServers(lab);
    await mark(lab, MARKED_PORTS);
  }

  serve(host: string, name: string, ports: readonly string[]): Promise<Child> {
    return new Promise((resolve) => {
      const child = this.lab.start(host, [process.execPath, NAME_SERVER, 'serve', name, ...ports], {
        onLine: () => resolve(child),
      });
    });
  }

  async until(what: string, holds: (servers: readonly VirtualServerStatus[]) => boolean): Promise<void> {
    await waitFor(
      what,
      async () => {
        const servers = (await this.director.status())?.virtual_servers;
        return servers !== undefined && holds(servers) ? undefined : JSON.stringify(servers ?? 'no status');
      },
      UP,
    );
  }

  async ask(names: Questions): Promise<Record<string, string[]>> {
    const what = names.map((name) => QUESTIONS[name]);
    const text = await this.lab.run('client', [process.execPath, NAME_SERVER, 'ask', ...what]);
    const answers: string[][] = JSON.parse(text);
    return Object.fromEntries(names.map((name, index) => [name, answers[index] ?? []]));
  }

  async order(action: string): Promise<Order> {
    const before = await this.table();
    const argv = ['10.10.10.2', '--virtual-server', 'names', '--runtime-dir', this.workDir];
    const said = await this.lab.run('lb1', [process.execPath, MAIN, action, ...argv]);
    const after = await this.table();
    const { names = [] } = await this.ask(['names']);
    return { before, said, after, names };
  }

  async settings(): Promise<string> {
    const timeouts = await this.lab.run('lb1', ['ipvsadm', '-L', '--timeout']);
    return timeouts + (await this.lab.run('lb1', ['sysctl', 'net.ipv4.vs.sloppy_tcp']));
  }

  async restart(): Promise<void> {
    await this.director.stop();
    await this.director.start();
    await this.until('all real servers are up again', allAre('up'));
  }

  table(): Promise<string> {
    return this.lab.run('lb1', ['ipvsadm', '-Sn']);
  }

  command(...argv: readonly string[]): Promise<string> {
    return this.lab.run('lb1', [process.execPath, MAIN, ...argv]);
  }

  /** `theirOptions`: where `ipvsadm` has other ones. */
  async view(options: readonly string[], theirOptions = options): Promise<View> {
    let [ours, theirs] = ['', ''];
    for (let look = 0; look < LOOKS; look += 1) {
      theirs = still(await this.lab.run('lb1', ['ipvsadm', '-Ln', ...theirOptions]));
      ours = still(await this.command('list', ...options));
      if (ours === theirs) break;
    }
    return { options: options.join(' '), ours, theirs };
  }

  async views(): Promise<View[]> {
    const views = [
      // First: connections are kept for a minute or two.
      await this.view(['--connection']),
      await this.view(['--connection', '--persistent-conn']),
      await this.view(['--stats']),
      await this.view(['--stats', '--exact']),
      await this.view(['--stats', '--service', `${VIP}:80`], ['--stats', '-t', `${VIP}:80`]),
      await this.view(['--thresholds']),
      await this.view(['--persistent-conn']),
      await this.view(['--sort']),
      await this.view(['--nosort']),
      await this.view(['--timeout']),
    ];
    // One of its own, which the director leaves alone.
    const daemon = ['--mcast-interface', 'eth1', '--syncid', '7', '--mcast-port', '8850', '--mcast-ttl', '3'];
    await this.lab.run('lb1', ['ipvsadm', '--start-daemon', 'master', ...daemon]);
    views.push(await this.view(['--daemon']));
    await this.lab.run('lb1', ['ipvsadm', '--stop-daemon', 'master']);
    await this.command('zero');
    return [...views, await this.view(['--stats'])];
  }

  async top(): Promise<TopReport> {
    const command = [process.execPath, MAIN, 'top', '--runtime-dir', this.workDir];
    const tmux = (...argv: readonly string[]) =>
      this.lab.run('lb1', ['tmux', '-S', join(this.workDir, 'tmux'), ...argv]);
    const shown = async (wanted: RegExp): Promise<string> => {
      let text = '';
      const missing = async () => {
        text = await tmux('capture-pane', '-p');
        return wanted.test(text) ? undefined : text;
      };
      await waitFor(`director top: ${wanted}`, missing, UP);
      return text;
    };
    const shell = ['sh', '-c', '"$@"; echo "ended with $?"; exec sleep 1000', 'sh'];
    await tmux('-f', '/dev/null', 'new-session', '-d', '-x', '140', '-y', '60', ...shell, ...command);
    const screen = await shown(/^web TCP /m);
    await tmux('send-keys', 'q');
    const left = await shown(/ended with/);
    await tmux('kill-server');

    let connections = 0;
    let looks = 0;
    const child = this.lab.start('lb1', [...command, '--json'], {
      onLine: (line) => {
        const { sinceMs, services }: TopLine = JSON.parse(line);
        const web = services.find(({ name, key }) => name === 'web' && key.family === 'ipv4');
        connections += ((web?.connectionsPerSecond ?? 0) * (sinceMs ?? 0)) / 1000;
        looks += 1;
      },
    });
    await waitFor('a first look', () => (looks > 0 ? undefined : 'none'), UP);
    await this.ask(['web']);
    // A line may be read long after its look: what is waited for is the connections, then a look that adds none.
    await waitFor('the connections', () => (Math.round(connections) >= 4 ? undefined : `${connections}`), UP);
    const before = looks;
    await waitFor('one more look', () => (looks > before ? undefined : `${looks}`), UP);
    child.kill('SIGTERM');
    await child.exited;
    const once = await this.command('top', '--once', '--runtime-dir', this.workDir);
    return { screen, left, once, connections };
  }
}

/** Without the time until connections go. */
function still(text: string): string {
  return text.replaceAll(/^(\S+ +)\d\d:\d\d /gm, '$1mm:ss ');
}

const allAre = (health: string) => (servers: readonly VirtualServerStatus[]) =>
  servers.every(({ real_servers: all }) => all.every((real) => real.health === health));

async function main(): Promise<void> {
  const bench = new Bench();
  await bench.open();
  const settings = [await bench.settings()];
  const real = () => [bench.serve('rs1', 'rs1', REAL_PORTS), bench.serve('rs2', 'rs2', REAL_PORTS)];
  const [servers] = await Promise.all([
    Promise.all(real()),
    bench.serve('rs1', 'sorry', [String(SORRY_PORT)]),
    bench.director.start(),
  ]);
  await bench.until('all real servers are up', allAre('up'));
  const table = await bench.table();
  settings.push(await bench.settings());
  const served = await bench.ask(['web', 'web6', 'names', 'marked', 'marked2', 'all', 'all2']);
  const views = await bench.views();
  const top = await bench.top();
  const drained = await bench.order('drain');
  await bench.restart();
  const restarted = await bench.order('undrain');
  for (const child of servers) child.kill('SIGKILL');
  await bench.until('the sorry server serves', (all) => all.some((one) => one.sorry_server?.in_use === true));
  const sorry = await bench.ask(['web']);
  const sorryTable = await bench.table();
  const sorryStatus = (await bench.director.status())?.virtual_servers ?? [];
  await Promise.all(real());
  await bench.until(
    'real servers serve again',
    (all) => allAre('up')(all) && all.every((one) => !one.sorry_server?.in_use),
  );
  const back = await bench.ask(['web']);
  await bench.director.stop();
  settings.push(await bench.settings());
  await bench.lab.destroy();
  bench.director.closeLog();
  rmSync(bench.workDir, { recursive: true, force: true });
  const report: ServicesTrafficReport = {
    served,
    sorry,
    sorryStatus,
    back,
    drained,
    restarted,
    table,
    settings,
    sorryTable,
    views,
    top,
  };
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

await main();
