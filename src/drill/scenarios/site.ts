/** One topology under test: lab, client, real servers, both directors and the witnesses of what they do. */
import { readFile, writeFile } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import type { DirectorStatus } from '../../runtime/status.js';
import { ClientControl, type LostConnection } from '../client/client-control.js';
import type { OpenedConnection } from '../client/client-protocol.js';
import { DrillError } from '../errors.js';
import { Director } from '../lab/director.js';
import { Lab } from '../lab/lab.js';
import { preempts, withAdvertisementInterval, withoutHooks } from '../lab/lab-config.js';
import type { AddressChange, DirectorEvent } from '../lab/observations.js';
import type { Child } from '../lab/process.js';
import { startRealServer } from '../lab/server-control.js';
import type { Topology } from '../lab/topology.js';
import { watchAddresses } from '../lab/witnesses.js';
import type { Progress } from '../progress.js';
import type { Outage } from '../report/measure.js';
import type { Baseline } from '../report/verdict.js';
import { settles, sleep, unlessAborted, waitFor } from '../wait.js';
import { textOf } from './event-text.js';
import { serversOf } from './known-connections.js';
import { lackingForPair, roleOf, type Statuses, virtualAddresses } from './readiness.js';

/** Two daemons and their first health verdicts, under emulation. */
const READY_TIMEOUT_MS = 150_000;
/** The control sockets are asked so often: each question costs the daemon a little. */
const STATUS_EVERY_MS = 250;
/** The kernel's sync thread flushes within 2 s (IPVS_SYNC_FLUSH_TIME). */
const SYNC_TIMEOUT_MS = 5000;
/** Reading the table of a busy director costs the kernel a while. */
const SYNC_EVERY_MS = 250;
/** Two daemons that read and compare, under emulation. */
const RELOAD_TIMEOUT_MS = 180_000;

export interface BenchOptions {
  readonly topology: Topology;
  /** Argument vector of the `director` command. */
  readonly directorCommand: readonly string[];
  readonly configDir: string;
  /** Takes the directors' logs. */
  readonly outDir: string;
  /** Short-lived files: probe output, control sockets. */
  readonly workDir: string;
  readonly advertisementInterval: string | undefined;
  readonly probeIntervalMs: number;
  /** Connections of each kind. */
  readonly connections: number;
  /** New connections a second, each with one request. */
  readonly requestRate: number;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

/** Something somebody saw, at a wall-clock time. */
export interface Observation {
  readonly atMs: number;
  readonly source: string;
  readonly event: string;
}

/** A change of an instance's state, from a director's log; of all of them (`''`) when the daemon ended. */
export interface RoleChange {
  readonly atMs: number;
  readonly director: string;
  readonly instance: string;
  readonly to: string;
}

export interface Pair {
  readonly master: Director;
  readonly backup: Director;
}

export class Bench {
  readonly options: BenchOptions;
  readonly lab: Lab;
  readonly directors: readonly [Director, Director];
  readonly observations: Observation[] = [];
  readonly changes: AddressChange[] = [];
  readonly roles: RoleChange[] = [];
  readonly outages: Outage[] = [];
  readonly losses: LostConnection[] = [];
  readonly #openOutages = new Map<string, number>();
  readonly #servers = new Map<string, Child>();
  readonly #watchers = new Map<string, Child>();
  /** Stopped by SIGSTOP: they answer nobody. */
  readonly #hung = new Set<Director>();
  readonly #reloads = new Map<string, number>();
  #client: ClientControl | undefined;
  /** While nothing was done, measured once, before the first fault. */
  baseline: Baseline | undefined;
  #preempts = false;
  /** What the directors call their virtual addresses. */
  virtualAddresses: readonly string[] = [];

