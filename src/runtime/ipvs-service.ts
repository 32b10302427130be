/** Keeps the kernel's IPVS table, sync daemons and health verdicts as the configuration wants them. */
import type { DirectorConfig, RealServer, VirtualServer } from '../config/model.js';
import { requiredSyncDaemons } from '../director/requirements.js';
import { desiredServices } from '../ipvs/desired.js';
import type { SyncDaemon } from '../ipvs/model.js';
import { describeOp, plan, serviceKeyText } from '../ipvs/plan.js';
import type { RealServerHealth } from '../track/quorum.js';
import { type CleanUpStep, cleanUp } from './clean-up.js';
import { HealthRunner } from './health-runner.js';
import type { Clock, Ipvs, Log, OpResult, Prober, ServicesLeftovers } from './ports.js';
import type { RoleReport } from './services-messages.js';
import type { VirtualServerStatus } from './status.js';

export interface IpvsServicePorts {
  readonly clock: Clock;
  readonly ipvs: Ipvs;
  readonly prober: Prober;
  readonly log: Log;
  role(instance: string): RoleReport | undefined;
  /** Saves which virtual servers are ours, before the kernel has them. */
  saveOwned(keys: readonly string[]): Promise<void>;
  /** Saves which sync daemons are ours. */
  saveSyncDaemons(daemons: readonly SyncDaemon[]): Promise<void>;
  /** A health verdict changed. */
  onVerdict(): void;
}

/** Somebody else may change the table: it is compared this often even when nothing happens here. */
const REFRESH_MS = 30_000;
const RETRY_MS = 2000;

export class IpvsService {
  readonly #ports: IpvsServicePorts;
  readonly #health: HealthRunner;
  #config: DirectorConfig;
  #owned: Set<string>;
  #work: Promise<void> = Promise.resolve();
  #scheduled = false;
  #closed = false;
  #lastError = '';
  #cancelRefresh: () => void = () => {};
  #startedDaemons: readonly SyncDaemon[] = [];

