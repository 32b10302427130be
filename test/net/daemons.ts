/** Directors, keepalived and a client in a lab of two directors: what tests and `npm run interop` share. */
import { execFileSync, spawnSync } from 'node:child_process';
import { closeSync, constants, existsSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import { Lab } from '../../src/drill/lab/lab.js';
import { SWITCHES } from '../../src/drill/lab/lab-plan.js';
import { type Child, type Exit, stopChild } from '../../src/drill/lab/process.js';
import type { Topology } from '../../src/drill/lab/topology.js';
import { fetchStatus } from '../../src/io/operator/control-client.js';
import type { DirectorStatus, InstanceStatus } from '../../src/runtime/status.js';
import { MAIN } from '../program.js';

/** VIP and DIP with the prefix length of their networks. */
export const VIP = '192.168.7.253';
export const DIP = '10.7.0.1';
/** What the guardian calls itself. */
export const GUARDIAN = 'lvs-guardian';
/** Patience with a machine that does other things too. */
const SETTLE_LIMIT_MS = 60_000;
const SETTLE_PAUSE_MS = 50;

/** Why these tests cannot run here; false when they can. */
export const skip: string | false =
  process.getuid?.() !== 0
    ? 'network namespaces need root'
    : spawnSync('unshare', ['--net', 'true']).status === 0
      ? false
      : 'unshare --net is not permitted here';

/** `skip`, or that one of `programs` is not installed. */
export function skipWithout(...programs: string[]): string | false {
  const missing = programs.find((program) => spawnSync('sh', ['-c', `command -v ${program}`]).status !== 0);
  return skip || (missing === undefined ? false : `${missing} is not installed`);
}

/** lb1 and lb2 on two networks, a client on the outer one. */
const PAIR: Topology = {
  name: 'nat',
  configFile: 'nat.yaml',
  networks: ['outside', 'inside'],
  hosts: [
    {
      name: 'client',
      role: 'client',
      cables: [{ interface: 'eth0', network: 'outside', address: '192.168.7.100/24' }],
    },
    ...['lb1', 'lb2'].map((name, i) => ({
      name,
      role: 'director' as const,
      cables: [
        { interface: 'eth0', network: 'outside', address: `192.168.7.${11 + i}/24` },
        { interface: 'eth1', network: 'inside', address: `10.7.0.${11 + i}/24` },
      ],
    })),
  ],
  vip: VIP,
  port: 80,
};

/** Resolves when `condition` holds; rejects with `what` when it does not for too long. */
export async function settled(
  what: string | (() => string),
  condition: () => boolean | Promise<boolean>,
  limitMs = SETTLE_LIMIT_MS,
): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > endMs) {
      throw new Error(`not within ${limitMs} ms: ${typeof what === 'string' ? what : what()}`);
    }
    await pause(SETTLE_PAUSE_MS);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}

/** Puts a FIFO in a file's place: who reads it has to wait. */
export function makePipe(path: string): void {
  rmSync(path);
  execFileSync('mkfifo', [path]);
}

/** Resolves when somebody reads the pipe, with what ends the waiting (see fifo(7) for ENXIO). */
export async function pipeReader(path: string): Promise<() => void> {
  let writer = -1;
  await settled(`${path} is read`, () => {
    try {
      writer = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
      return true;
    } catch {
      return false;
    }
  });
  return () => closeSync(writer);
}

/** A process that is there and no zombie. */
export function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

/** Child processes of `pid` by name. */
export function childrenOf(pid: number, name: string): number[] {
  const ids = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ').map(Number);
  return ids.filter((id) => id > 0 && readFileSync(`/proc/${id}/comm`, 'utf8').trim() === name);
}

export interface InstanceOptions {
  readonly name: string;
  readonly interface: string;
  readonly id: number;
  readonly addresses: readonly string[];
}

export interface YamlOptions {
  readonly priorities?: readonly [number, number];
  /** Duration as in the file. */
  readonly interval?: string;
  /** As in the file. */
  readonly preempt?: boolean | string;
  readonly instances?: readonly InstanceOptions[];
  /** Further lines at the end of the file. */
  readonly more?: string;
}

export const OUTSIDE: InstanceOptions = {
  name: 'outside',
  interface: 'eth0',
  id: 51,
  addresses: [`${VIP}/24`],
};
export const INSIDE: InstanceOptions = {
  name: 'inside',
  interface: 'eth1',
  id: 52,
  addresses: [`${DIP}/24`],
};