  constructor(options: BenchOptions) {
    this.options = options;
    this.lab = new Lab(options.topology);
    const [first, second] = this.lab.hosts('director').map((host) => this.#director(host.name));
    if (first === undefined || second === undefined) {
      throw new DrillError('ERR_DRILL_LAB', `topology ${options.topology.name} has no two directors`);
    }
    this.directors = [first, second];
  }

  get client(): ClientControl {
    if (this.#client === undefined) {
      throw new DrillError('ERR_DRILL_LAB', 'the lab is not open');
    }
    return this.#client;
  }

  /** Builds everything and resolves when the pair is ready. `close` is due whatever comes of it. */
  async open(): Promise<void> {
    const { signal, topology, progress } = this.options;
    progress.step(`${topology.name}: building the lab`);
    await unlessAborted(this.lab.build(), signal);
    for (const director of this.directors) {
      this.#watch(director);
    }
    const client = new ClientControl(this.lab, this.lab.hosts('client')[0]?.name ?? '');
    this.#client = client;
    client.onLost = (lost) => this.losses.push(lost);
    await this.#write(await this.#readConfig());
    progress.step(`${topology.name}: starting client, real servers and directors`);
    await Promise.all(this.directors.map((director) => director.start()));
    const hosts = [...this.lab.hosts('real-server'), ...this.lab.hosts('sorry-server')];
    const servers = hosts.map((host) => this.startServer(host.name));
    await unlessAborted(Promise.all([client.ready(), ...servers]), signal);
    await this.ready();
    const statuses = await this.statuses();
    this.virtualAddresses = [...statuses.values()].flatMap((status) =>
      status === undefined ? [] : virtualAddresses(status),
    );
    this.virtualAddresses = [...new Set(this.virtualAddresses)];
  }

  /** The preferred director takes its role back by itself. */
  get preempts(): boolean {
    return this.#preempts;
  }

  /** What keeps the pair from being ready (`lackingForPair`). */
  async lacking(): Promise<string | undefined> {
    return lackingForPair(await this.statuses(), this.#preempts);
  }

  /** Waits until nothing is lacking. */
  async ready(): Promise<void> {
    const { progress, signal, topology } = this.options;
    progress.step(`${topology.name}: waiting for one master, one backup and all real servers`);
    await waitFor('the pair is not ready', () => this.lacking(), {
      timeoutMs: READY_TIMEOUT_MS,
      everyMs: STATUS_EVERY_MS,
      signal,
    });
  }

  /** Who is what, asked of those that run. Rejects with DrillError unless there are a master and another one. */
  async pair(): Promise<Pair> {
    const [first, second] = this.directors;
    const roleOfFirst = await this.#role(first);
    const roleOfSecond = await this.#role(second);
    if ((roleOfFirst === 'master') === (roleOfSecond === 'master')) {
      throw new DrillError(
        'ERR_DRILL_LAB',
        `there is not one master: ${first.name} is ${roleOfFirst ?? 'down'}, ${second.name} is ${roleOfSecond ?? 'down'}`,
      );
    }
    return roleOfFirst === 'master' ? { master: first, backup: second } : { master: second, backup: first };
  }

  async statuses(): Promise<Statuses> {
    const entries = await Promise.all(
      this.directors.map(
        async (one): Promise<[string, DirectorStatus | undefined]> => [
          one.name,
          this.#hung.has(one) ? undefined : await one.status(),
        ],
      ),
    );
    return new Map(entries);
  }

  async startServer(host: string): Promise<void> {
    this.#servers.set(host, await startRealServer(this.lab, this.lab.host(host)));
  }

  /** Ends a real server's program at once; its host lives on and refuses connections. */
  async killServer(host: string): Promise<void> {
    const server = this.#servers.get(host);
    server?.kill('SIGKILL');
    await server?.exited;
  }

  /** Pulls or plugs all cables of a director, and remembers while it could not be heard. */
  async cables(director: string, state: 'up' | 'down'): Promise<void> {
    if (state === 'down') {
      this.startOutage(director);
    }
    await this.lab.cables(director, state);
    if (state === 'up') {
      this.endOutage(director);
    }
  }

  /** From now on this director cannot be heard. */
  startOutage(director: string): void {
    this.#openOutages.set(director, Date.now());
  }

  endOutage(director: string): void {
    const since = this.#openOutages.get(director);
    if (since !== undefined) {
      this.outages.push({ director, fromMs: since, toMs: Date.now() });
      this.#openOutages.delete(director);
    }
  }

  /** SIGSTOP and SIGCONT to a director's VRRP process. */
  hang(director: Director, state: 'stopped' | 'goes on'): void {
    if (state === 'stopped') {
      this.#hung.add(director);
    } else {
      this.#hung.delete(director);
    }
    director.signal(state === 'stopped' ? 'SIGSTOP' : 'SIGCONT');
  }

  /** Kills everything that runs on a director's host; its interfaces and the kernel's tables stay. */
  async killEverything(director: Director): Promise<void> {
    const watcher = this.#watchers.get(director.name);
    await this.lab.killAll(director.name, watcher === undefined ? [] : [watcher.pid]);
    await director.ended();
  }

  /** What the end of its power does to a director: everything goes but its configuration and its state folder. */
  async switchOff(director: Director): Promise<void> {
    await this.cables(director.name, 'down');
    await this.lab.switchOff(director.name);
    await director.ended();
    await director.forgetRuntime();
    // Nobody was left who could have told.
    for (const address of this.virtualAddresses) {
      this.#addressChanged({ atMs: Date.now(), director: director.name, address, held: false });
    }
  }

  /** Boots a director's host: its addresses are there, its kernel knows nothing, the daemon starts. */
  async switchOn(director: Director): Promise<void> {
    await this.lab.switchOn(director.name);
    this.endOutage(director.name);
    this.#watch(director);
    await director.start();
  }

  /** Changes the configuration of both directors and resolves when both have reloaded it; returns how it was. */
  async reconfigure(change: (text: string) => string): Promise<string> {
    const before = await readFile(this.#configFile, 'utf8');
    const wanted = this.directors.map(({ name }) => [name, (this.#reloads.get(name) ?? 0) + 1] as const);
    await this.#write(change(before));
    for (const director of this.directors) {
      director.signal('SIGHUP');
    }
    await waitFor(
      'a reload',
      () => wanted.find(([name, count]) => (this.#reloads.get(name) ?? 0) < count)?.[0],
      { timeoutMs: RELOAD_TIMEOUT_MS, everyMs: STATUS_EVERY_MS, signal: this.options.signal },
    );
    return before;
  }

  /** Outages, those that last still included. */
  outagesUntil(untilMs: number): Outage[] {
    const open = [...this.#openOutages].map(([director, fromMs]) => ({ director, fromMs, toMs: untilMs }));
    return [...this.outages, ...open];
  }

  observe(atMs: number, source: string, event: string): void {
    this.observations.push({ atMs, source, event });
  }

  /** How many of the client's connections a director knows once its table has settled. */
  async synchronised(
    director: string,
    connections: readonly OpenedConnection[],
    timeoutMs = SYNC_TIMEOUT_MS,
  ): Promise<number> {
    let known = 0;
    await settles(
      async () => {
        const beganMs = performance.now();
        known = (await serversOf(this.lab, director, connections)).size;
        // A large table costs an emulated processor seconds: half of the time is for others.
        if (known < connections.length) await sleep(performance.now() - beganMs, this.options.signal);
        return known < connections.length ? `${known} of ${connections.length}` : undefined;
      },
      { timeoutMs, everyMs: SYNC_EVERY_MS, signal: this.options.signal },
    );
    return known;
  }

  /** Ends everything in order: directors first, so that they clean up what the kernel holds of theirs. */
  async close(): Promise<void> {
    await Promise.all(this.directors.map((director) => director.stop()));
    await this.lab.destroy();
    for (const director of this.directors) {
      director.closeLog();
    }
  }

  /** A director that cannot be heard has no role, whatever it believes. */
  async #role(director: Director): Promise<string | undefined> {
    return director.running && !this.#hung.has(director) && !this.#openOutages.has(director.name)
      ? roleOf(await director.status())
      : undefined;
  }

  #director(name: string): Director {
    const { directorCommand, outDir, topology, workDir } = this.options;
    return new Director(this.lab, {
      name,
      command: directorCommand,
      configFile: this.#configFile,
      runtimeDir: join(workDir, `${topology.name}-${name}-run`),
      stateDir: join(workDir, `${topology.name}-${name}-state`),
      logFile: join(outDir, `${topology.name}-${name}.log`),
      onEvent: (event) => this.#directorSaid(name, event),
      onExit: () => {
        this.observe(Date.now(), name, 'the daemon has ended');
        this.roles.push({ atMs: Date.now(), director: name, instance: '', to: 'stopped' });
      },
    });
  }

  async #write(text: string): Promise<void> {
    await writeFile(this.#configFile, text);
    this.#preempts = preempts(text);
  }

  /** A copy: some scenarios change it. */
  get #configFile(): string {
    return join(this.options.workDir, basename(this.options.topology.configFile));
  }

  async #readConfig(): Promise<string> {
    const { advertisementInterval, configDir, topology } = this.options;
    const text = withoutHooks(await readFile(resolve(configDir, topology.configFile), 'utf8'));
    return advertisementInterval === undefined
      ? text
      : withAdvertisementInterval(text, advertisementInterval);
  }

  #watch({ name }: Director): void {
    this.#watchers.set(
      name,
      watchAddresses(this.lab, name, (change) => this.#addressChanged(change)),
    );
  }

  #addressChanged(change: AddressChange): void {
    this.changes.push(change);
    // Link-local addresses of the kernel's own making are nobody's business.
    if (!this.virtualAddresses.includes(change.address)) {
      return;
    }
    this.observe(change.atMs, change.director, `${change.held ? 'holds' : 'gave up'} ${change.address}`);
  }

  #directorSaid(director: string, event: DirectorEvent): void {
    this.observe(event.atMs, director, textOf(event));
    if (event.event === 'reload') {
      this.#reloads.set(director, (this.#reloads.get(director) ?? 0) + 1);
    }
    const { instance, to } = event.fields;
    if (event.event === 'role' && typeof instance === 'string' && typeof to === 'string') {
      this.roles.push({ atMs: event.atMs, director, instance, to });
    }
  }
}
