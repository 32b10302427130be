/** Keeps the kernel's IPVS table, sync daemons and health verdicts as the configuration wants them. */
import type { DirectorConfig } from '../../config/model.js';
import type { RealServer, VirtualServer } from '../../config/model-servers.js';
import type { DrainTimes } from '../../ipvs/drain.js';
import { foreignRemovals, foundWords } from '../../ipvs/found.js';
import type { IpvsOp, StartedSyncDaemon, SyncDaemon } from '../../ipvs/model.js';
import { describeOp, EVERY_KEY, plan, serviceKeyText } from '../../ipvs/plan.js';
import { serviceKeyOf } from '../../planning/desired.js';
import { requiredSyncDaemons } from '../../planning/requirements.js';
import type { RealServerHealth } from '../../track/quorum.js';
import { workInTurn } from '../../util/in-turn.js';
import { type CleanUpStep, cleanUp } from '../clean-up.js';
import type { Clock, Log } from '../ports.js';
import { RepairPace } from '../repair-pace.js';
import type { VirtualServerStatus } from '../status.js';
import { virtualServerStatus } from '../virtual-server-status.js';
import { Doubt } from './doubt.js';
import { HealthRunner } from './health-runner.js';
import { DrainKeeper, drainingOf } from './keepers/drain-keeper.js';
import { SyncDaemonKeeper, type SyncDaemonsStatus } from './keepers/sync-daemon-keeper.js';
import { PoolTeller } from './pool-teller.js';
import type { RoleReport } from './services-messages.js';
import type { Ipvs, OpResult, Prober, ServicesLeftovers, SyncInterfaces } from './services-ports.js';
import { type Comparison, TableComparer, type Wanted } from './table-comparer.js';
import { type KnownTable, TableLook } from './table-look.js';
import { type VirtualServerReport, virtualServerReports } from './virtual-server-report.js';
import type { WorkCounts } from './work-counts.js';

export interface IpvsServicePorts {
  readonly clock: Clock;
  readonly ipvs: Ipvs;
  readonly prober: Prober;
  readonly log: Log;
  readonly counts: WorkCounts;
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
  /** A sync daemon that did not run was started. */
  onSyncDaemonStarted?(state: SyncDaemon['state']): void;
  /** Lets the event loop turn. */
  breathe?(): Promise<void>;
}

