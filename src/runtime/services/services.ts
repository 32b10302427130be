/** What the services process does: sysctls, the IPVS table, sync daemons, health checks. Its parent runs the election. */
import { type DirectorConfig, NO_IPVS_SETTINGS } from '../../config/model.js';
import { type RealServer } from '../../config/model-servers.js';
import type { VrrpEvent } from '../../hooks/hooks.js';
import type { SyncDaemon } from '../../ipvs/model.js';
import {
  type Override,
  type OverrideOrder,
  type OverrideResult,
  overridden,
  overrideFinder,
  overrideText,
  withOrder,
  withoutStrangers,
} from '../../planning/overrides.js';
import { dispensableSysctl, hasIpvsSettings, requiredSysctls } from '../../planning/requirements.js';
import type { RealServerHealth } from '../../track/quorum.js';
import type { SyncProgress } from '../../vrrp/group-types.js';
import { cleanUp } from '../clean-up.js';
import type { PeerChannelStatus } from '../peer-status.js';
import type { Clock, Log, LoopDelay, Nft, StateFile } from '../ports.js';
import type { LogStatus } from '../status.js';
import { withOverrides } from '../virtual-server-status.js';
import { IpvsService } from './ipvs-service.js';
import { SourceNatKeeper } from './keepers/source-nat-keeper.js';
import { SysctlKeeper } from './keepers/sysctl-keeper.js';
import { TimeoutsKeeper } from './keepers/timeouts-keeper.js';
import type { ServicesReport } from './metrics-snapshot.js';
import { hasLeft, type Roles, type ServicesStatus, type TrackedVerdict } from './services-messages.js';
import type { Ipvs, Prober, ServicesLeftovers, SyncInterfaces, Sysctls } from './services-ports.js';
import { WorkCounts } from './work-counts.js';

export type RealServerHealthOf = (virtualServer: string, realServer: RealServer) => RealServerHealth;

/** What this process says to the election of its own accord. */
export interface ElectionPort {
  readonly tracked: (verdict: TrackedVerdict) => void;
  /**
   * What a comparison of the tables found, or why there can be none. Said at every change, and again after each
   * comparison even if it found the same: a group that could not hear for a while takes only what is said afterwards.
   * A process that has just started says nothing before it knows.
   */
  readonly syncProgress: (progress: SyncProgress, asOfMs: number) => void;
}

/** Work of the services process beside the kernel's table: tracked objects, hooks. */
export interface ServicesPart {
  /** For what could not be cleared away. */
  readonly what: string;
  /** Resolves when the election may begin, which must not take long. */
  configure(config: DirectorConfig): Promise<void>;
  event(event: VrrpEvent): void;
  /** Roles as they are now; before the first configuration too. */
  roles(roles: Roles): void;
  /** A health verdict changed, or what is checked. */
  healthChanged(health: RealServerHealthOf): void;
  /** After each configuration, and when a sync daemon was started. */
  syncDaemons?(seen: SyncDaemonsSeen): void;
  /** What it adds to `director status` and to metrics. */
  peerChannel?(): PeerChannelStatus | undefined;
  /** This director stops, and another one has its roles already. Resolves soon: the stop waits. */
  succeeded?(): Promise<void>;
  close(): Promise<void> | void;
}

export interface SyncDaemonsSeen {
  /** A backup daemon runs as wanted, by the kernel's word. */
  readonly isBackupRunning: boolean;
  /** Times that this process has started a backup daemon: what was told while none ran is missing here. */
  readonly backupStarts: number;
}

export interface ServicesPorts {
  readonly clock: Clock;
  /** Opens IPVS; called only when there is something to do in it. */
  readonly openIpvs: () => Promise<Ipvs>;
  readonly prober: Prober;
  readonly syncInterfaces: SyncInterfaces;
  readonly sysctls: Sysctls;
  readonly nft: Nft;
  readonly stateFile: StateFile<ServicesLeftovers>;
  readonly overridesFile: StateFile<{ readonly overrides: readonly Override[] }>;
  readonly loopDelay: LoopDelay;
  readonly logStatus: () => LogStatus;
  readonly log: Log;
  /** Lets the event loop turn. */
  breathe?(): Promise<void>;
  readonly parts: readonly ((election: ElectionPort) => ServicesPart)[];
}

export class Services {
  readonly #ports: ServicesPorts;
  readonly #sysctls: SysctlKeeper;
  readonly #timeouts: TimeoutsKeeper;
  readonly #sourceNat: SourceNatKeeper;
  readonly #parts: readonly ServicesPart[];
  readonly #counts = new WorkCounts();
  #leftovers: ServicesLeftovers;
  #overrides: readonly Override[];
  /** The file's. */
  #config = NOTHING;
  #roles: Roles = {};
  #ipvs: IpvsService | undefined;
  #ipvsClient: Ipvs | undefined;
  #backupStarts = 0;

