/** One topology inside the VM with a single director, and what the kernel says of it. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ClientControl } from '../../../src/drill/client/client-control.js';
import type { ClientResults } from '../../../src/drill/client/client-protocol.js';
import { Director } from '../../../src/drill/lab/director.js';
import { Lab } from '../../../src/drill/lab/lab.js';
import type { Exit } from '../../../src/drill/lab/process.js';
import { startRealServer } from '../../../src/drill/lab/server-control.js';
import type { Topology } from '../../../src/drill/lab/topology.js';
import { lackingForPair } from '../../../src/drill/scenarios/readiness.js';
import { waitFor } from '../../../src/drill/wait.js';
import { MAIN } from '../../program.js';

/** What the kernel and the runtime directory hold at one moment. */
export interface View {
  /** `ipvsadm -Ln`. */
  readonly table: string;
  /** `ipvsadm -L --daemon`. */
  readonly daemons: string;
  /** `ip -o -4 addr`, as `INTERFACE ADDRESS/LENGTH`. */
  readonly addresses: readonly string[];
  /** Everything below net.ipv4.conf and net.ipv4.vs, and ip_forward. */
  readonly sysctls: Readonly<Record<string, string>>;
  readonly runtimeFiles: readonly string[];
}
/** What came of a connection to port 21. */
export interface Port21 {
  readonly greeting: string;
  /** Its lines in `ipvsadm -Lnc`. */
  readonly connections: readonly string[];
}

/** A multiple of 2 and of 3: whole rounds of `rr` over two servers and of `wrr` with weights 1 and 2. */
const REQUESTS = 30;
/** The one director. */
export const HOST = 'lb1';
/** The command with an option of `run` behind what the lab gives it: changes of the table are told at this level. */
const VERBOSE = 'exec "$0" "$@" --log-level debug';
/** As long as the VM lives nobody ends this early. */
const { signal } = new AbortController();
/** All labs come up side by side, under emulation. */
const UP = { timeoutMs: 450_000, everyMs: 250, signal };
/** For `waitFor`: a single step, under emulation, beside the daemons of all other labs: one starts in a minute there. */
export const SOON = { timeoutMs: 180_000, everyMs: 50, signal };
const VERIFY_MS = 180_000;
const WATCH_EVERY_MS = 20;

/** What a host has that nobody prepared: the director itself has to set what it needs. */
const UNPREPARED = ['net.ipv4.ip_forward=0', 'net.ipv4.conf.all.send_redirects=1'];

/** A table of /proc/net/ip_vs without its header and its counters. */
function configured(table: string): string {
  const lines = table.split('\n').slice(3);
  return lines
    .map((line) => (line.startsWith('  ->') ? line.trim().split(/\s+/).slice(0, 4).join(' ') : line.trim()))
    .join('\n')
    .trim();
}

export class Site {
  readonly topology: Topology;
  readonly lab: Lab;
  readonly director: Director;
  readonly configFile: string;
  readonly runtimeDir: string;
  /** What the director did to the table, by its own log, as `ipvsadm` command lines. */
  readonly changes: string[] = [];
  #client: ClientControl | undefined;
  #before: View | undefined;

  /** `workDir` takes the runtime directory, `outDir` the director's log. */
  constructor(topology: Topology, configFile: string, workDir: string, outDir: string) {
    this.topology = topology;
    this.configFile = configFile;
    this.runtimeDir = join(workDir, `${topology.name}-run`);
    this.lab = new Lab(topology);
    this.director = new Director(this.lab, {
      name: HOST,
      command: ['sh', '-c', VERBOSE, process.execPath, MAIN],
      configFile,
      runtimeDir: this.runtimeDir,
      logFile: join(outDir, `${topology.name}.log`),
      onEvent: ({ event, message }) => {
        if (event === 'ipvs') this.changes.push(message);
      },
      onExit: () => {},
    });
  }