/** Somebody else may change the table: all of it is compared this often, whatever happens here. */
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
  readonly #drains: DrainKeeper;
  readonly #pools: PoolTeller;
  readonly #doubt: Doubt;
  readonly #comparer: TableComparer;
  /** When all of the table is due to be compared. */
  #wholeAtMs = Number.NEGATIVE_INFINITY;

  constructor(
    config: DirectorConfig,
    leftovers: Pick<ServicesLeftovers, 'ownedServices' | 'syncDaemons' | 'drains'>,
    ports: IpvsServicePorts,
  ) {
    this.#config = config;
    this.#owned = new Set(leftovers.ownedServices);
    this.#ports = ports;
    this.#drains = new DrainKeeper(leftovers.drains ?? {}, ports);
    this.#look = new TableLook(ports.ipvs);
    this.#pools = new PoolTeller(ports.log);
    this.#doubt = new Doubt({ clock: ports.clock, log: ports.log, over: () => this.refresh() });
    this.#comparer = new TableComparer({ ipvs: ports.ipvs, breathe: async () => ports.breathe?.() });
    this.#daemons = new SyncDaemonKeeper(leftovers.syncDaemons, {
      clock: ports.clock,
      ipvs: ports.ipvs,
      interfaces: ports.syncInterfaces,
      log: ports.log,
      counts: ports.counts,
      save: (daemons) => ports.saveSyncDaemons(daemons),
      onStarted: (state) => ports.onSyncDaemonStarted?.(state),
    });
    this.#health = new HealthRunner(config.virtualServers, {
      clock: ports.clock,
      prober: ports.prober,
      log: ports.log,
      counts: ports.counts,
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
    if (config.ipvs.exclusive !== this.#config.ipvs.exclusive) this.#wholeAtMs = Number.NEGATIVE_INFINITY;
    this.#config = config;
    this.#health.configure(config.virtualServers);
    this.#daemons.configure(requiredSyncDaemons(config));
    this.refresh();
    await this.#idle();
  }

  /** Something says that this director may be what has failed (`Doubt`). */
  doubt(): void {
    if (this.#doubt.raise()) this.refresh();
  }

  #roles(): readonly (RoleReport | undefined)[] {
    return this.#config.instances.map(({ name }) => this.#ports.role(name));
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

  #refreshWhole(): void {
    this.#wholeAtMs = Number.NEGATIVE_INFINITY;
    this.refresh();
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
      if (found === 'drained') this.refresh();
      else if (found === 'changed' && this.#pace.due(nowMs)) this.#refreshWhole();
    } catch {
      // The comparison tells what is the matter.
      this.#refreshWhole();
    }
  }

  /**
   * Takes everything of ours out of the kernel; when another host has `succeeded` this one, not before it was told of
   * all connections. One step that fails does not stop the others.
   */
  async stop(succeeded: boolean): Promise<void> {
    this.#closed = true;
    this.#doubt.close();
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
      { what: 'the sync daemons', run: () => this.#daemons.stop(succeeded) },
    ];
    await cleanUp(steps, log);
  }

  status(): readonly VirtualServerStatus[] {
    const drains = this.#known?.drains ?? [];
    const nowMs = this.#ports.clock.nowMs();
    return this.#config.virtualServers.map((server) => ({
      ...virtualServerStatus(server, (real) => this.#health.of(server.name, real), {
        sorry: this.#pools.isSorry(server),
        panic: this.#pools.isInPanic(server),
      }),
      ...(drains.length > 0 ? { draining: drainingOf(server, drains, nowMs) } : {}),
    }));
  }

  /** The same for metrics. */
  report(): readonly VirtualServerReport[] {
    return virtualServerReports(
      this.#config.virtualServers,
      this.#health,
      this.#pools,
      this.#known?.drains ?? [],
    );
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
    const { clock, counts } = this.#ports;
    const begunMs = clock.nowMs();
    try {
      const { wanted, desired, drains, ops, repairs } = await this.#compare();
      if (ops.length > 0) this.#tellRepairs(repairs);
      this.#tellForeign(ops, repairs);
      const undecided = this.#undecided();
      const kept = [...this.#owned].filter((key) => undecided.has(key));
      const keys = [...new Set([...desired.map((service) => serviceKeyText(service.key)), ...kept])];
      // Known as ours before they are in the kernel: a crash in between must not make them a stranger's.
      await this.#own([...new Set([...this.#owned, ...keys])]);
      if (wanted.prune) await this.#drains.save(drains);
      const failed = this.#report(await this.#ports.ipvs.apply(ops));
      const { exclusive } = this.#config.ipvs;
      this.#known = failed ? undefined : { services: desired, drains, pruned: wanted.prune, exclusive };
      if (!failed) this.#pools.tell(wanted.active, desired, wanted);
      if (failed) delayMs = RETRY_MS;
      else if (this.#isSlowStarting(wanted.active)) delayMs = SLOW_START_STEP_MS;
      if (!failed && wanted.prune) await this.#own(keys);
    } catch (error) {
      this.#known = undefined;
      this.#ports.log.error({ err: error }, 'the IPVS table could not be compared');
      delayMs = RETRY_MS;
    }
    counts.reconciled(begunMs, clock.nowMs(), this.#known === undefined ? 'failed' : 'done');
    if (!this.#closed) this.#cancelRefresh = clock.at(clock.nowMs() + delayMs, () => this.refresh());
  }

  /** All of the table when that was long ago, or somebody else was at it; between these what is wanted otherwise now. */
  async #compare(): Promise<Comparison> {
    const wanted = () => this.#wanted();
    const nowMs = this.#ports.clock.nowMs();
    if (this.#known !== undefined && nowMs < this.#wholeAtMs) {
      // What cannot be asked has gone.
      const changed = await this.#comparer.changed(this.#known, wanted).catch(() => undefined);
      if (changed !== undefined) return changed;
    }
    const whole = await this.#comparer.whole(this.#known, wanted);
    this.#wholeAtMs = nowMs + REFRESH_MS;
    return whole;
  }

  #wanted(): Wanted {
    const undecided = this.#undecided();
    const mayGo = this.#config.ipvs.exclusive ? EVERY_KEY : this.#owned;
    return {
      active: this.#active(),
      serves: (name, server) => this.#health.serves(name, server),
      share: (server, real) => this.#health.share(server, real),
      weight: (name, server) => this.#health.weight(name, server),
      isInDoubt: this.#doubt.isOpen(this.#roles()),
      ownedKeys: { has: (key) => mayGo.has(key) && !undecided.has(key) },
      prune: this.#health.firstVerdictsIn,
      drainTimes: this.#drains.times,
      nowMs: this.#ports.clock.nowMs(),
    };
  }

  #isSlowStarting(active: readonly VirtualServer[]): boolean {
    return active.some(
      (server) =>
        server.slowStartMs > 0 && server.realServers.some((real) => this.#health.share(server, real) < 1),
    );
  }

  /** Somebody changed what we had left in good order. */
  #tellRepairs(repairs: readonly IpvsOp[]): void {
    if (repairs.length === 0) return;
    const { clock, counts, log } = this.#ports;
    this.#pace.made(clock.nowMs());
    counts.repaired(repairs.length);
    const named: readonly IpvsOp[] = repairs.slice(0, NAMED_REPAIRS);
    log.warn(
      { event: 'ipvs-repair', repairs: repairs.length, first: named.map(describeOp) },
      `somebody changed the IPVS table (${foundWords(repairs)}): repaired`,
    );
  }

  /** What others had in the table before it was ours alone; what they add later is a repair. */
  #tellForeign(ops: readonly IpvsOp[], repairs: readonly IpvsOp[]): void {
    const removed = foreignRemovals(ops, repairs, this.#owned);
    if (removed.length === 0) return;
    this.#ports.log.warn(
      { event: 'ipvs-exclusive', removed: removed.length, first: removed.slice(0, NAMED_REPAIRS) },
      `the table is ours alone (ipvs.exclusive): ${removed.length} services that the file does not have are removed`,
    );
  }

  async #own(keys: readonly string[]): Promise<void> {
    if (keys.length === this.#owned.size && keys.every((key) => this.#owned.has(key))) return;
    this.#owned = new Set(keys);
    await this.#ports.saveOwned(keys);
  }

  /** Logs what was done and what failed; says whether anything failed. A failure that repeats is told once. */
  #report(results: readonly OpResult[]): boolean {
    const { counts, log } = this.#ports;
    let failed = '';
    for (const { op, error } of results) {
      counts.applied(op, error);
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
