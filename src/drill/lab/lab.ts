/**
 * A lab: network namespaces, switches and cables on this kernel.
 *
 * Namespaces have no names. Each is held by a process that dies with the drill, so nothing is left behind
 * however the drill ends.
 */
import { readFile } from 'node:fs/promises';
import { DrillError } from '../errors.js';
import { cableBatch, hostBatch, hostSysctls, needsTunnel, SWITCHES, switchBatch } from './lab-plan.js';
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
    await Promise.all(this.topology.hosts.map((host) => this.#configure(host)));
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
    const patchBay = this.#patchBay;
    const host = this.host(hostName);
    if (patchBay === undefined || !patchBay.running || this.#onPatched !== undefined) {
      throw new DrillError('ERR_DRILL_LAB', 'the switches are not ready for a change of cables');
    }
    await new Promise<void>((resolve, reject) => {
      const timer = setTimeout(
        () => reject(new DrillError('ERR_DRILL_TIMEOUT', `cables of ${hostName} did not go ${state}`)),
        CABLE_TIMEOUT_MS,
      );
      this.#onPatched = () => {
        clearTimeout(timer);
        this.#onPatched = undefined;
        resolve();
      };
      // The answer to the last line tells that those before it are done.
      patchBay.write([...cableBatch(host, state), 'link show dev lo', ''].join('\n'));
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
