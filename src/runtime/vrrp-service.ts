/** All VRRP groups of this director: sockets, link events, tracked objects, the guardian's orders, reload. */
import { type DirectorConfig, OWNER_PRIORITY, type VirtualAddress } from '../config/model.js';
import { type GroupPlan, planGroups } from '../director/groups.js';
import { addressDifference } from '../vrrp/address-difference.js';
import { AdvertisementMemory } from '../vrrp/advertisement-memory.js';
import { createGroup } from '../vrrp/group.js';
import type { InstanceState, Notice, TrackState, VrrpState } from '../vrrp/group-types.js';
import { type Channel, Channels, goesOn } from './channels.js';
import { Deadlines } from './deadlines.js';
import { type Discarded, Discards, MEANT_FOR_ANOTHER } from './discards.js';
import { GroupRunner, type RoleEvent } from './group-runner.js';
import { type GuardedInstance, GuardianKeeper } from './guardian-keeper.js';
import { instanceStatus } from './instance-status.js';
import { InterfaceTracks } from './interface-tracks.js';
import type { LatenessSummary } from './lateness.js';
import { interfacesOf, linkFault } from './link-faults.js';
import { HeardIdentifiers, logNotice, OF_STRANGERS } from './notices.js';
import type {
  AcceptFilter,
  Addresses,
  Announcer,
  Clock,
  Guardian,
  LinkMonitor,
  Log,
  LostRouting,
  OpenVrrpTransport,
  ReceivedVrrp,
  Routing,
  VirtualMacs,
} from './ports.js';
import type { InstanceStatus } from './status.js';
import { StrangerBudget } from './stranger-budget.js';
import { TrackedVerdicts } from './tracked-verdicts.js';
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
  readonly guardian: Guardian;
  readonly log: Log;
  /** The role of an instance changed, or its settings. */
  onRoles(): void;
  onRole(event: RoleEvent): void;
  onNotice(instance: string, notice: Notice): void;
}

interface Running {
  readonly plan: GroupPlan;
  readonly runner: GroupRunner;
}

export class VrrpService {
  readonly #ports: VrrpServicePorts;
  readonly #channels: Channels;
  readonly #guardian: GuardianKeeper;
  readonly #interfaceTracks: InterfaceTracks;
  readonly #virtualMacs: VirtualMacKeeper;
  readonly #heard: HeardIdentifiers;
  readonly #deadlines: Deadlines;
  readonly #memory = new AdvertisementMemory();
  readonly #discards: Discards;
  readonly #budget: StrangerBudget;
  readonly #verdicts = new TrackedVerdicts();
  readonly #maintained = new Set<string>();
  #groups: Running[] = [];
  #byInstance = new Map<string, GroupRunner>();
  #filtering = false;
  /** Nothing begins any more. */
  #stopping = false;