  get client(): ClientControl {
    if (this.#client === undefined) throw new Error('the lab is not open');
    return this.#client;
  }

  /** The view from before the director's start. */
  get before(): View {
    if (this.#before === undefined) throw new Error('the lab is not open');
    return this.#before;
  }

  /** Builds the lab and starts everything. */
  async open(): Promise<void> {
    await this.lab.build();
    const own = this.lab
      .host(HOST)
      .cables.map((cable) => `net.ipv4.conf.${cable.interface}.send_redirects=1`);
    await this.lab.run(HOST, ['sysctl', '-q', '-w', ...UNPREPARED, ...own]);
    this.#before = await this.view();
    await this.director.start();
    const client = new ClientControl(this.lab, 'client');
    this.#client = client;
    const servers = this.lab.hosts('real-server').map((host) => startRealServer(this.lab, host));
    await Promise.all([client.ready(), ...servers]);
    await this.ready();
  }

  /** Resolves when the director is master, all real servers are up, and the kernel has as many. */
  async ready(): Promise<void> {
    await waitFor(
      `${this.topology.name} is not ready`,
      async () => {
        const status = await this.director.status();
        const lacking = lackingForPair(new Map([[HOST, status]]), false);
        if (lacking !== undefined) return lacking;
        const wanted = status?.virtual_servers.flatMap((server) => server.real_servers).length;
        const there = (await this.lab.procNet(HOST, 'ip_vs')).split('\n  -> ').length - 2;
        return there === wanted ? undefined : `${there} of ${wanted} real servers in the kernel`;
      },
      UP,
    );
  }

  on(...command: readonly string[]): Promise<string> {
    return this.lab.run(HOST, command);
  }

  async view(): Promise<View> {
    const addresses = (await this.on('ip', '-o', '-4', 'addr')).trimEnd().split('\n');
    const sysctls = await this.on('sysctl', 'net.ipv4.ip_forward', 'net.ipv4.conf', 'net.ipv4.vs');
    return {
      table: await this.on('ipvsadm', '-Ln'),
      daemons: await this.on('ipvsadm', '-L', '--daemon'),
      addresses: addresses.map((line) => line.replace(/^\d+: (\S+) +inet (\S+) .*/, '$1 $2')),
      sysctls: Object.fromEntries(
        sysctls
          .trimEnd()
          .split('\n')
          .map((line) => line.replaceAll('\t', ' ').split(' = ') as [string, string]),
      ),
      runtimeFiles: this.#runtimeFiles(),
    };
  }

  plan(): Promise<string> {
    const options = ['-c', this.configFile, '--director', HOST, '--runtime-dir', this.runtimeDir];
    return this.on(process.execPath, MAIN, 'plan', ...options);
  }

  list(): Promise<string> {
    return this.on(process.execPath, MAIN, 'list');
  }

  spread(): Promise<ClientResults['spread']> {
    const { vip, port } = this.topology;
    return this.client.send({ command: 'spread', address: vip, port, count: REQUESTS });
  }

  async verify(): Promise<ClientResults['verify']['connections']> {
    return (await this.client.send({ command: 'verify', timeoutMs: VERIFY_MS, only: null })).connections;
  }

  /** Connects to port 21 of the VIP and reads the greeting. */
  async port21(): Promise<Port21> {
    const script = `exec 3<>/dev/tcp/${this.topology.vip}/21; read -r -t 10 line <&3; printf %s "$line"`;
    const greeting = (await this.lab.run('client', ['bash', '-c', script])).trim();
    const connections = (await this.on('ipvsadm', '-Lnc')).split('\n');
    return { greeting, connections: connections.filter((line) => line.includes(`${this.topology.vip}:21 `)) };
  }

  /** Every table that the kernel had while `work` was going on, without counters; each once it changed. */
  async statesDuring(work: () => Promise<void>): Promise<string[]> {
    const states: string[] = [];
    const over = new AbortController();
    const look = async (): Promise<void> => {
      for (;;) {
        // Once more when the work is done: its end is a state, too.
        const isLast = over.signal.aborted;
        const state = configured(await this.lab.procNet(HOST, 'ip_vs'));
        if (state !== states.at(-1)) states.push(state);
        if (isLast) return;
        await new Promise((resolve) => setTimeout(resolve, WATCH_EVERY_MS));
      }
    };
    const looking = look();
    await work().finally(() => over.abort());
    await looking;
    return states;
  }

  /** SIGTERM, and its end in its own time. */
  async stop(): Promise<Exit | undefined> {
    this.director.signal('SIGTERM');
    await waitFor('the director ends', () => (this.director.running ? 'it runs' : undefined), SOON);
    return this.director.stop();
  }

  async close(): Promise<void> {
    await this.lab.destroy();
    this.director.closeLog();
  }

  #runtimeFiles(): string[] {
    try {
      return readdirSync(this.runtimeDir).toSorted();
    } catch {
      return [];
    }
  }
}
