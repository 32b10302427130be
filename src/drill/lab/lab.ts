/**
 * A lab: network namespaces, switches and cables on this kernel.
 *
 * Namespaces have no names. Each is held by a process that dies with the drill, so nothing is left behind
 * however the drill ends.
 */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { DrillError } from '../errors.js';
import {
  cableBatch,
  hostBatch,
  hostSysctls,
  isolationBatch,
  type Loss,
  lossRules,
  needsTunnel,
  plugBatch,
  SWITCHES,
  switchBatch,
  unplugBatch,
} from './lab-plan.js';
import { type Child, type ChildOptions, inNamespace, runChild, startChild } from './process.js';
import type { Host, Topology } from './topology.js';

/** Start of one namespace; generous, because an emulated processor takes a while. */
const HOLDER_TIMEOUT_MS = 60_000;
const CABLE_TIMEOUT_MS = 30_000;

/** Starts a holder and resolves when it is inside its new namespace. */
function startHolder(name: string): Promise<Child> {
  return new Promise((resolve, reject) => {
    const errors: string[] = [];
    // `cat` answers only after unshare(2) was done, and ends with its input even if the kernel's signal is lost.
    const child = startChild(['unshare', '--net', '--', 'cat'], {
      onLine: () => {
        clearTimeout(timer);
        resolve(child);
      },
      onErrorLine: (line) => errors.push(line),
    });
    const fail = (why: string): void => {
      clearTimeout(timer);
      child.kill('SIGKILL');
      reject(new DrillError('ERR_DRILL_LAB', `no network namespace for ${name}: ${why}`));
    };
    const timer = setTimeout(() => fail(`nothing within ${HOLDER_TIMEOUT_MS} ms`), HOLDER_TIMEOUT_MS);
    void child.exited.then(() => fail(errors.join('; ') || 'its holder ended'));
    child.write('ready\n');
  });
}

export class Lab {
  readonly topology: Topology;
  readonly #holders = new Map<string, Child>();
  readonly #children = new Set<Child>();
  #patchBay: Child | undefined;
  #onPatched: (() => void) | undefined;

  constructor(topology: Topology) {
    this.topology = topology;
  }

  /** Builds namespaces, switches, cables and addresses. Rejects with DrillError; then `destroy` is still due. */
  async build(): Promise<void> {
    if (needsTunnel(this.topology)) {
      // Where ipip is built in or already loaded this fails or does nothing; what matters shows at `tunl0`.
      await runChild(['modprobe', 'ipip']).catch(() => undefined);
    }
    const names = [SWITCHES, ...this.topology.hosts.map((host) => host.name)];
    const started = await Promise.allSettled(
      names.map(async (name) => {
        this.#holders.set(name, await startHolder(name));
      }),
    );
    const failure = started.find((result) => result.status === 'rejected');
    if (failure !== undefined) {
      throw failure.reason;
    }
    await this.#batch(
      SWITCHES,
      switchBatch(this.topology, (host) => this.pid(host)),
    );
    await Promise.all([
      ...this.topology.hosts.map((host) => this.#configure(host)),
      // Its first hook while nothing is on the wire yet: see `lossRules`. Without nft a lab is whole, only `lose` fails then.
      this.lose([]).catch(() => undefined),
    ]);
    this.#openPatchBay();
  }

  /** Process that holds the namespace of a host: `/proc/PID/net` is its view. */
  pid(name: string): number {
    const holder = this.#holders.get(name);
    if (holder === undefined) {
      throw new DrillError('ERR_DRILL_LAB', `the lab has no host ${name}`);
    }
    return holder.pid;
  }

  host(name: string): Host {
    const host = this.topology.hosts.find((one) => one.name === name);
    if (host === undefined) {
      throw new DrillError('ERR_DRILL_LAB', `the lab has no host ${name}`);
    }
    return host;
  }

  hosts(role: Host['role']): Host[] {
    return this.topology.hosts.filter((host) => host.role === role);
  }