  constructor(ports: VrrpServicePorts) {
    this.#ports = ports;
    const { clock, links, log, openTransport } = ports;
    this.#channels = new Channels({
      clock,
      openTransport,
      links,
      log,
      onMessage: (channel, message) => this.#receive(channel, message),
      onSource: (instance, source, fault) => {
        this.#guardian.forgetPrepared();
        this.#byInstance.get(instance)?.input({ type: 'source', instance, source, fault });
      },
    });
    this.#guardian = new GuardianKeeper({
      clock,
      log,
      guardian: ports.guardian,
      instances: () => this.#guarded(),
      onWithdrawn: () => {
        for (const { runner } of this.#groups) runner.input({ type: 'withdrawn' });
      },
    });
    this.#deadlines = new Deadlines(clock, () => this.#guardian.check());
    this.#interfaceTracks = new InterfaceTracks({
      clock,
      links,
      onVerdict: (object, state) => this.tracked(object, state),
    });
    this.#virtualMacs = new VirtualMacKeeper({
      devices: ports.virtualMacs,
      links,
      clock,
      log,
      onFault: (device) => this.#linkInputs(device),
    });
    this.#heard = new HeardIdentifiers(clock);
    this.#budget = new StrangerBudget(clock, log);
    this.#discards = new Discards(clock, log, this.#budget);
  }

  /**
   * Starts the groups of `config`. Virtual addresses that lie around from an earlier run are removed first:
   * a director that starts is no master.
   */
  async start(config: DirectorConfig, leftBehind: readonly VirtualAddress[]): Promise<void> {
    const stale = await this.#ports.addresses.held([
      ...leftBehind,
      ...config.instances.flatMap((instance) => instance.addresses),
    ]);
    if (stale.length > 0) {
      this.#ports.log.warn(
        { addresses: stale.map((a) => a.address) },
        'removing virtual addresses left by an earlier run',
      );
      await this.#ports.addresses.remove(stale);
    }
    const left = await this.#ports.routing.clear();
    if (left > 0)
      this.#ports.log.warn({ count: left }, `removed ${left} routes and rules left by an earlier run`);
    await this.#prepare(config);
    for (const plan of planGroups(config)) this.#startGroup(plan);
  }

  /** Groups that stay the same machine keep their role; others leave in good order and start anew. */
  async reconfigure(config: DirectorConfig): Promise<void> {
    const plans = planGroups(config);
    const kept: Running[] = [];
    const leaving: Running[] = [];
    for (const running of this.#groups) {
      const plan = plans.find((candidate) => goesOn(running.plan, candidate));
      if (plan === undefined) leaving.push(running);
      else kept.push({ plan, runner: running.runner });
    }
    await Promise.all(leaving.map((running) => running.runner.stop()));
    if (this.#stopping) return;
    for (const { plan } of leaving) this.#forget(plan);
    this.#groups = kept;
    this.#guardian.forgetPrepared();
    await this.#prepare(config);
    if (this.#stopping) return;
    for (const { plan, runner } of kept) {
      runner.input({ type: 'configure', instances: plan.instances, track: plan.track });
      for (const verdict of this.#verdicts.inputs(plan.track)) runner.input(verdict);
    }
    for (const plan of plans) {
      if (!kept.some((running) => running.plan === plan)) this.#startGroup(plan);
    }
    this.#changed();
  }

  /** Hands over and leaves, whatever is under way; a second call stops at once. */
  async stop(): Promise<void> {
    if (this.#stopping) {
      const leaving = this.#groups.filter(({ runner }) => runner.state.phase === 'leaving');
      for (const { runner } of leaving) runner.input({ type: 'stop' });
      return;
    }
    this.#stopping = true;
    await Promise.all(this.#groups.map(({ runner }) => runner.stop()));
    this.#guardian.disarm();
    this.#interfaceTracks.close();
    for (const { plan } of this.#groups) this.#forget(plan);
    this.#groups = [];
    await this.#virtualMacs.keep([]);
    if (this.#filtering) await this.#ports.acceptFilter.drop([]);
  }

  linkChanged(interfaceName: string): void {
    this.#virtualMacs.changed(interfaceName);
    this.#channels.refresh(interfaceName);
    this.#guardian.forgetPrepared();
    this.#linkInputs(interfaceName);
    this.#interfaceTracks.changed(interfaceName);
  }

  /** Neighbours know the virtual addresses by a MAC address that is no more. */
  hardwareAddressChanged(interfaceName: string): void {
    for (const { state, runner } of this.#on(interfaceName)) {
      runner.input({ type: 'hardware-address', instance: state.config.name });
    }
  }

  /** Whether an instance or a tracked object depends on this interface. */
  concerns(interfaceName: string): boolean {
    return this.#on(interfaceName).length > 0 || this.#interfaceTracks.has(interfaceName);
  }

  addressChanged(change: { address: string; interface: string; added: boolean; dadFailed: boolean }): void {
    if (change.dadFailed) this.#duplicate(change.address, change.interface);
    else if (!change.added) {
      for (const { runner } of this.#groups) runner.addressLost(change.address, change.interface);
    }
    this.#channels.refresh(change.interface);
    this.#guardian.forgetPrepared();
    this.#interfaceTracks.changed(change.interface);
  }

  routingLost(lost: LostRouting): void {
    for (const { runner } of this.#groups) runner.routingLost(lost);
  }

  /** A verdict on a tracked object; `value` is a file's number. */
  tracked(object: string, state: TrackState, value?: number): void {
    this.#verdicts.set(object, { state, value });
    for (const { plan, runner } of this.#groups) {
      if (plan.track.some((use) => use.object === object))
        runner.input({ type: 'tracked', object, state, value });
    }
  }

  /** The operator's switch for the groups of these instances; before the start it holds from the start on. */
  maintenance(instances: readonly string[], on: boolean): void {
    for (const name of instances) {
      if (on) this.#maintained.add(name);
      else this.#maintained.delete(name);
    }
    for (const { plan, runner } of this.#groups) {
      if (plan.instances.some(({ name }) => instances.includes(name)))
        runner.input({ type: 'maintenance', on });
    }
  }

  /** The guardian says that it acted while this process was frozen. */
  withdrawn(): void {
    this.#guardian.acted();
  }

  role(instance: string): VrrpState | undefined {
    return this.#instances().find(({ state }) => state.config.name === instance)?.state.state;
  }

  /** How late deadlines were handled. */
  lateness(): LatenessSummary {
    return this.#deadlines.lateness.summary();
  }

  status(): readonly Omit<InstanceStatus, 'maintenance'>[] {
    const now = this.#ports.clock.nowMs();
    return this.#instances().map(({ state, runner }) => ({
      ...instanceStatus(state, runner, now),
      counters: {
        ...runner.counters(state.config.name),
        ...this.#discards.counters(state.config.interface),
      },
    }));
  }

  #instances(): { state: InstanceState; runner: GroupRunner }[] {
    return this.#groups.flatMap(({ runner }) => runner.state.instances.map((state) => ({ state, runner })));
  }

  #isHeld(address: VirtualAddress, except: GroupRunner): boolean {
    return this.#instances().some(
      ({ state, runner }) =>
        runner !== except &&
        state.state === 'master' &&
        addressDifference(state.config.addresses, [address]).added.length === 0,
    );
  }

  #on(interfaceName: string): { state: InstanceState; runner: GroupRunner }[] {
    return this.#instances().filter(({ state }) => interfacesOf(state.config).includes(interfaceName));
  }

  /** Tells the instances that depend on an interface how it is now. */
  #linkInputs(interfaceName: string): void {
    for (const { state, runner } of this.#on(interfaceName)) {
      const { name: instance } = state.config;
      const fault = linkFault(this.#ports.links, state.config, this.#virtualMacs.faultOf(state.config));
      runner.input({ type: 'link', instance, up: fault === undefined, fault });
    }
  }

  #guarded(): readonly GuardedInstance[] {
    return this.#instances().map(({ state, runner }) => ({
      config: state.config,
      source: state.source,
      destinations: this.#channels.transport(state.config.name)?.destinations ?? [],
      group: runner,
      holds: runner.holds(state),
    }));
  }

  /** What has to be there before an instance can be master. */
  async #prepare(config: DirectorConfig): Promise<void> {
    const { instances } = config;
    await this.#virtualMacs.keep(instances);
    if (this.#stopping) return;
    const refused = instances.filter(
      ({ acceptMode, priority }) => !acceptMode && priority !== OWNER_PRIORITY,
    );
    await this.#ports.acceptFilter.drop(refused.flatMap((one) => one.addresses.map((a) => a.address)));
    this.#filtering = refused.length > 0;
    this.#interfaceTracks.configure(config.tracked);
    this.#verdicts.keep(config.tracked);
  }

  #startGroup(plan: GroupPlan): void {
    const { clock, addresses, routing, announcer, links, log } = this.#ports;
    const members = plan.instances.map((config) => {
      const source = this.#channels.join(config);
      const fault = linkFault(links, config, this.#virtualMacs.faultOf(config));
      const sourceFault = this.#channels.faultOf(config.name);
      return { config, source, linkUp: fault === undefined, linkFault: fault, sourceFault };
    });
    const runner = new GroupRunner(createGroup(plan.name, members, clock.nowMs(), plan.track), {
      clock,
      deadlines: this.#deadlines,
      addresses,
      routing,
      announcer,
      log,
      isHeldElsewhere: (address) => this.#isHeld(address, runner),
      transport: (instance) => this.#channels.transport(instance),
      onChange: () => this.#changed(),
      onRole: (event) => this.#ports.onRole(event),
      onNotice: (instance, notice) => this.#notice(instance, notice),
      guarded: () => this.#guardian.guarded(),
    });
    this.#groups.push({ plan, runner });
    for (const { name } of plan.instances) this.#byInstance.set(name, runner);
    for (const verdict of this.#verdicts.inputs(plan.track)) runner.input(verdict);
    if (plan.instances.some(({ name }) => this.#maintained.has(name))) {
      runner.input({ type: 'maintenance', on: true });
    }
    runner.input({ type: 'start' });
  }

  #forget(plan: GroupPlan): void {
    for (const { name } of plan.instances) {
      this.#channels.leave(name);
      this.#byInstance.delete(name);
    }
  }

  /** Another host answers for an address of ours: whoever was master with it must not be. */
  #duplicate(address: string, interfaceName: string): void {
    for (const { state, runner } of this.#instances()) {
      const held = state.config.addresses.some((a) => a.address === address && a.interface === interfaceName);
      if (!held || state.state !== 'master') continue;
      this.#ports.log.error(
        { event: 'addresses', action: 'duplicate', instance: state.config.name, address },
        `${state.config.name}: another host holds ${address} (duplicate address detection failed)`,
      );
      runner.input({ type: 'address-failed', instance: state.config.name });
    }
  }

  #notice(instance: string, notice: Notice): void {
    const config = this.#byInstance
      .get(instance)
      ?.state.instances.find((state) => state.config.name === instance)?.config;
    if (config === undefined) return;
    if (OF_STRANGERS.has(notice.kind) && !this.#budget.allows(notice.kind)) return;
    const own = new Set(
      this.#instances()
        .filter(({ state }) => state.config.interface === config.interface)
        .map(({ state }) => state.config.virtualRouterId),
    );
    logNotice(this.#ports.log, config, notice, () =>
      this.#heard.free(config.interface, config.virtualRouterId, own),
    );
    this.#ports.onNotice(instance, notice);
  }

  #receive(channel: Channel, message: ReceivedVrrp): void {
    this.#guardian.check();
    if (message.rejected !== undefined) return this.#discard(channel, message, message.rejected);
    const decoded = this.#memory.decode(message.payload, message);
    if (!decoded.ok) return this.#discard(channel, message, decoded.reason);
    const { advertisement } = decoded;
    this.#heard.heard(channel.settings.interface, advertisement.virtualRouterId);
    const member = channel.members.get(advertisement.virtualRouterId);
    const runner = member === undefined ? undefined : this.#byInstance.get(member.name);
    if (member === undefined || runner === undefined) return this.#discard(channel, message, 'unknown-vrid');
    if (member.version !== advertisement.version) return this.#discard(channel, message, 'bad-version');
    const { source, receivedAtMs } = message;
    runner.input({ type: 'advertisement', instance: member.name, advertisement, source, receivedAtMs });
  }

  #discard(channel: Channel, { source, ttl }: ReceivedVrrp, reason: Discarded): void {
    if (MEANT_FOR_ANOTHER.has(reason) && this.#channels.isBesideAnother(channel)) return;
    this.#discards.discard(channel.settings.interface, reason, source, ttl);
  }

  /** After a change of role or settings the services must know which roles there are, and the guardian what to withdraw. */
  #changed(): void {
    this.#guardian.changed();
    this.#ports.onRoles();
  }
}
