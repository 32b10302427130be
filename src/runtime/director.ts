/** The VRRP process: election, addresses and announcements, and the supervision of the services process. */
import type { ElectionConfig } from '../config/model.js';
import { rolesText } from '../planning/roles-text.js';
import { cleanUp } from './clean-up.js';
import type { Configuration, Load, LoadAnswer, LoadRequest } from './configuration.js';
import { VrrpService } from './election/vrrp-service.js';
import type { ElectionReport } from './election-report.js';
import { Maintenance } from './maintenance.js';
import type {
  AcceptFilter,
  Addresses,
  Announcer,
  BfdPorts,
  Clock,
  Guardian,
  LinkMonitor,
  Log,
  LoopDelay,
  LostRouting,
  MaintenanceFile,
  OpenLinkMonitor,
  OpenVolley,
  OpenVrrpTransport,
  Routing,
  StartServicesProcess,
  StateFile,
  VirtualMacs,
  VrrpLeftovers,
} from './ports.js';
import type { Roles } from './services/services-messages.js';
import { ServicesSupervisor } from './services-supervisor.js';
import type { ElectionStatus, LogStatus, MaintenanceAnswer, MaintenanceOrder } from './status.js';

export interface DirectorPorts {
  readonly clock: Clock;
  readonly openTransport: OpenVrrpTransport;
  readonly openLinkMonitor: OpenLinkMonitor;
  readonly addresses: Addresses;
  readonly routing: Routing;
  readonly virtualMacs: VirtualMacs;
  readonly acceptFilter: AcceptFilter;
  readonly announcer: Announcer;
  readonly openVolley: OpenVolley;
  readonly guardian: Guardian;
  readonly bfd: BfdPorts;
  readonly startServices: StartServicesProcess;
  readonly load: Load;
  readonly stateFile: StateFile<VrrpLeftovers>;
  readonly maintenanceFile: MaintenanceFile;
  readonly loopDelay: LoopDelay;
  readonly logStatus: () => LogStatus;
  readonly log: Log;
  /** From here on time counts. What comes before is long, and may wait for others. */
  beforeElection(): void;
  /** Wall-clock time of the start, ISO 8601. */
  readonly started: string;
}

/** Between two times that all roles are told. Hundreds of groups that take over act each in a turn of its own. */
const ROLES_APART_MS = 20;

export class Director {
  readonly #ports: DirectorPorts;
  readonly #vrrp: VrrpService;
  readonly #links: LinkMonitor;
  readonly #services: ServicesSupervisor;
  readonly #maintenance: Maintenance;
  /** Instances whose election has spoken since the start. */
  readonly #settled = new Set<string>();
  #configuration: Configuration;
  /** By whose names the election goes: a reload may be on its way to it. */
  #elected: ElectionConfig;
  #stopping = false;
  #cancelRoles: (() => void) | undefined;
  #rolesToldMs = Number.NEGATIVE_INFINITY;
  #rolesWatch: { readonly tell: (roles: string) => void; told: string } | undefined;

