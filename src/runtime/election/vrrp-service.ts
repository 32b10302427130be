/** All VRRP groups of this director: sockets, link events, tracked objects, the guardian's orders, reload. */
import type { ElectionConfig, VirtualAddress, VrrpInstance } from '../../config/model.js';
import { planGroups } from '../../planning/groups.js';
import type { GroupMember } from '../../vrrp/group-create.js';
import type {
  GroupInput,
  GroupState,
  InstanceState,
  Notice,
  SyncProgress,
  TrackState,
} from '../../vrrp/group-types.js';
import { GuardianKeeper } from '../guardian/guardian-keeper.js';
import type { Lateness } from '../lateness.js';
import type {
  AcceptFilter,
  Addresses,
  Announcer,
  BfdPorts,
  Clock,
  Guardian,
  LinkMonitor,
  Log,
  LostRouting,
  OpenVolley,
  OpenVrrpTransport,
  ReceivedVrrp,
  Routing,
  VirtualMacs,
} from '../ports.js';
import type { InstanceStatus } from '../status.js';
import type { LostPeer } from './bfd/bfd-runner.js';
import { BfdSessions } from './bfd/bfd-sessions.js';
import { type Channel, Channels } from './channels.js';
import { Deadlines } from './deadlines.js';
import { GroupRunner, type GroupRunnerPorts, type RoleEvent } from './group-runner.js';
import { GroupSet, type Running } from './group-set.js';
import { guardedInstances, isHeldElsewhere, refuseDuplicate, takeoverCandidates } from './holders.js';
import { type InstanceReports, InstanceTeller } from './instance-status.js';
import { InterfaceTracks } from './interface-tracks.js';
import { interfacesOf, linkFault } from './link-faults.js';
import { PreparedHost, removeLeftovers } from './prepared-host.js';
import { Reception } from './reception/reception.js';
import { TakeoverKeeper } from './takeover-keeper.js';
import { Told } from './told.js';
import { VirtualMacKeeper } from './virtual-mac-keeper.js';

export interface VrrpServicePorts {
  readonly clock: Clock;
  readonly openTransport: OpenVrrpTransport;
  readonly addresses: Addresses;
  readonly routing: Routing;
  readonly virtualMacs: VirtualMacs;
  readonly acceptFilter: AcceptFilter;
  readonly announcer: Announcer;
  readonly links: LinkMonitor;
  readonly openVolley: OpenVolley;
  readonly guardian: Guardian;
  readonly bfd: BfdPorts;
  readonly log: Log;
  /** The role of an instance changed, or its settings. */
  onRoles(): void;
  /** A reload gave instances that go on other names: those of now by those before. */
  onRenamed(names: ReadonlyMap<string, string>): void;
  onRole(event: RoleEvent): void;
  onNotice(instance: string, notice: Notice): void;
  /** As in `GroupRunnerPorts`. */
  readonly step?: GroupRunnerPorts['step'];
}

export class VrrpService {
  readonly #ports: VrrpServicePorts;
  readonly #channels: Channels;
  readonly #guardian: GuardianKeeper;
  readonly #takeovers: TakeoverKeeper;
  readonly #interfaceTracks: InterfaceTracks;
  readonly #bfd: BfdSessions;
  readonly #virtualMacs: VirtualMacKeeper;
  readonly #reception: Reception;
  readonly #deadlines: Deadlines;
  readonly #told = new Told();
  readonly #groups: GroupSet;
  readonly #host: PreparedHost;
  readonly #teller: InstanceTeller;
  /** Nothing begins any more. */
  #stopping = false;

