/** Keeps the kernel's IPVS table, sync daemons and health verdicts as the configuration wants them. */
import type { DirectorConfig } from '../../config/model.js';
import type { RealServer, VirtualServer } from '../../config/model-servers.js';
import { type Drain, type DrainTimes, drainKey, withDrains } from '../../ipvs/drain.js';
import { foundWords } from '../../ipvs/found.js';
import type { DumpedService, IpvsOp, Service, StartedSyncDaemon } from '../../ipvs/model.js';
import { describeOp, plan, planInSlices, serviceKeyText } from '../../ipvs/plan.js';
import {
  desiredServices,
  drainLimits,
  serviceKeyOf,
  sorryInUse,
  wholeServices,
  withUnheard,
} from '../../planning/desired.js';
import type { Serves } from '../../planning/pool.js';
import { requiredSyncDaemons } from '../../planning/requirements.js';
import type { RealServerHealth } from '../../track/quorum.js';
import { workInTurn } from '../../util/in-turn.js';
import { type CleanUpStep, cleanUp } from '../clean-up.js';
import type { Clock, Log } from '../ports.js';
import { RepairPace } from '../repair-pace.js';
import type { VirtualServerStatus } from '../status.js';
import { virtualServerStatus } from '../virtual-server-status.js';
import { HealthRunner } from './health-runner.js';
import { PoolTeller } from './pool-teller.js';
import type { RoleReport } from './services-messages.js';
import type { Ipvs, OpResult, Prober, ServicesLeftovers, SyncInterfaces } from './services-ports.js';
import { SyncDaemonKeeper, type SyncDaemonsStatus } from './sync-daemon-keeper.js';
import { type KnownTable, TableLook } from './table-look.js';

export interface IpvsServicePorts {
  readonly clock: Clock;
  readonly ipvs: Ipvs;
  readonly prober: Prober;
  readonly log: Log;
  readonly syncInterfaces: SyncInterfaces;
  role(instance: string): RoleReport | undefined;
  /** Saves which virtual servers are ours, before the kernel has them. */
  saveOwned(keys: readonly string[]): Promise<void>;
  /** Saves which sync daemons are ours. */
  saveSyncDaemons(daemons: readonly StartedSyncDaemon[]): Promise<void>;
  /** Saves which removed real servers keep their connections, and since when. */
  saveDrains(times: DrainTimes): Promise<void>;
  /** A health verdict changed. */
  onVerdict(): void;
  /** Lets the event loop turn: thousands of services are compared in slices. */
  breathe?(): Promise<void>;
}

/** Somebody else may change the table: all of it is compared this often even when nothing happens here. */
const REFRESH_MS = 30_000;
/** So often the sync daemons and a part of the table are looked at. */
const LOOK_MS = 1000;
const RETRY_MS = 2000;
/** So often a real server that starts slowly gets more of its weight. */
const SLOW_START_STEP_MS = 1000;
/** Repairs that are named one by one. */
const NAMED_REPAIRS = 20;

export class IpvsService {
  readonly #ports: IpvsServicePorts;
  readonly #health: HealthRunner;
  #config: DirectorConfig;
  #owned: Set<string>;
  readonly #inTurn = workInTurn();
  #scheduled = false;
  #closed = false;
  #lastError = '';
  #cancelRefresh: () => void = () => {};
  #cancelLook: () => void = () => {};
  readonly #daemons: SyncDaemonKeeper;
  readonly #look: TableLook;
  readonly #pace = new RepairPace();
  /** Undefined while changes fail. */
  #known: KnownTable | undefined;
  #drainTimes: DrainTimes;
  readonly #pools: PoolTeller;

