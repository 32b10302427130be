/** A lab with two directors and a client on one network, for one measurement, and what waits in it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Lab } from '../../../src/drill/lab/lab.js';
import type { Child } from '../../../src/drill/lab/process.js';
import type { Topology } from '../../../src/drill/lab/topology.js';
import { firstOfAll } from '../../../src/drill/lab/witnesses.js';
import { sleep, waitFor } from '../../../src/drill/wait.js';
import { fetchStatus } from '../../../src/io/operator/control-client.js';
import type { DirectorStatus } from '../../../src/runtime/status.js';
import {
  type Contender,
  HOSTS,
  type HostName,
  type Instance,
  type Running,
  type Setup,
  start,
} from './contenders.js';
import { startHelper } from './helper.js';
import { nameOf, processors, tree } from './processes.js';
import type { Standstill } from './standstills.js';

export const VIP = '192.168.7.253';
/** Where one instance is enough. */
export const OUTSIDE: Instance = { name: 'outside', virtualRouterId: 51, address: `${VIP}/16` };
const READY_LIMIT_MS = 60_000;
const LOOK_EVERY_MS = 50;
const GUARDIAN_LIMIT_MS = 5000;
const GUARDIAN = 'lvs-guardian';

const TOPOLOGY: Topology = {
  name: 'nat',
  configFile: 'nat.yaml',
  networks: ['outside'],
  hosts: [
    {
      name: 'client',
      role: 'client',
      cables: [{ interface: 'eth0', network: 'outside', address: '192.168.7.100/16' }],
    },
    ...HOSTS.map((name, i) => ({
      name,
      role: 'director' as const,
      cables: [{ interface: 'eth0', network: 'outside', address: `192.168.7.${11 + i}/16` }],
    })),
  ],
  vip: VIP,
  port: 80,
};

export class BenchLab {
  readonly lab = new Lab(TOPOLOGY);
  readonly folder: string;
  readonly signal: AbortSignal;
  readonly #guardians = new Set<number>();

  private constructor(folder: string, signal: AbortSignal) {
    this.folder = folder;
    this.signal = signal;
  }

  /** Builds a lab, lets `body` measure in it, and leaves nothing behind however that ends. */
  static async use<T>(signal: AbortSignal, body: (bench: BenchLab) => Promise<T>): Promise<T> {
    // Not below the tree: the path of a unix socket has at most 107 characters.
    const bench = new BenchLab(await mkdtemp(join(tmpdir(), 'director-bench-')), signal);
    try {
      await bench.lab.build();
      return await body(bench);
    } finally {
      await bench.#close();
    }
  }

  /** lb1 as master and lb2 as its backup, which has heard it; both for long enough to be calm. */
  async pair(contender: Contender, setup: Setup): Promise<readonly [Running, Running]> {
    const { lab, folder } = this;
    const lb1 = await start(lab, contender, 'lb1', setup, folder);
    await this.#until(`${contender} on lb1 holds all addresses`, lb1, async () => this.#holds('lb1', setup));
    const backup = setup.backup ?? contender;
    const lb2 = await start(lab, backup, 'lb2', setup, folder);
    await this.#until(`${backup} on lb2 is backup`, lb2, () => isBackup(lb2, setup));
    await sleep(2 * setup.intervalMs + 500, this.signal);
    for (const { child } of [lb1, lb2]) {
      for (const pid of tree(child.pid)) if (nameOf(pid) === GUARDIAN) this.#guardians.add(pid);
    }
    return [lb1, lb2];
  }

  /** The host boots: nothing is in its kernel, and the program starts. `booted` is called when it does. */
  async boot(contender: Contender, host: HostName, setup: Setup, booted: () => void): Promise<void> {
    await this.lab.switchOn(host);
    booted();
    const running = await start(this.lab, contender, host, setup, this.folder);
    await this.#until(`${contender} on ${host} holds all addresses`, running, () => this.#holds(host, setup));
  }

  /** Which hosts hold the VIP now. */
  async holders(address = VIP): Promise<HostName[]> {
    const texts = await Promise.all(HOSTS.map((host) => this.lab.run(host, ['ip', '-4', 'addr'])));
    return HOSTS.filter((_, i) => texts[i]?.includes(` ${address}/`));
  }

  /** Starts test/bench/support/witness.ts with the client. */
  witness(args: readonly string[], onLine: (line: string) => void): Promise<Child> {
    return this.#helper(['nice', '-n', '-20'], 'witness.js', args, onLine);
  }

  /** Starts test/bench/support/flood-source.ts with the client; `onLine` gets what it sent, at its end. */
  flood(args: readonly string[], onLine: (line: string) => void): Promise<Child> {
    return this.#helper([], 'flood-source.js', args, onLine);
  }

  /** Starts test/bench/support/processor-witness.ts on each processor that this process may use. */
  async processorWitnesses(onStandstill: (told: Standstill) => void): Promise<void> {
    const before = await firstOfAll(this.lab, 'client');
    await this.#onProcessors(before, 'processor-witness.js', (line) => onStandstill(JSON.parse(line)));
  }

  /** Starts test/bench/support/processor-hog.ts on each processor, before everybody else there. Needs CAP_SYS_NICE. */
  processorHogs(): Promise<Child[]> {
    return this.#onProcessors(['chrt', '--fifo', '99'], 'processor-hog.js', () => {});
  }

  async #onProcessors(
    before: readonly string[],
    name: string,
    onLine: (line: string) => void,
  ): Promise<Child[]> {
    const children: Child[] = [];
    for (const processor of processors()) {
      const bound = [...before, 'taskset', '--cpu-list', String(processor)];
      children.push(await this.#helper(bound, name, [String(processor)], onLine));
    }
    return children;
  }

  #helper(
    before: readonly string[],
    script: string,
    args: readonly string[],
    onLine: (line: string) => void,
  ): Promise<Child> {
    return startHelper(this.lab, { host: 'client', before, script, args, onLine }, this.signal);
  }

  async #holds(host: string, { instances }: Setup): Promise<boolean> {
    const text = await this.lab.run(host, ['ip', '-4', 'addr']);
    return instances.every(({ address }) => text.includes(` ${address} `));
  }

  #until(what: string, running: Running, done: () => Promise<boolean>): Promise<void> {
    return waitFor(
      what,
      async () => {
        const words = running.output.slice(-5).join(' | ');
        if (!running.child.running) throw new Error(`${what}: it has ended: ${words}`);
        return (await done()) ? undefined : words;
      },
      { timeoutMs: READY_LIMIT_MS, everyMs: LOOK_EVERY_MS, signal: this.signal },
    );
  }

  async #close(): Promise<void> {
    await this.lab.destroy();
    // A guardian outlives its daemon for a moment; its namespace goes with it.
    const end = performance.now() + GUARDIAN_LIMIT_MS;
    const left = (): boolean => [...this.#guardians].some((pid) => nameOf(pid) === GUARDIAN);
    while (left() && performance.now() < end)
      await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function isBackup(running: Running, { instances }: Setup): Promise<boolean> {
  if (running.contender === 'keepalived') {
    const entered = running.output.filter((line) => line.includes('Entering BACKUP STATE'));
    return entered.length >= instances.length;
  }
  // Until the daemon has its parts together, its answer is empty.
  const status: Partial<DirectorStatus> = await fetchStatus(running.runtimeDirectory).catch(() => ({}));
  if (status.bfd?.some(({ state }) => state !== 'up') === true) return false;
  return status.instances?.every(({ state, master }) => state === 'backup' && master !== null) ?? false;
}