  private constructor(
    leftovers: ServicesLeftovers,
    overrides: readonly Override[],
    ports: ServicesPorts,
    election: ElectionPort,
  ) {
    this.#leftovers = leftovers;
    this.#overrides = overrides;
    this.#ports = ports;
    this.#sysctls = new SysctlKeeper(leftovers.sysctls, {
      clock: ports.clock,
      sysctls: ports.sysctls,
      log: ports.log,
      save: (sysctls) => this.#save({ sysctls }),
      dispensable: (key) => dispensableSysctl(key, this.#config),
    });
    this.#timeouts = new TimeoutsKeeper(leftovers.timeouts, {
      clock: ports.clock,
      log: ports.log,
      save: (timeouts) => this.#save({ timeouts }),
    });
    this.#sourceNat = new SourceNatKeeper(leftovers.sourceNat === true, {
      clock: ports.clock,
      log: ports.log,
      nft: ports.nft,
      save: (sourceNat) => this.#save({ sourceNat }),
    });
    this.#parts = ports.parts.map((open) => open(election));
  }

  /** Knows what an earlier process left in the kernel; changes nothing yet. */
  static async open(ports: ServicesPorts, election: ElectionPort): Promise<Services> {
    const [leftovers, { overrides }] = await Promise.all([
      ports.stateFile.load(),
      ports.overridesFile.load(),
    ]);
    return new Services(leftovers, overrides, ports, election);
  }

  /** Brings the kernel to what `config` wants. `net.ipv4.vs` exists once IPVS is loaded, so that comes first. */
  async configure(file: DirectorConfig): Promise<void> {
    this.#config = file;
    const kept = withoutStrangers(this.#overrides, file.virtualServers);
    if (kept.length < this.#overrides.length) await this.#override(kept);
    await this.#bring({ ...file, virtualServers: overridden(file.virtualServers, this.#overrides) });
  }

  /** What the operator says of a real server: as if the file said so, until it is taken back. */
  async order(order: OverrideOrder): Promise<OverrideResult> {
    const result = withOrder(this.#overrides, order, this.#config.virtualServers);
    if (!result.ok) return result;
    await this.#override(result.overrides);
    for (const override of result.meant) {
      const fields = { event: 'override', ...override };
      this.#ports.log.info(fields, `${overrideText(override, this.#config.virtualServers)}, by the operator`);
    }
    await this.configure(this.#config);
    return result;
  }

  async #override(overrides: readonly Override[]): Promise<void> {
    this.#overrides = overrides;
    await this.#ports.overridesFile.save({ overrides });
  }

  async #bring(config: DirectorConfig): Promise<void> {
    const { ownedServices, syncDaemons } = this.#leftovers;
    const balances =
      config.virtualServers.length > 0 ||
      config.connectionSync !== undefined ||
      hasIpvsSettings(config.ipvs) ||
      this.#leftovers.timeouts !== undefined ||
      ownedServices.length > 0 ||
      syncDaemons.length > 0;
    if (balances) this.#ipvsClient ??= await this.#ports.openIpvs();
    // Not for what the operator has taken out alone: its connections still need them.
    await this.#sysctls.apply(requiredSysctls(this.#config));
    // Before the table sends anybody there, and not for what the operator has taken out alone, as with sysctls.
    await this.#sourceNat.apply(this.#config);
    if (this.#ipvsClient !== undefined) await this.#timeouts.apply(config.ipvs.timeouts, this.#ipvsClient);
    if (this.#ipvs !== undefined) await this.#ipvs.reconfigure(config);
    else if (this.#ipvsClient !== undefined) {
      this.#ipvs = this.#openService(config, this.#ipvsClient);
      await this.#ipvs.start();
    }
    const configured = this.#parts.map((part) => part.configure(config));
    this.#healthChanged();
    await Promise.all(configured);
    this.#tellSyncDaemons();
  }

  #syncDaemonStarted(state: SyncDaemon['state']): void {
    if (state !== 'backup') return;
    this.#backupStarts += 1;
    this.#tellSyncDaemons();
  }

  #tellSyncDaemons(): void {
    const isBackupRunning = this.#ipvs?.syncDaemons.daemons.includes('backup') ?? false;
    for (const part of this.#parts) part.syncDaemons?.({ isBackupRunning, backupStarts: this.#backupStarts });
  }

  #peerChannel(): PeerChannelStatus | undefined {
    return this.#parts.flatMap((part) => part.peerChannel?.() ?? [])[0];
  }

  #openService(config: DirectorConfig, ipvs: Ipvs): IpvsService {
    const { clock, prober, log, syncInterfaces } = this.#ports;
    return new IpvsService(config, this.#leftovers, {
      clock,
      prober,
      log,
      counts: this.#counts,
      syncInterfaces,
      ipvs,
      role: (instance) => this.#roles[instance],
      saveOwned: (ownedServices) => this.#save({ ownedServices }),
      saveSyncDaemons: (syncDaemons) => this.#save({ syncDaemons }),
      saveDrains: (drains) => this.#save({ drains }),
      onVerdict: () => this.#healthChanged(),
      onSyncDaemonStarted: (state) => this.#syncDaemonStarted(state),
      breathe: async () => this.#ports.breathe?.(),
    });
  }

  setRoles(roles: Roles): void {
    const isOutOfFault = hasLeft(this.#roles, roles, 'fault');
    this.#roles = roles;
    if (isOutOfFault) this.#ipvs?.doubt();
    this.#ipvs?.refresh();
    for (const part of this.#parts) part.roles(roles);
  }

  event(event: VrrpEvent): void {
    if (event.kind === 'notice' && event.notice.kind === 'still-master') this.#ipvs?.doubt();
    for (const part of this.#parts) part.event(event);
  }

  /**
   * Takes everything of ours out of the kernel, also what an earlier process left there; when another host has
   * `succeeded` this one, not before it was told of all connections.
   */
  async stop(succeeded: boolean): Promise<void> {
    const { log, stateFile, loopDelay } = this.#ports;
    // While the table is still there; the election that ends tells of no more roles.
    if (succeeded) await Promise.all(this.#parts.map(async (part) => part.succeeded?.()));
    const done = await cleanUp(
      [
        { what: 'IPVS', run: () => this.#clearIpvs(succeeded) },
        { what: 'the source translation', run: () => this.#sourceNat.restore() },
        { what: 'the sysctls', run: () => this.#sysctls.restore() },
        // Last: the hooks of the hand-over run meanwhile and may take their time.
        ...this.#parts.map((part) => ({ what: part.what, run: () => part.close() })),
      ],
      log,
    );
    loopDelay.close();
    // What could not be cleared away must be known to the next start.
    const { ownedServices, syncDaemons } = this.#leftovers;
    if (done && ownedServices.length === 0 && syncDaemons.length === 0) await stateFile.remove();
  }

  async #clearIpvs(succeeded: boolean): Promise<void> {
    const { ownedServices, syncDaemons } = this.#leftovers;
    const left = ownedServices.length > 0 || syncDaemons.length > 0 || this.#leftovers.timeouts !== undefined;
    if (this.#ipvs === undefined && left) {
      this.#ipvsClient ??= await this.#ports.openIpvs();
      this.#ipvs = this.#openService(NOTHING, this.#ipvsClient);
    }
    await this.#ipvs?.stop(succeeded);
    if (this.#ipvsClient !== undefined) await this.#timeouts.restore(this.#ipvsClient);
    this.#ipvsClient?.close();
    this.#ipvsClient = undefined;
  }

  status(): ServicesStatus {
    return {
      virtual_servers: withOverrides(
        this.#ipvs?.status() ?? [],
        this.#config.virtualServers,
        overrideFinder(this.#overrides),
      ),
      sync_daemons: this.#ipvs?.syncDaemons.daemons ?? [],
      sync_faults: this.#ipvs?.syncDaemons.faults ?? [],
      faults: [this.#sourceNat.fault ?? [], ...this.#sysctls.faults].flat(),
      peer_channel: this.#peerChannel() ?? null,
      event_loop: this.#ports.loopDelay.read(),
      log: this.#ports.logStatus(),
    };
  }

  /** For metrics. */
  report(): ServicesReport {
    const { clock, loopDelay, logStatus } = this.#ports;
    return {
      virtualServers: this.#ipvs?.report() ?? [],
      work: this.#counts.report(clock.nowMs()),
      sync: this.#config.connectionSync && (this.#ipvs?.syncDaemons ?? { daemons: [], faults: [] }),
      peerChannel: this.#peerChannel(),
      eventLoop: loopDelay.read(),
      log: logStatus(),
    };
  }

  #healthChanged(): void {
    for (const part of this.#parts) {
      part.healthChanged((virtualServer, realServer) => {
        return this.#ipvs?.health(virtualServer, realServer) ?? 'unknown';
      });
    }
  }

  #save(change: Partial<ServicesLeftovers>): Promise<void> {
    this.#leftovers = { ...this.#leftovers, ...change };
    return this.#ports.stateFile.save(this.#leftovers);
  }
}

const NOTHING: DirectorConfig = {
  director: '',
  peers: [],
  saysVrrp: false,
  instances: [],
  syncGroups: [],
  tracked: [],
  hooks: [],
  permanentAddresses: false,
  connectionSync: undefined,
  peerChannel: undefined,
  ipvs: NO_IPVS_SETTINGS,
  virtualServers: [],
  masquerades: [],
  metrics: undefined,
};