  constructor(ports: VrrpServicePorts) {
    this.#ports = ports;
    const { clock, links, log } = ports;
    this.#channels = new Channels({
      ...ports,
      onMessage: (channel, message) => this.#receive(channel, message),
      onSource: (instance, source, fault) => {
        this.#takeovers.forget();
        this.#groups.runnerOf(instance)?.input({ type: 'source', instance, source, fault });
      },
      onAwaited: (instance) => this.#groups.runnerOf(instance)?.sourceAwaited(instance),
    });
    this.#guardian = new GuardianKeeper({
      clock,
      log,
      guardian: ports.guardian,
      instances: () => guardedInstances(this.#groups, this.#channels, this.#bfd),
      onArmed: () => this.#takeovers.prepareSoon(),
      onWithdrawn: () => {
        for (const { runner } of this.#groups.all) runner.input({ type: 'withdrawn' });
      },
    });
    this.#takeovers = new TakeoverKeeper({
      clock,
      addresses: ports.addresses,
      announcer: ports.announcer,
      openVolley: ports.openVolley,
      candidates: () => takeoverCandidates(this.#groups, this.#channels),
      groupCount: () => this.#groups.all.length,
      guardian: this.#guardian,
    });
    this.#groups = new GroupSet({
      channels: this.#channels,
      nowMs: () => clock.nowMs(),
      catchUp: () => this.#deadlines.catchUp(this.#groups.all.map(({ runner }) => runner)),
      createRunner: (state) => this.#createRunner(state),
      join: (instance) => this.#join(instance),
      renamed: (names) => {
        this.#told.renamed(names);
        ports.onRenamed(names);
      },
      news: (running) => this.#news(running),
    });
    this.#deadlines = new Deadlines(clock, () => this.#guardian.check());
    this.#interfaceTracks = new InterfaceTracks({
      clock,
      links,
      onVerdict: (object, state) => this.tracked(object, state),
    });
    this.#bfd = new BfdSessions({
      ...ports,
      deadlines: this.#deadlines,
      transport: (instance) => this.#channels.transport(instance),
      onVerdict: (object, up) => this.tracked(object, up ? 'up' : 'down'),
      onLost: (instance, lost) => this.peerLost(instance, lost),
      // Who is watched has less time to stand still.
      onChange: () => {
        this.#takeovers.forget();
        this.#changed();
      },
    });
    this.#virtualMacs = new VirtualMacKeeper({
      devices: ports.virtualMacs,
      links,
      clock,
      log,
      onFault: (device) => this.#linkInputs(device),
    });
    this.#host = new PreparedHost(this.#virtualMacs, ports.acceptFilter);
    this.#reception = new Reception({
      clock,
      log,
      isBesideAnother: (channel) => this.#channels.isBesideAnother(channel),
      deliver: (instance, input) => {
        const runner = this.#groups.runnerOf(instance);
        runner?.input(input);
        return runner !== undefined;
      },
    });
    this.#teller = new InstanceTeller(this.#reception, this.#channels);
  }

  /**
   * Starts the groups of `config`. Virtual addresses that lie around from an earlier run are removed first:
   * a director that starts is no master.
   */
  async start(config: ElectionConfig, leftBehind: readonly VirtualAddress[]): Promise<void> {
    await removeLeftovers(leftBehind, config.instances, this.#ports);
    await this.#host.prepare(config.instances);
    if (this.#stopping) return;
    this.#track(config);
    this.#groups.start(planGroups(config));
  }

  /**
   * Changes what differs: an instance that goes on keeps its role whatever happens to its group. When this host cannot
   * be prepared for the new ones nothing is changed, and the error is thrown.
   */
  async reconfigure(config: ElectionConfig): Promise<void> {
    await this.#host.prepareAlso(config.instances);
    if (this.#stopping) return;
    this.#takeovers.forget();
    this.#track(config);
    await this.#groups.reconfigure(planGroups(config));
    if (this.#stopping) return;
    this.#changed();
    try {
      await this.#host.prepare(config.instances);
    } catch (error) {
      // Nobody needs it, and the roles are where they belong: no reason to go back.
      this.#ports.log.error({ err: error }, 'what the earlier configuration needed could not be removed');
    }
  }

  /** Hands over and leaves, whatever is under way; a second call stops at once. Says whether a successor was heard. */
  async stop(): Promise<boolean> {
    if (this.#stopping) return this.#groups.stop();
    this.#stopping = true;
    this.#bfd.stop();
    const succeeded = await this.#groups.stop();
    this.#takeovers.close();
    this.#guardian.disarm();
    this.#interfaceTracks.close();
    this.#bfd.close();
    await this.#host.prepare([]);
    return succeeded;
  }

  linkChanged(interfaceName: string): void {
    this.#virtualMacs.changed(interfaceName);
    this.#channels.refresh(interfaceName);
    this.#takeovers.forget();
    this.#linkInputs(interfaceName);
    this.#interfaceTracks.changed(interfaceName);
    this.#bfd.changed(interfaceName);
  }

  /** Neighbours know the virtual addresses by a MAC address that is no more. */
  hardwareAddressChanged(interfaceName: string): void {
    for (const { state, runner } of this.#on(interfaceName)) {
      runner.input({ type: 'hardware-address', instance: state.config.name });
    }
  }

  /** Whether an instance, a tracked object or a BFD session depends on this interface. */
  concerns(interfaceName: string): boolean {
    const isTracked = this.#interfaceTracks.has(interfaceName) || this.#bfd.has(interfaceName);
    return isTracked || this.#on(interfaceName).length > 0;
  }

  addressChanged(change: { address: string; interface: string; added: boolean; dadFailed: boolean }): void {
    if (change.dadFailed) refuseDuplicate(change, this.#groups, this.#ports.log);
    else {
      for (const { runner } of this.#groups.all)
        runner.addressChanged(change.address, change.interface, change.added);
    }
    this.#channels.refresh(change.interface);
    this.#takeovers.forget();
    this.#interfaceTracks.changed(change.interface);
    this.#bfd.changed(change.interface);
  }

  routingLost(lost: LostRouting): void {
    for (const { runner } of this.#groups.all) runner.routingLost(lost);
  }

  /** A verdict on a tracked object; `value` is a file's number. */
  tracked(object: string, state: TrackState, value?: number): void {
    this.#told.verdict(object, { state, value });
    for (const { plan, runner } of this.#groups.all) {
      if (!plan.track.some((use) => use.object === object)) continue;
      runner.input({ type: 'tracked', object, state, value });
      // It may have another priority: what is ready with the former one does not fit until then.
      this.#takeovers.prepareSoon();
    }
  }

  /** How complete this host's connection table is, for the groups that take over only with all of it. */
  syncProgress(progress: SyncProgress, asOfMs: number): void {
    const word = { type: 'sync-progress', progress, asOfMs } as const;
    this.#told.sync = word;
    for (const { runner } of this.#groups.all) runner.input(word);
  }

  /** When what had been said of it was void last, and another word wanted (`GroupState.syncVoidMs`). */
  syncVoidMs(instance: string): number {
    return this.#groups.runnerOf(instance)?.state.syncVoidMs ?? Number.NEGATIVE_INFINITY;
  }

  /** The BFD session with a router that an instance hears expired. */
  peerLost(instance: string, lost: LostPeer): void {
    this.#groups.runnerOf(instance)?.input({ ...lost, type: 'peer-lost', instance });
  }

  /** The operator's switch for the groups of these instances; before the start it holds from the start on. */
  maintenance(instances: readonly string[], on: boolean): void {
    this.#told.maintenance(instances, on);
    for (const { plan, runner } of this.#groups.all) {
      if (plan.instances.some(({ name }) => instances.includes(name)))
        runner.input({ type: 'maintenance', on });
    }
  }

  /** The guardian says that it acted while this process was frozen. */
  withdrawn(): void {
    this.#guardian.acted();
  }

  /** Of every instance, as it is at this moment; asks nobody for it. */
  states(): readonly InstanceState[] {
    return this.#groups.all.flatMap(({ runner }) => runner.state.instances);
  }

  /** How late deadlines were handled. */
  get lateness(): Lateness {
    return this.#deadlines.lateness;
  }

  status(): readonly Omit<InstanceStatus, 'maintenance'>[] {
    return this.#teller.statuses(this.#groups.instances(), this.#ports.clock.nowMs());
  }

  report(): InstanceReports {
    return this.#teller.reports(this.#groups.instances(), this.#ports.clock.nowMs());
  }

  get bfd(): Pick<BfdSessions, 'status' | 'report'> {
    return this.#bfd;
  }

  #on(interfaceName: string): { state: InstanceState; runner: GroupRunner }[] {
    return this.#groups.instances().filter(({ state }) => interfacesOf(state.config).includes(interfaceName));
  }

  /** Tells the instances that depend on an interface how it is now. */
  #linkInputs(interfaceName: string): void {
    for (const { state, runner } of this.#on(interfaceName)) {
      runner.input(this.#linkInput(state.config));
    }
  }

  #linkInput(config: VrrpInstance): GroupInput {
    const fault = linkFault(this.#ports.links, config, this.#virtualMacs.faultOf(config));
    return { type: 'link', instance: config.name, up: fault === undefined, fault };
  }

  #track(config: ElectionConfig): void {
    this.#interfaceTracks.configure(config.tracked);
    this.#bfd.configure(config);
    this.#told.keep(config.tracked);
  }

  #join(config: VrrpInstance): GroupMember {
    const source = this.#channels.join(config);
    const fault = linkFault(this.#ports.links, config, this.#virtualMacs.faultOf(config));
    const sourceFault = this.#channels.faultOf(config.name);
    return { config, source, linkUp: fault === undefined, linkFault: fault, sourceFault };
  }

  #createRunner(state: GroupState): GroupRunner {
    const { clock, addresses, routing, announcer, log, step } = this.#ports;
    const runner: GroupRunner = new GroupRunner(state, {
      clock,
      deadlines: this.#deadlines,
      addresses,
      routing,
      announcer,
      log,
      isHeldElsewhere: (address) => isHeldElsewhere(address, this.#groups, runner),
      transport: (instance) => this.#channels.transport(instance),
      onChange: () => this.#changed(),
      onRole: (event) => this.#ports.onRole(event),
      onNotice: (instance, notice) => this.#notice(instance, notice),
      guarded: () => this.#guardian.guarded(),
      isAwaitingSource: (instance) => this.#channels.isAwaitingSource(instance),
      takeover: this.#takeovers.of(() => runner),
      step,
    });
    return runner;
  }

  #news({ plan, runner }: Running): readonly GroupInput[] {
    const links = runner.state.instances.map(({ config }) => this.#linkInput(config));
    return [...links, ...this.#told.inputs(plan, runner.state)];
  }

  #notice(instance: string, notice: Notice): void {
    const config = this.#groups
      .runnerOf(instance)
      ?.state.instances.find((state) => state.config.name === instance)?.config;
    if (config === undefined) return;
    if (!this.#reception.allows(notice)) return;
    this.#reception.log(config, notice, () => {
      const beside = this.#groups
        .instances()
        .filter(({ state }) => state.config.interface === config.interface);
      return new Set(beside.map(({ state }) => state.config.virtualRouterId));
    });
    this.#ports.onNotice(instance, notice);
  }

  #receive(channel: Channel, message: ReceivedVrrp): void {
    this.#guardian.check();
    this.#reception.receive(channel, message);
  }

  /** After a change of role or settings the services must know which roles there are, and the guardian what to withdraw. */
  #changed(): void {
    this.#guardian.changed();
    this.#ports.onRoles();
  }
}