/** A file for lb1 and lb2; several instances form one sync group. */
export function directorYaml(options: YamlOptions = {}): string {
  const { priorities = [150, 100], interval = '200ms', preempt = false, instances = [OUTSIDE] } = options;
  return [
    'version: 1',
    'directors:',
    `  lb1: { priority: ${priorities[0]}, address: 10.7.0.11 }`,
    `  lb2: { priority: ${priorities[1]}, address: 10.7.0.12 }`,
    'vrrp:',
    '  instances:',
    ...instances.flatMap((instance) => [
      `    - name: ${instance.name}`,
      `      interface: ${instance.interface}`,
      `      virtual_router_id: ${instance.id}`,
      `      advertisement_interval: ${interval}`,
      `      preempt: ${preempt}`,
      `      addresses: [${instance.addresses.join(', ')}]`,
    ]),
    ...(instances.length < 2
      ? []
      : [
          '  sync_groups:',
          `    - { name: pair, instances: [${instances.map((one) => one.name).join(', ')}] }`,
        ]),
    options.more ?? '',
    '',
  ].join('\n');
}

export interface LaunchedDirector {
  readonly host: string;
  readonly child: Child;
  readonly runtimeDirectory: string;
  readonly configFile: string;
  /** Lines of the log, parsed. */
  readonly log: LogLine[];
  readonly errors: string[];
}

/** A director that runs, or ran, on a host of the lab. */
export interface RunningDirector extends LaunchedDirector {
  /** Process id of its guardian as it was when the director was ready. */
  readonly guardian: number;
}

export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly event?: string;
  readonly [field: string]: unknown;
}

/** A pair of hosts with a folder for files. All of it goes with the test. */
export class Bench {
  readonly lab = new Lab(PAIR);
  readonly folder: string;
  /** What directors are started from. */
  main: string = MAIN;
  readonly #guardians: number[] = [];
  #runs = 0;

  private constructor(folder: string) {
    this.folder = folder;
  }