  constructor(
    config: DirectorConfig,
    leftovers: Pick<ServicesLeftovers, 'ownedServices' | 'syncDaemons' | 'drains'>,
    ports: IpvsServicePorts,
  ) {
    this.#config = config;
    this.#owned = new Set(leftovers.ownedServices);
    this.#drainTimes = leftovers.drains ?? {};
    this.#ports = ports;
    this.#look = new TableLook(ports.ipvs);
    this.#pools = new PoolTeller(ports.log);
    this.#daemons = new SyncDaemonKeeper(leftovers.syncDaemons, {
      clock: ports.clock,
      ipvs: ports.ipvs,
      interfaces: ports.syncInterfaces,
      log: ports.log,
      save: (daemons) => ports.saveSyncDaemons(daemons),
    });
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

  /** Resolves when the kernel has the table and the sync daemons for the first time, or it is told why not. */
  async start(): Promise<void> {
    this.#daemons.configure(requiredSyncDaemons(this.#config));
    this.refresh();
    this.#lookSoon();
    await this.#idle();
  }

  async reconfigure(config: DirectorConfig): Promise<void> {
    this.#config = config;
    this.#health.configure(config.virtualServers);
    this.#daemons.configure(requiredSyncDaemons(config));
    this.refresh();
    await this.#idle();
  }

  /** Compares the kernel with what is wanted, soon; calls in between are one. */
  refresh(): void {
    if (this.#scheduled || this.#closed) return;
    this.#scheduled = true;
    void this.#inTurn(async () => {
      this.#scheduled = false;
      if (this.#closed) return;
      await this.#daemons.reconcile();
      await this.#reconcile();
    });
  }

  /** Resolves when the work that waits now is done. */
  #idle(): Promise<void> {
    return this.#inTurn(async () => {});
  }

  #lookSoon(): void {
    const { clock } = this.#ports;
    this.#cancelLook = clock.at(clock.nowMs() + LOOK_MS, () => {
      void this.#inTurn(async () => {
        if (this.#closed) return;
        await this.#daemons.reconcile();
        await this.#lookAtTable();
        if (!this.#closed) this.#lookSoon();
      });
    });
  }

  /** What differs is for a whole comparison, not sooner than the pace allows: a rival may undo every repair. */
  async #lookAtTable(): Promise<void> {
    const nowMs = this.#ports.clock.nowMs();
    if (this.#known === undefined) return;
    try {
      const found = await this.#look.look(this.#known, nowMs);
      if (found === 'drained' || (found === 'changed' && this.#pace.due(nowMs))) this.refresh();
    } catch {
      // The comparison tells what is the matter.
      this.refresh();
    }
  }

  /**
   * Takes everything of ours out of the kernel; when another host has `succeeded` this one, not before it was told of
   * all connections. One step that fails does not stop the others.
   */
  async stop(succeeded: boolean): Promise<void> {
    this.#closed = true;
    this.#health.close();
    this.#cancelRefresh();
    this.#cancelLook();
    await this.#idle();
    const { ipvs, log } = this.#ports;
    const steps: CleanUpStep[] = [
      {
        what: 'the IPVS table',
        run: async () => {
          const ops = plan([], await ipvs.dump(), { ownedKeys: this.#owned, prune: true });
          if (this.#report(await ipvs.apply(ops))) return;
          await this.#ports.saveOwned([]);
          await this.#ports.saveDrains({});
        },
      },
      {
        what: 'the sync daemons',
        run: () => this.#daemons.stop(succeeded),
      },
    ];
    await cleanUp(steps, log);
  }

  status(): readonly VirtualServerStatus[] {
    const drains = this.#known?.drains ?? [];
    return this.#config.virtualServers.map((server) => ({
      ...virtualServerStatus(server, (real) => this.#health.of(server.name, real), {
        sorry: this.#pools.isSorry(server),
        panic: this.#pools.isInPanic(server),
      }),
      ...(drains.length > 0 ? { draining: this.#drainingOf(server, drains) } : {}),
    }));
  }

  #drainingOf(server: VirtualServer, drains: readonly Drain[]): VirtualServerStatus['draining'] {
    const nowMs = this.#ports.clock.nowMs();
    const key = serviceKeyText(serviceKeyOf(server));
    return drains
      .filter((drain) => serviceKeyText(drain.key) === key)
      .map(({ sinceMs, limitMs, destination }) => ({
        address: destination.address,
        port: destination.port,
        active_connections: destination.activeConnections,
        inactive_connections: destination.inactiveConnections,
        at_most_s: Math.max(0, Math.ceil((sinceMs + limitMs - nowMs) / 1000)),
      }));
  }

  /** `unknown` for what is not configured here. */
  health(virtualServer: string, realServer: RealServer): RealServerHealth {
    const { address, port } = realServer;
    const isKnown = this.#config.virtualServers.some(
      ({ name, realServers }) =>
        name === virtualServer && realServers.some((one) => one.address === address && one.port === port),
    );
    if (!isKnown) return 'unknown';
    return this.#health.of(virtualServer, realServer).health;
  }

  /** By the kernel's word. */
  get syncDaemons(): SyncDaemonsStatus {
    return this.#daemons.status;
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
    return new Set(servers.map((server) => serviceKeyText(serviceKeyOf(server))));
  }

  async #reconcile(): Promise<void> {
    this.#cancelRefresh();
    let delayMs = REFRESH_MS;
    try {
      const actual = await this.#ports.ipvs.dump();
      await this.#ports.breathe?.();
      // Read after the dump and in one go: a verdict that comes in between must not let the pruning begin on a
      // table that was wanted without it.
      const active = this.#active();
      const serves: Serves = (name, server) => this.#health.serves(name, server);
      const healthy = withUnheard(this.#desired(active, serves, actual), active, actual, serves);
      const prune = this.#health.firstVerdictsIn;
      const { desired, drains } = prune
        ? this.#drain(healthy, active, actual)
        : { desired: healthy, drains: this.#known?.drains ?? [] };
      const undecided = this.#undecided();
      const kept = [...this.#owned].filter((key) => undecided.has(key));
      const keys = [...new Set([...desired.map((service) => serviceKeyText(service.key)), ...kept])];
      const ownedKeys = new Set([...this.#owned].filter((key) => !undecided.has(key)));
      const ops = await this.#plan(desired, actual, { ownedKeys, prune });
      if (ops.length > 0) await this.#tellOthersChanges(actual);
      // Known as ours before they are in the kernel: a crash in between must not make them a stranger's.
      await this.#own([...new Set([...this.#owned, ...keys])]);
      if (prune) await this.#saveDrains(drains);
      const results = await this.#ports.ipvs.apply(ops);
      const failed = this.#report(results);
      this.#known = failed ? undefined : { services: desired, drains, pruned: prune };
      if (!failed) this.#pools.tell(active, desired, serves);
      if (failed) delayMs = RETRY_MS;
      else if (this.#isSlowStarting(active)) delayMs = SLOW_START_STEP_MS;
      if (!failed && prune) await this.#own(keys);
    } catch (error) {
      this.#known = undefined;
      this.#ports.log.error({ err: error }, 'the IPVS table could not be compared');
      delayMs = RETRY_MS;
    }
    const { clock } = this.#ports;
    if (!this.#closed) this.#cancelRefresh = clock.at(clock.nowMs() + delayMs, () => this.refresh());
  }

  #desired(active: readonly VirtualServer[], serves: Serves, actual: readonly DumpedService[]): Service[] {
    // By the kernel's word, so that a restart goes on where it was.
    const sorry = sorryInUse(active, actual);
    return desiredServices(active, {
      serves,
      wasSorry: (key) => sorry.has(key),
      share: (server, real) => this.#health.share(server, real),
    });
  }

  #isSlowStarting(active: readonly VirtualServer[]): boolean {
    return active.some(
      (server) =>
        server.slowStartMs > 0 && server.realServers.some((real) => this.#health.share(server, real) < 1),
    );
  }

  async #plan(...input: Parameters<typeof planInSlices>): Promise<IpvsOp[]> {
    const slices = planInSlices(...input);
    for (;;) {
      await this.#ports.breathe?.();
      const slice = slices.next();
      if (slice.done === true) return slice.value;
    }
  }

  #drain(healthy: readonly Service[], active: readonly VirtualServer[], actual: readonly DumpedService[]) {
    const configured = () => wholeServices(active);
    const nowMs = this.#ports.clock.nowMs();
    return withDrains(healthy, configured, actual, this.#drainTimes, nowMs, () => drainLimits(active));
  }

  async #saveDrains(drains: readonly Drain[]): Promise<void> {
    const { log } = this.#ports;
    const before = this.#drainTimes;
    const times = Object.fromEntries(
      drains.map(({ key, destination, sinceMs }) => [drainKey(key, destination), sinceMs]),
    );
    if (Object.keys(before).length === 0 && drains.length === 0) return;
    this.#drainTimes = times;
    await this.#ports.saveDrains(times);
    for (const name of Object.keys(times)) {
      if (!Object.hasOwn(before, name)) log.info({ event: 'drain', drain: name }, `${name}: drains`);
    }
    for (const name of Object.keys(before)) {
      if (!Object.hasOwn(times, name)) log.info({ event: 'drain', drain: name }, `${name}: drains no more`);
    }
  }

  /** Somebody changed what we had left in good order. */
  async #tellOthersChanges(actual: readonly DumpedService[]): Promise<void> {
    if (this.#known === undefined) return;
    const { services, pruned } = this.#known;
    const repairs = await this.#plan(services, actual, { ownedKeys: new Set(), prune: pruned });
    if (repairs.length === 0) return;
    const { clock, log } = this.#ports;
    this.#pace.made(clock.nowMs());
    const named: readonly IpvsOp[] = repairs.slice(0, NAMED_REPAIRS);
    log.warn(
      { event: 'ipvs-repair', repairs: repairs.length, first: named.map(describeOp) },
      `somebody changed the IPVS table (${foundWords(repairs)}): repaired`,
    );
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
}