  /** Starts a program on a host. It ends with the lab at the latest. */
  start(host: string, command: readonly string[], options: ChildOptions = {}): Child {
    const child = startChild(inNamespace(this.pid(host), command), options);
    this.#children.add(child);
    void child.exited.then(() => this.#children.delete(child));
    return child;
  }

  /** Runs a program on a host to its end. */
  run(host: string, command: readonly string[], input = ''): Promise<string> {
    return runChild(inNamespace(this.pid(host), command), input);
  }

  /** Pulls or plugs all cables of a host at the switches. Resolves when the kernel has done it. */
  async cables(hostName: string, state: 'up' | 'down'): Promise<void> {
    await this.#patch(`cables of ${hostName} did not go ${state}`, cableBatch(this.host(hostName), state));
  }

  /** Keeps hosts from hearing each other, or lets them again. Everybody else hears them all. */
  async isolate(hostNames: readonly string[], isolated: boolean): Promise<void> {
    const hosts = hostNames.map((name) => this.host(name));
    await this.#patch(`${hostNames.join(' and ')} were not parted`, isolationBatch(hosts, isolated));
  }

  /** From now on this much of what these hosts send is lost, and nothing of what others send. */
  async lose(hostNames: readonly string[], loss: Loss = 'all'): Promise<void> {
    const hosts = hostNames.map((name) => this.host(name));
    await this.run(SWITCHES, ['nft', '-f', '-'], lossRules(hosts, loss));
  }

  /** Processes in a host's namespace, without its holder. */
  async processes(host: string): Promise<number[]> {
    const holder = this.pid(host);
    const namespace = await readlink(`/proc/${holder}/ns/net`);
    const ids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
    const namespaces = await Promise.all(
      ids.map((id) => readlink(`/proc/${id}/ns/net`).catch(() => undefined)),
    );
    return ids.filter((id, index) => id !== holder && namespaces[index] === namespace);
  }

  /** Kills every process on a host but those of `except`, at once and for sure. */
  async killAll(host: string, except: readonly number[] = []): Promise<void> {
    // Twice nobody: a process that forks and ends while they are listed has a child that is not in the list.
    for (let empty = 0; empty < 2; ) {
      const found = (await this.processes(host)).filter((id) => !except.includes(id));
      empty = found.length === 0 ? empty + 1 : 0;
      for (const id of found) {
        try {
          process.kill(id, 'SIGKILL');
        } catch {
          // It has ended by itself.
        }
      }
      // Whoever was about to fork has done it by now.
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  /** Ends a host with everything on it, its kernel's tables, too: no process, no interface, no namespace. */
  async switchOff(hostName: string): Promise<void> {
    const host = this.host(hostName);
    const holder = this.#holders.get(hostName);
    await this.killAll(hostName);
    await this.#batch(SWITCHES, unplugBatch(host));
    holder?.kill('SIGKILL');
    await holder?.exited;
  }

  /** The host as it was when the lab was built: with its addresses, and an empty kernel. */
  async switchOn(hostName: string): Promise<void> {
    const host = this.host(hostName);
    this.#holders.set(hostName, await startHolder(hostName));
    await this.#batch(SWITCHES, plugBatch(host, this.pid(hostName)));
    await this.#configure(host);
  }

  async #patch(complaint: string, lines: readonly string[]): Promise<void> {
    const patchBay = this.#patchBay;
    if (patchBay === undefined || !patchBay.running || this.#onPatched !== undefined) {
      throw new DrillError('ERR_DRILL_LAB', 'the switches are not ready for a change of cables');
    }
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new DrillError('ERR_DRILL_TIMEOUT', complaint)),
        CABLE_TIMEOUT_MS,
      );
      this.#onPatched = () => {
        clearTimeout(timer);
        this.#onPatched = undefined;
        resolve();
      };
      // The answer to the last line tells that those before it are done.
      patchBay.write([...lines, 'link show dev lo', ''].join('\n'));
    });
  }

  /** A file below `/proc/net` as a host sees it; empty when the kernel has none of that name. */
  async procNet(host: string, file: string): Promise<string> {
    return readFile(`/proc/${this.pid(host)}/net/${file}`, 'utf8').catch(() => '');
  }

  /** Ends every process of the lab, and with the last of them its namespaces. */
  async destroy(): Promise<void> {
    const all = [...this.#children, ...this.#holders.values()];
    for (const child of all) {
      child.kill('SIGKILL');
    }
    await Promise.all(all.map((child) => child.exited));
    this.#holders.clear();
    this.#patchBay = undefined;
  }

  async #configure(host: Host): Promise<void> {
    const sysctls = hostSysctls(host);
    if (sysctls.length > 0) {
      await this.run(host.name, ['sysctl', '-q', '-w', ...sysctls]);
    }
    await this.#batch(host.name, hostBatch(host));
    if (host.nftables !== undefined) {
      await this.run(host.name, ['nft', '-f', '-'], host.nftables);
    }
  }

  async #batch(host: string, lines: readonly string[]): Promise<void> {
    await this.run(host, ['ip', '-batch', '-'], `${lines.join('\n')}\n`);
  }

  /** An `ip` that waits for orders: a fault must not have to wait for the start of a program. */
  #openPatchBay(): void {
    this.#patchBay = this.start(SWITCHES, ['ip', '-oneline', '-batch', '-'], {
      onLine: () => this.#onPatched?.(),
    });
  }
}