  static async open(t: Pick<Test, 'teardown'>): Promise<Bench> {
    // Not below the tree: the path of a unix socket has at most 107 characters.
    const bench = new Bench(await mkdtemp(join(tmpdir(), 'director-test-')));
    t.teardown(() => bench.#close());
    await bench.lab.build();
    return bench;
  }

  async #close(): Promise<void> {
    await this.lab.destroy();
    // The guardian of a killed daemon keeps its namespace until it is done.
    await settled('the guardians are gone', () => !this.#guardians.some(isAlive));
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Duplicate address detection is over on all interfaces: before that a director cannot speak from an IPv6 address. */
  async ipv6Usable(host: string): Promise<void> {
    await settled(`the IPv6 addresses of ${host} are usable`, async () => {
      const tentative = await this.lab.run(host, ['ip', '-6', 'addr', 'show', 'tentative']);
      return tentative.trim() === '';
    });
  }

  async file(name: string, text: string): Promise<string> {
    const path = join(this.folder, name);
    await writeFile(path, text);
    return path;
  }

  /** Starts `director run`; `prefix` is a program that becomes it. */
  async launch(host: string, yaml: string, prefix: readonly string[] = []): Promise<LaunchedDirector> {
    this.#runs += 1;
    const configFile = await this.file(`${host}-${this.#runs}.yaml`, yaml);
    const runtimeDirectory = join(this.folder, host);
    const log: LogLine[] = [];
    const errors: string[] = [];
    const argv = ['run', '-c', configFile, '--director', host, '--runtime-dir', runtimeDirectory];
    argv.push('--state-dir', join(this.folder, `${host}-state`));
    const child = this.lab.start(host, [...prefix, process.execPath, this.main, ...argv, '--log', 'json'], {
      onLine: (line) => log.push(JSON.parse(line)),
      onErrorLine: (line) => errors.push(line),
    });
    return { host, child, runtimeDirectory, configFile, log, errors };
  }

  /** Starts `director run` and resolves when it says that it is ready. */
  async start(host: string, yaml: string): Promise<RunningDirector> {
    const launched = await this.launch(host, yaml);
    const { child, log, errors } = launched;
    await settled(`${host} is ready`, () => {
      if (!child.running) throw new Error(`director run on ${host} ended: ${errors.join('; ')}`);
      return log.some((line) => line.event === 'ready');
    });
    await settled(`${host} has a guardian`, () => childrenOf(child.pid, GUARDIAN).length === 1);
    const [guardian = 0] = childrenOf(child.pid, GUARDIAN);
    this.#guardians.push(guardian);
    return { ...launched, guardian };
  }

  /** A pair whose roles are settled: lb1 is master, whatever the priorities. */
  async pair(yaml: string): Promise<readonly [RunningDirector, RunningDirector]> {
    const lb1 = await this.start('lb1', yaml);
    await inState(lb1, 'master');
    const lb2 = await this.start('lb2', yaml);
    // A backup that never heard its master would take over as soon as that is gone, and prove nothing.
    await settled('lb2 hears lb1', async () => {
      const { instances } = await statusOf(lb2);
      return instances.every((instance) => instance.state === 'backup' && instance.master !== null);
    });
    return [lb1, lb2];
  }

  /** Runs a command of `director` on a host to its end, whatever its exit status. */
  async command(
    host: string,
    args: readonly string[],
    prefix: readonly string[] = [],
  ): Promise<CommandResult> {
    const output: string[] = [];
    const errors: string[] = [];
    const child = this.lab.start(host, [...prefix, process.execPath, MAIN, ...args], {
      onLine: (line) => output.push(line),
      onErrorLine: (line) => errors.push(line),
    });
    const { status } = await child.exited;
    // Its pipes may still hold lines when the process is gone.
    await pause(SETTLE_PAUSE_MS);
    return { status, output, errors };
  }

  /** IPv4 addresses of a host's interfaces except lo, such as `eth0 192.168.7.253/24`, sorted. */
  async addresses(host: string): Promise<string[]> {
    const links: { ifname: string; addr_info: { local: string; prefixlen: number }[] }[] = JSON.parse(
      await this.lab.run(host, ['ip', '-j', '-4', 'addr']),
    );
    return links
      .filter((link) => link.ifname !== 'lo')
      .flatMap((link) => link.addr_info.map((a) => `${link.ifname} ${a.local}/${a.prefixlen}`))
      .sort();
  }

  /** Hosts that hold an address now. */
  async holders(address: string = VIP): Promise<string[]> {
    const hosts = ['lb1', 'lb2'];
    const held = await Promise.all(hosts.map((host) => this.addresses(host)));
    return hosts.filter((_, i) => held[i]?.some((entry) => entry.includes(` ${address}/`)));
  }

  /** Resolves when `host` and no other holds all of `addresses`. */
  async heldBy(host: string | undefined, ...addresses: string[]): Promise<void> {
    const wanted = host === undefined ? '' : host;
    for (const address of addresses.length > 0 ? addresses : [VIP]) {
      let last: string[] = [];
      await settled(
        () => `${address} is held by '${wanted}' alone; it is held by '${last.join(' ')}'`,
        async () => {
          last = await this.holders(address);
          return last.join(' ') === wanted;
        },
      );
    }
  }

  /** A command in the namespace of the switches. */
  switches(...command: string[]): Promise<string> {
    return this.lab.run(SWITCHES, command);
  }

  /** Keeps the directors from hearing each other, while both have a carrier and reach the client, or ends that. */
  async partition(state: 'on' | 'off'): Promise<void> {
    for (const port of ['lb1-outside', 'lb2-outside', 'lb1-inside', 'lb2-inside']) {
      await this.switches('bridge', 'link', 'set', 'dev', port, 'isolated', state);
    }
  }
}

export interface CommandResult {
  readonly status: number | null;
  readonly output: readonly string[];
  readonly errors: readonly string[];
}

export function statusOf(director: LaunchedDirector): Promise<DirectorStatus> {
  return fetchStatus(director.runtimeDirectory);
}

export async function servicesPid(director: LaunchedDirector): Promise<number> {
  const { pid } = (await statusOf(director)).services;
  if (pid === null) throw new Error(`${director.host} has no services process`);
  return pid;
}

export async function instanceOf(director: LaunchedDirector, name = 'outside'): Promise<InstanceStatus> {
  const found = (await statusOf(director)).instances.find((instance) => instance.name === name);
  if (found === undefined) throw new Error(`${director.host} has no instance ${name}`);
  return found;
}

/** Resolves when every instance of the director is in `state`. */
export async function inState(director: LaunchedDirector, state: InstanceStatus['state']): Promise<void> {
  await settled(`${director.host} is ${state}`, async () => {
    const { instances } = await statusOf(director);
    return instances.every((instance) => instance.state === state);
  });
}

/** SIGTERM, and what it ended with. */
export function stop(director: LaunchedDirector): Promise<Exit> {
  return stopChild(director.child);
}

/** What a director that ended must not leave: its guardian, socket and state file. */
export async function leftovers(director: RunningDirector): Promise<string[]> {
  await settled('the guardian ends', () => !isAlive(director.guardian)).catch(() => undefined);
  const files = existsSync(director.runtimeDirectory) ? readdirSync(director.runtimeDirectory) : [];
  return [...files, ...(isAlive(director.guardian) ? [`guardian ${director.guardian}`] : [])];
}

/** Messages that a log has at `warn` or above. */
export function complaints(director: LaunchedDirector): string[] {
  return director.log.filter((line) => line.level >= 40).map((line) => line.msg);
}
