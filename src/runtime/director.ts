/** The daemon: VRRP, IPVS and sysctls of one director, from start to hand-over. */
import type { DirectorConfig, VirtualAddress } from '../config/model.js';
import { requiredSysctls } from '../director/requirements.js';
import { IpvsService } from './ipvs-service.js';
import type {
  AcceptFilter,
  Addresses,
  Announcer,
  Clock,
  Guardian,
  Ipvs,
  LinkMonitor,
  Log,
  OpenLinkMonitor,
  OpenVrrpTransport,
  PersistentState,
  Prober,
  Routes,
  StateFile,
  Sysctls,
  VirtualMacs,
} from './ports.js';
import type { DirectorStatus } from './status.js';
import { SysctlKeeper } from './sysctl-keeper.js';
import { VrrpService } from './vrrp-service.js';

export interface DirectorPorts {
  readonly clock: Clock;
  readonly openTransport: OpenVrrpTransport;
  readonly openLinkMonitor: OpenLinkMonitor;
  readonly addresses: Addresses;
  readonly routes: Routes;
  readonly virtualMacs: VirtualMacs;
  readonly acceptFilter: AcceptFilter;
  readonly announcer: Announcer;
  readonly guardian: Guardian;
  /** Opens IPVS; called only when the configuration needs it. */
  readonly openIpvs: () => Promise<Ipvs>;
  readonly prober: Prober;
  readonly sysctls: Sysctls;
  readonly stateFile: StateFile;
  readonly log: Log;
  /** Wall-clock time of the start, ISO 8601. */
  readonly started: string;
}

export class Director {
  readonly #ports: DirectorPorts;
  readonly #vrrp: VrrpService;
  readonly #links: LinkMonitor;
  readonly #sysctls: SysctlKeeper;
  #config: DirectorConfig;
  #persistent: PersistentState;
  #saving: Promise<void> = Promise.resolve();
  #ipvs: IpvsService | undefined;
  #ipvsClient: Ipvs | undefined;

  private constructor(
    config: DirectorConfig,
    ports: DirectorPorts,
    links: LinkMonitor,
    persistent: PersistentState,
  ) {
    this.#config = config;
    this.#ports = ports;
    this.#links = links;
    this.#persistent = persistent;
    this.#sysctls = new SysctlKeeper(persistent.sysctls, {
      sysctls: ports.sysctls,
      log: ports.log,
      save: (sysctls) => this.#save({ sysctls }),
    });
    this.#vrrp = new VrrpService({
      ...ports,
      links,
      onRoles: () => this.#ipvs?.refresh(),
      onRole: () => {},
      onNotice: () => {},
    });
  }

  /**
   * Brings the kernel to what `config` wants and starts the election. When anything fails, all that was done is
   * undone before the error is thrown.
   */
  static async start(config: DirectorConfig, ports: DirectorPorts): Promise<Director> {
    const persistent = await ports.stateFile.load();
    // Events can come before the director is there to take them.
    const events: { taker?: Director } = {};
    const links = await ports.openLinkMonitor(
      (name, up) => events.taker?.linkChanged(name, up),
      (change) => events.taker?.addressChanged(change),
      (route) => events.taker?.routeGone(route),
    );
    const director = new Director(config, ports, links, persistent);
    events.taker = director;
    try {
      await director.#bringUp(persistent.addresses);
    } catch (error) {
      await director.stop();
      throw error;
    }
    return director;
  }

  async #bringUp(leftBehind: readonly VirtualAddress[]): Promise<void> {
    await this.#configureKernel();
    const addresses = this.#config.instances.flatMap((instance) => instance.addresses);
    await this.#save({ addresses });
    await this.#vrrp.start(this.#config, leftBehind);
  }

  /** A changed file: touches only what differs from what the kernel holds. */
  async reload(config: DirectorConfig): Promise<void> {
    const before = this.#config.instances.flatMap((instance) => instance.addresses);
    this.#config = config;
    const addresses = config.instances.flatMap((instance) => instance.addresses);
    await this.#save({ addresses: [...before, ...addresses] });
    await this.#configureKernel();
    await this.#vrrp.reconfigure(config);
    await this.#save({ addresses });
  }

  /** Sysctls and the IPVS table. `net.ipv4.vs` exists once IPVS is loaded, so that comes first. */
  async #configureKernel(): Promise<void> {
    const config = this.#config;
    const balances = config.virtualServers.length > 0 || config.connectionSync !== undefined;
    if (balances) this.#ipvsClient ??= await this.#ports.openIpvs();
    await this.#sysctls.apply(requiredSysctls(config));
    if (this.#ipvs !== undefined) return this.#ipvs.reconfigure(config);
    if (this.#ipvsClient === undefined) return;
    const { clock, prober, log } = this.#ports;
    this.#ipvs = new IpvsService(config, this.#persistent.ownedServices, {
      clock,
      prober,
      log,
      ipvs: this.#ipvsClient,
      role: (instance) => this.#vrrp.role(instance),
      saveOwned: (ownedServices) => this.#save({ ownedServices }),
    });
    await this.#ipvs.start();
  }

  /** Hands the roles over, then takes everything of ours out of the kernel. A second call hurries the hand-over. */
  async stop(): Promise<void> {
    await this.#vrrp.stop();
    await this.#ipvs?.stop();
    this.#ipvsClient?.close();
    this.#ipvsClient = undefined;
    await this.#sysctls.restore();
    this.#links.close();
    await this.#saving;
    await this.#ports.stateFile.remove();
  }

  /** Hurries a hand-over that is under way. */
  hurry(): void {
    void this.#vrrp.stop();
  }

  linkChanged(name: string, up: boolean): void {
    this.#ports.log.info({ event: 'link', interface: name, up }, `link of ${name} is ${up ? 'up' : 'down'}`);
    this.#vrrp.linkChanged(name, up);
  }

  addressChanged(change: Parameters<VrrpService['addressChanged']>[0]): void {
    this.#vrrp.addressChanged(change);
  }

  routeGone(route: Parameters<VrrpService['routeGone']>[0]): void {
    this.#vrrp.routeGone(route);
  }

  withdrawn(): void {
    this.#ports.log.error(
      { event: 'withdrawn' },
      'this process stood still: the guardian withdrew the addresses',
    );
    this.#vrrp.withdrawn();
  }

  status(): DirectorStatus {
    const { connectionSync, syncGroups } = this.#config;
    return {
      version: 1,
      director: this.#config.director,
      started: this.#ports.started,
      instances: this.#vrrp.status(),
      sync_groups: syncGroups,
      virtual_servers: this.#ipvs?.status() ?? [],
      connection_sync:
        connectionSync === undefined
          ? null
          : {
              interface: connectionSync.interface,
              id: connectionSync.id,
              daemons: (this.#ipvs?.syncDaemons ?? []).map((daemon) => daemon.state),
            },
    };
  }

  /** Writes one after the other; a state file that cannot be written is told, not fatal. */
  #save(change: Partial<PersistentState>): Promise<void> {
    this.#persistent = { ...this.#persistent, ...change };
    const state = this.#persistent;
    this.#saving = this.#saving
      .then(() => this.#ports.stateFile.save(state))
      .catch((error: unknown) =>
        this.#ports.log.error({ err: error }, 'the state file could not be written'),
      );
    return this.#saving;
  }
}