  constructor(
    config: DirectorConfig,
    leftovers: Pick<ServicesLeftovers, 'ownedServices' | 'syncDaemons'>,
    ports: IpvsServicePorts,
  ) {
    this.#config = config;
    this.#owned = new Set(leftovers.ownedServices);
    this.#startedDaemons = leftovers.syncDaemons;
    this.#ports = ports;
    this.#health = new HealthRunner(config.virtualServers, {
      clock: ports.clock,
      prober: ports.prober,
      log: ports.log,
      onVerdict: () => {
        this.refresh();
        ports.onVerdict();
      },
    });
  }

  /** Resolves when the kernel has the table and the sync daemons for the first time. */
  async start(): Promise<void> {
    await this.#reconcileDaemons();
    this.refresh();
    await this.#work;
  }

  async reconfigure(config: DirectorConfig): Promise<void> {
    this.#config = config;
    this.#health.configure(config.virtualServers);
    await this.#reconcileDaemons();
    this.refresh();
    await this.#work;
  }

  /** Compares the kernel with what is wanted, soon; calls in between are one. */
  refresh(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    this.#work = this.#work.then(async () => {
      this.#scheduled = false;
      if (!this.#closed) await this.#reconcile();
    });
  }

  /** Takes everything of ours out of the kernel. One step that fails does not stop the others. */
  async stop(): Promise<void> {
    this.#closed = true;
    this.#health.close();
    this.#cancelRefresh();
    await this.#work;
    const { ipvs, log } = this.#ports;
    const steps: CleanUpStep[] = [
      {
        what: 'the IPVS table',
        run: async () => {
          const ops = plan([], await ipvs.dump(), { ownedKeys: this.#owned, prune: true });
          if (this.#report(await ipvs.apply(ops))) return;
          await this.#ports.saveOwned([]);
        },
      },
      {
        what: 'the sync daemons',
        run: async () => {
          const running = await ipvs.syncDaemons();
          for (const daemon of this.#startedDaemons) {
            if (!running.some((other) => sameDaemon(daemon, other))) continue;
            await ipvs.stopSyncDaemon(daemon.state, daemon.syncid, daemon.interface);
          }
          await this.#ports.saveSyncDaemons([]);
        },
      },
    ];
    await cleanUp(steps, log);
  }

  status(): readonly VirtualServerStatus[] {
    return this.#config.virtualServers.map((server) => ({
      name: server.name,
      address: server.address,
      port: server.port,
      protocol: server.protocol,
      scheduler: server.scheduler,
      forwarding: server.forwarding,
      real_servers: server.realServers.map(({ address, port, weight }) => ({
        address,
        port,
        weight,
        ...this.#health.of(server.name, { address, port }),
      })),
    }));
  }

  /** `unknown` for what is not configured here. */
  health(virtualServer: string, realServer: RealServer): RealServerHealth {
    const server = this.#config.virtualServers.find(({ name }) => name === virtualServer);
    const { address, port } = realServer;
    if (server?.realServers.some((one) => one.address === address && one.port === port) !== true) {
      return 'unknown';
    }
    return this.#health.of(virtualServer, realServer).health;
  }

  /** Kernel sync daemons that run for us. */
  get syncDaemons(): readonly SyncDaemon[] {
    return this.#startedDaemons;
  }

  /** Virtual servers that this director is to have in its table now. */
  #active(): readonly VirtualServer[] {
    return this.#config.virtualServers.filter(
      ({ vrrpInstance }) => vrrpInstance === undefined || this.#ports.role(vrrpInstance)?.state === 'master',
    );
  }

  /** Keys of those whose instance has not been heard of since the start: not added yet, and not removed either. */
  #undecided(): ReadonlySet<string> {
    const servers = this.#config.virtualServers.filter(
      ({ vrrpInstance }) => vrrpInstance !== undefined && this.#ports.role(vrrpInstance)?.settled !== true,
    );
    return new Set(desiredServices(servers, () => false).map((service) => serviceKeyText(service.key)));
  }

  async #reconcile(): Promise<void> {
    this.#cancelRefresh();
    let delayMs = REFRESH_MS;
    try {
      const actual = await this.#ports.ipvs.dump();
      // Read after the dump and in one go: a verdict that comes in between must not let the pruning begin on a
      // table that was wanted without it.
      const desired = desiredServices(this.#active(), (name, server) => this.#health.serves(name, server));
      const prune = this.#health.firstVerdictsIn;
      const undecided = this.#undecided();
      const kept = [...this.#owned].filter((key) => undecided.has(key));
      const keys = [...new Set([...desired.map((service) => serviceKeyText(service.key)), ...kept])];
      const ownedKeys = new Set([...this.#owned].filter((key) => !undecided.has(key)));
      const ops = plan(desired, actual, { ownedKeys, prune });
      // Known as ours before they are in the kernel: a crash in between must not make them a stranger's.
      await this.#own([...new Set([...this.#owned, ...keys])]);
      const results = await this.#ports.ipvs.apply(ops);
      if (this.#report(results)) delayMs = RETRY_MS;
      else if (prune) await this.#own(keys);
    } catch (error) {
      this.#ports.log.error({ err: error }, 'the IPVS table could not be compared');
      delayMs = RETRY_MS;
    }
    const { clock } = this.#ports;
    if (!this.#closed) this.#cancelRefresh = clock.at(clock.nowMs() + delayMs, () => this.refresh());
  }

  async #own(keys: readonly string[]): Promise<void> {
    if (keys.length === this.#owned.size && keys.every((key) => this.#owned.has(key))) return;
    this.#owned = new Set(keys);
    await this.#ports.saveOwned(keys);
  }

  /** Logs what was done and what failed; says whether anything failed. A failure that repeats is told once. */
  #report(results: readonly OpResult[]): boolean {
    const { log } = this.#ports;
    let failed = '';
    for (const { op, error } of results) {
      if (error === undefined) log.debug({ event: 'ipvs', op: op.op }, describeOp(op));
      else failed += `${describeOp(op)}: ${error.message}\n`;
    }
    if (failed !== '' && failed !== this.#lastError) {
      log.error(
        { event: 'ipvs', failed: failed.trimEnd().split('\n') },
        'the kernel refused changes of the IPVS table',
      );
    }
    this.#lastError = failed;
    return failed !== '';
  }

  async #reconcileDaemons(): Promise<void> {
    const { ipvs, log } = this.#ports;
    const wanted = requiredSyncDaemons(this.#config);
    if (wanted.length === 0 && this.#startedDaemons.length === 0) return;
    for (const running of await ipvs.syncDaemons()) {
      if (wanted.some((daemon) => sameDaemon(daemon, running))) continue;
      const ours = this.#startedDaemons.some((daemon) => sameDaemon(daemon, running));
      const inTheWay = wanted.some((daemon) => daemon.state === running.state);
      if (!ours && !inTheWay) continue;
      if (!ours) log.warn({ daemon: running }, 'replacing a sync daemon that runs with other settings');
      await ipvs.stopSyncDaemon(running.state, running.syncid, running.interface);
    }
    const running = await ipvs.syncDaemons();
    this.#startedDaemons = wanted;
    await this.#ports.saveSyncDaemons(wanted);
    for (const daemon of wanted) {
      if (!running.some((other) => sameDaemon(daemon, other))) await ipvs.startSyncDaemon(daemon);
    }
  }
}

function sameDaemon(a: SyncDaemon, b: SyncDaemon): boolean {
  return a.state === b.state && a.interface === b.interface && a.syncid === b.syncid;
}