  private constructor(configuration: Configuration, ports: DirectorPorts, links: LinkMonitor) {
    this.#configuration = configuration;
    this.#elected = configuration.election;
    this.#ports = ports;
    this.#links = links;
    this.#maintenance = new Maintenance(ports.maintenanceFile, ports.log);
    this.#services = new ServicesSupervisor({
      clock: ports.clock,
      log: ports.log,
      startProcess: ports.startServices,
      load: ports.load,
      onTracked: ({ object, state, value }) => this.#vrrp.tracked(object, state, value),
      onSyncProgress: (progress, asOfMs) => this.#vrrp.syncProgress(progress, asOfMs),
      roles: () => this.#roles(),
      report: () => this.#report(),
    });
    this.#vrrp = new VrrpService({
      ...ports,
      links,
      onRoles: () => this.#rolesSoon(),
      onRenamed: (names) => {
        this.#elected = this.config;
        void this.#maintenance.renamed(names);
      },
      onRole: (event) => this.#services.event({ kind: 'role', ...event }),
      onNotice: (instance, notice) => this.#services.event({ kind: 'notice', instance, notice }),
    });
  }

  /**
   * Brings the kernel to what `configuration` wants and starts the election. When anything fails, all that was done is
   * undone before the error is thrown.
   */
  static async start(configuration: Configuration, ports: DirectorPorts): Promise<Director> {
    const leftovers = await ports.stateFile.load();
    // Events can come before the director is there to take them.
    const events: { taker?: Director } = {};
    const links = await ports.openLinkMonitor(
      (name, up) => events.taker?.linkChanged(name, up),
      (change) => events.taker?.addressChanged(change),
      (lost) => events.taker?.routingLost(lost),
      (name) => events.taker?.hardwareAddressChanged(name),
    );
    const director = new Director(configuration, ports, links);
    events.taker = director;
    try {
      await director.#bringUp(leftovers);
    } catch (error) {
      await director.stop();
      throw error;
    }
    return director;
  }

  /** The election starts when the table is in the kernel: a master without it would lose every connection. */
  async #bringUp(leftovers: VrrpLeftovers): Promise<void> {
    await this.#services.start(this.#configuration);
    await this.#save(addressesOf(this.#configuration));
    this.#vrrp.maintenance(await this.#maintenance.load(this.config), true);
    this.#ports.beforeElection();
    await this.#vrrp.start(this.config, leftovers.addresses);
  }

  /** Has a file read and checked, in another process. */
  load(request: LoadRequest): Promise<LoadAnswer> {
    return this.#services.load(request);
  }

  /**
   * A changed file: touches only what differs from what the kernel holds. When something is refused, all is as it was
   * before the error is thrown.
   */
  async reload(configuration: Configuration): Promise<void> {
    const before = this.#configuration;
    const [old, wanted] = [addressesOf(before), addressesOf(configuration)];
    this.#configuration = configuration;
    const steps = [
      () => this.#save([...old, ...wanted]),
      () => this.#services.configure(configuration),
      async () => {
        await this.#vrrp.reconfigure(configuration.election);
        this.#elected = configuration.election;
        this.#vrrp.maintenance(await this.#maintenance.joined(this.#elected), true);
      },
      () => this.#save(wanted),
    ];
    try {
      for (const step of steps) {
        // What is left to do would come after the end of everything.
        if (this.#stopping) return;
        await step();
      }
    } catch (error) {
      await this.#goBack(before);
      throw error;
    }
  }

  async #goBack(configuration: Configuration): Promise<void> {
    this.#configuration = configuration;
    if (this.#stopping) return;
    await this.#services
      .configure(configuration)
      .catch((error: unknown) =>
        this.#ports.log.error({ err: error }, 'the services could not go back to the earlier configuration'),
      );
    await this.#save(addressesOf(configuration));
  }

  /** Hands the roles over at once, a reload or not, then takes everything of ours out of the kernel. */
  async stop(): Promise<void> {
    this.#stopping = true;
    const { log, stateFile, loopDelay } = this.#ports;
    let succeeded = false;
    const leave = async (): Promise<void> => {
      succeeded = await this.#vrrp.stop();
    };
    const steps = [
      { what: 'the roles', run: leave },
      { what: 'the services', run: () => this.#services.stop(succeeded) },
      { what: 'the link monitor', run: () => this.#links.close() },
    ];
    const done = await cleanUp(steps, log);
    this.#cancelRoles?.();
    loopDelay.close();
    // Addresses that could not be removed must be known to the next start.
    if (done) await stateFile.remove();
  }

  /**
   * The operator's switch: on, the groups of these instances hand over and are the last choice until it is off.
   * @throws NoInstanceError, PersistError
   */
  async maintenance(order: MaintenanceOrder): Promise<MaintenanceAnswer> {
    const instances = await this.#maintenance.take(order, this.#elected);
    this.#vrrp.maintenance(instances, order.on);
    return { instances };
  }

  get config(): ElectionConfig {
    return this.#configuration.election;
  }

  /** As last accepted. */
  get configuration(): Configuration {
    return this.#configuration;
  }

  /** Hurries a hand-over that is under way. */
  hurry(): void {
    void this.#vrrp.stop();
  }

  /** One change at once, many in a row together: each time all roles are told. */
  #rolesSoon(): void {
    const { clock } = this.#ports;
    this.#cancelRoles ??= clock.at(Math.max(clock.nowMs(), this.#rolesToldMs + ROLES_APART_MS), () => {
      this.#cancelRoles = undefined;
      this.#rolesToldMs = clock.nowMs();
      this.#services.rolesChanged();
      this.#tellRoles();
    });
  }

  /** Has `tell` called with the roles as a sentence, at once and whenever it changes. */
  watchRoles(tell: (roles: string) => void): void {
    this.#rolesWatch = { tell, told: '' };
    this.#tellRoles();
  }

  #tellRoles(): void {
    const watch = this.#rolesWatch;
    if (watch === undefined) return;
    const text = rolesText(new Map(this.#vrrp.states().map(({ config, state }) => [config.name, state])));
    if (text === watch.told) return;
    watch.told = text;
    watch.tell(text);
  }

  #roles(): Roles {
    return Object.fromEntries(
      this.#vrrp.states().map(({ config: { name }, state, master }) => {
        if (state === 'master' || (state === 'backup' && master !== undefined)) this.#settled.add(name);
        const syncVoidMs = this.#vrrp.syncVoidMs(name);
        const wasDeaf = Number.isFinite(syncVoidMs) && { syncVoidMs };
        return [name, { state, settled: this.#settled.has(name), ...wasDeaf }];
      }),
    );
  }

  linkChanged(name: string, up: boolean): void {
    // A host may make and remove devices by the thousand that are nothing to us.
    if (this.#vrrp.concerns(name)) {
      this.#ports.log.info(
        { event: 'link', interface: name, up },
        `link of ${name} is ${up ? 'up' : 'down'}`,
      );
    }
    this.#vrrp.linkChanged(name);
  }

  addressChanged(change: Parameters<VrrpService['addressChanged']>[0]): void {
    this.#vrrp.addressChanged(change);
  }

  hardwareAddressChanged(name: string): void {
    this.#vrrp.hardwareAddressChanged(name);
  }

  routingLost(lost: LostRouting): void {
    this.#vrrp.routingLost(lost);
  }

  withdrawn(): void {
    this.#ports.log.error(
      { event: 'withdrawn' },
      'this process stood still: the guardian withdrew the addresses',
    );
    this.#vrrp.withdrawn();
  }

  /** Without what the services process has to tell: it does so itself, and it may be long. */
  status(): ElectionStatus {
    const { connectionSync, syncGroups, director } = this.config;
    const { path, sha256 } = this.#configuration;
    return {
      version: 1,
      director,
      started: this.#ports.started,
      configuration: { path, sha256 },
      instances: this.#vrrp
        .status()
        .map((instance) => ({ ...instance, maintenance: this.#maintenance.of(instance.name) })),
      sync_groups: syncGroups,
      bfd: this.#vrrp.bfd.status(),
      connection_sync: connectionSync ?? null,
      services: this.#services.status(),
      event_loop: this.#ports.loopDelay.read(),
      log: this.#ports.logStatus(),
      deadline_lateness: this.#vrrp.lateness.summary(),
    };
  }

  /** For metrics, which the services process serves. */
  #report(): ElectionReport {
    const { instances, discards } = this.#vrrp.report();
    return {
      instances: instances.map((one) => ({ ...one, maintenance: this.#maintenance.of(one.name) })),
      discards,
      bfd: this.#vrrp.bfd.report(),
      lateness: this.#vrrp.lateness.counts(),
      sha256: this.#configuration.sha256,
      started: this.#ports.started,
      restarts: this.#services.status().restarts,
      eventLoop: this.#ports.loopDelay.read(),
      log: this.#ports.logStatus(),
    };
  }

  #save(addresses: VrrpLeftovers['addresses']): Promise<void> {
    return this.#ports.stateFile.save({ addresses });
  }
}

function addressesOf({ election }: Configuration): VrrpLeftovers['addresses'] {
  return election.instances.flatMap(({ addresses }) => addresses);
}
