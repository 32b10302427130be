/** All VRRP groups of this director: sockets, link events, the guardian's orders, reload. */
import type { DirectorConfig, VirtualAddress, VrrpInstance } from '../config/model.js';
import { type GroupPlan, planGroups, sameMachine } from '../director/groups.js';
import { createGroup } from '../vrrp/group.js';
import type { InstanceState, VrrpState } from '../vrrp/group-types.js';
import { type DiscardReason, decodeAdvertisement } from '../vrrp/packet.js';
import { handOverHoldMs } from '../vrrp/timers.js';
import { farewellOrAdvertisement, GroupRunner } from './group-runner.js';
import type {
  Addresses,
  Announcer,
  Clock,
  Guardian,
  GuardianOrders,
  LinkMonitor,
  Log,
  OpenVrrpTransport,
  ReceivedVrrp,
  VrrpTransport,
} from './ports.js';
import type { InstanceStatus } from './status.js';

export interface VrrpServicePorts {
  readonly clock: Clock;
  readonly openTransport: OpenVrrpTransport;
  readonly addresses: Addresses;
  readonly announcer: Announcer;
  readonly links: LinkMonitor;
  readonly guardian: Guardian;
  readonly log: Log;
  /** The role of an instance changed. */
  onRoles(): void;
}

/** Shorter leases would take a busy event loop for a hang. */
const MIN_LEASE_MS = 250;
const NO_ORDERS: GuardianOrders = { farewells: [], addresses: [], routes: [], holdMs: 0, leaseMs: 0 };

interface Running {
  readonly plan: GroupPlan;
  readonly runner: GroupRunner;
}

export class VrrpService {
  readonly #ports: VrrpServicePorts;
  readonly #transports = new Map<string, VrrpTransport>();
  readonly #discards = new Map<DiscardReason | 'unknown-vrid', number>();
  #groups: Running[] = [];
  #masters = '';
  #orders: GuardianOrders = NO_ORDERS;
  #armedAtMs = Number.POSITIVE_INFINITY;
  #cancelHeartbeat: () => void = () => {};

  constructor(ports: VrrpServicePorts) {
    this.#ports = ports;
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
    for (const plan of planGroups(config)) this.#startGroup(plan);
  }

  /** Groups that stay the same machine keep their role; others leave in good order and start anew. */
  async reconfigure(config: DirectorConfig): Promise<void> {
    const plans = planGroups(config);
    const kept: Running[] = [];
    const leaving: Running[] = [];
    for (const running of this.#groups) {
      const plan = plans.find((candidate) => sameMachine(candidate, running.plan));
      if (plan === undefined) leaving.push(running);
      else kept.push({ plan, runner: running.runner });
    }
    await Promise.all(leaving.map((running) => running.runner.stop()));
    this.#groups = kept;
    for (const { plan, runner } of kept)
      runner.input({ type: 'configure', instances: plan.instances, track: plan.track });
    for (const plan of plans) {
      if (!kept.some((running) => running.plan === plan)) this.#startGroup(plan);
    }
    this.#closeUnusedTransports();
    this.#changed();
  }

  /** Hands over and leaves; a second call stops at once. */
  async stop(): Promise<void> {
    const again = this.#groups.filter(({ runner }) => runner.state.phase === 'leaving');
    if (again.length > 0) {
      for (const { runner } of again) runner.input({ type: 'stop' });
      return;
    }
    await Promise.all(this.#groups.map(({ runner }) => runner.stop()));
    this.#cancelHeartbeat();
    this.#ports.guardian.disarm();
    this.#groups = [];
    this.#closeUnusedTransports();
  }

  linkChanged(interfaceName: string, up: boolean): void {
    for (const { runner } of this.#groups) {
      for (const { config } of runner.state.instances) {
        const concerned = [config.interface, ...config.addresses.map((a) => a.interface)];
        if (!concerned.includes(interfaceName)) continue;
        const allUp = concerned.every((name) => (name === interfaceName ? up : this.#ports.links.isUp(name)));
        runner.input({ type: 'link', instance: config.name, up: allUp });
      }
    }
  }

  addressRemoved(address: string, interfaceName: string): void {
    for (const { runner } of this.#groups) runner.restore(address, interfaceName);
  }

  /** The guardian acted while this process was frozen. */
  withdrawn(): void {
    this.#armedAtMs = Number.POSITIVE_INFINITY;
    for (const { runner } of this.#groups) runner.input({ type: 'withdrawn' });
  }

  role(instance: string): VrrpState | undefined {
    return this.#instances().find(({ state }) => state.config.name === instance)?.state.state;
  }

  status(): readonly InstanceStatus[] {
    const now = this.#ports.clock.nowMs();
    return this.#instances().map(({ state, runner }) => ({
      name: state.config.name,
      interface: state.config.interface,
      virtual_router_id: state.config.virtualRouterId,
      state: state.state,
      priority: state.config.priority,
      advertisement_interval_ms: state.config.advertisementIntervalMs,
      since_s: Math.round((now - state.sinceMs) / 1000),
      master: state.master ?? null,
      addresses: state.config.addresses.map((a) => `${a.address}/${a.prefixLength}`),
      counters: { ...runner.counters(state.config.name), ...this.#discardCounters() },
    }));
  }

  #discardCounters(): Record<string, number> {
    return Object.fromEntries(
      [...this.#discards].map(([reason, n]) => [`discarded_${reason.replaceAll('-', '_')}`, n]),
    );
  }

  #instances(): { state: InstanceState; runner: GroupRunner }[] {
    return this.#groups.flatMap(({ runner }) => runner.state.instances.map((state) => ({ state, runner })));
  }

  #startGroup(plan: GroupPlan): void {
    const { clock, addresses, announcer, log, links } = this.#ports;
    const members = plan.instances.map((config) => ({
      config,
      source: this.#transport(config).source,
      linkUp: [config.interface, ...config.addresses.map((a) => a.interface)].every((name) =>
        links.isUp(name),
      ),
    }));
    const runner = new GroupRunner(createGroup(plan.name, members, clock.nowMs()), {
      clock,
      addresses,
      announcer,
      log,
      transport: (config) => this.#transport(config),
      onChange: () => this.#changed(),
      beforeDeadline: () => this.#checkLease(),
    });
    this.#groups.push({ plan, runner });
    runner.input({ type: 'start' });
  }

  #transport({ interface: interfaceName, family, transport: kind }: VrrpInstance): VrrpTransport {
    let transport = this.#transports.get(interfaceName);
    if (transport === undefined) {
      transport = this.#ports.openTransport(
        { interface: interfaceName, family, transport: kind, virtualMacInterface: undefined },
        (message) => this.#receive(interfaceName, message),
        (error) => this.#ports.log.warn({ interface: interfaceName, err: error }, 'VRRP socket error'),
      );
      this.#transports.set(interfaceName, transport);
    }
    return transport;
  }

  #closeUnusedTransports(): void {
    const used = new Set(this.#instances().map(({ state }) => state.config.interface));
    for (const [name, transport] of this.#transports) {
      if (used.has(name)) continue;
      transport.close();
      this.#transports.delete(name);
    }
  }

  /**
   * Whether this process stood still past the guardian's lease: then the farewells are sent and the addresses
   * gone, and to speak as master before that is known would take the role from the successor.
   */
  #checkLease(): void {
    const { leaseMs } = this.#orders;
    if (leaseMs === 0 || this.#ports.clock.nowMs() - this.#armedAtMs < leaseMs) return;
    this.#ports.log.error(
      { event: 'stalled', leaseMs },
      `this process stood still for more than ${leaseMs} ms`,
    );
    this.withdrawn();
  }

  #receive(interfaceName: string, message: ReceivedVrrp): void {
    this.#checkLease();
    const decoded = decodeAdvertisement(message.payload, { ...message, ttl: message.ttl ?? 255 });
    if (!decoded.ok) return this.#discard(decoded.reason);
    const { advertisement } = decoded;
    for (const { runner } of this.#groups) {
      for (const { config } of runner.state.instances) {
        if (config.interface !== interfaceName) continue;
        if (config.virtualRouterId !== advertisement.virtualRouterId) continue;
        const { source, receivedAtMs } = message;
        runner.input({ type: 'advertisement', instance: config.name, advertisement, source, receivedAtMs });
        return;
      }
    }
    this.#discard('unknown-vrid');
  }

  #discard(reason: DiscardReason | 'unknown-vrid'): void {
    this.#discards.set(reason, (this.#discards.get(reason) ?? 0) + 1);
  }

  /** After a change of role or settings: the guardian must know what to withdraw, the services which roles there are. */
  #changed(): void {
    const masters = this.#instances().filter(({ state }) => state.state === 'master');
    const now = masters.map(({ state }) => `${state.config.name} ${JSON.stringify(state.config)}`).join('\n');
    if (now === this.#masters) return;
    this.#masters = now;
    const intervals = masters.map(({ state }) => state.config.advertisementIntervalMs);
    this.#orders =
      masters.length === 0
        ? NO_ORDERS
        : {
            farewells: masters.map(({ state }) => ({
              interface: state.config.interface,
              sendInterface: state.config.interface,
              source: state.source,
              destinations: this.#transport(state.config).destinations.map((address) => ({
                address,
                payload: farewellOrAdvertisement(state.config, 0, state.source, address),
              })),
              udpPort: undefined,
              virtualRouterId: state.config.virtualRouterId,
            })),
            addresses: masters.flatMap(({ state }) => state.config.addresses),
            routes: masters.flatMap(({ state }) => state.config.routes),
            holdMs: Math.max(...intervals.map(handOverHoldMs)),
            leaseMs: Math.max(MIN_LEASE_MS, 3 * Math.min(...intervals)),
          };
    this.#heartbeat();
    this.#ports.onRoles();
  }

  /** Renews the guardian's lease: it proves that this event loop still turns. */
  #heartbeat(): void {
    this.#cancelHeartbeat();
    this.#cancelHeartbeat = () => {};
    this.#ports.guardian.arm(this.#orders);
    this.#armedAtMs = this.#ports.clock.nowMs();
    if (this.#orders.leaseMs === 0) return;
    const { clock } = this.#ports;
    this.#cancelHeartbeat = clock.at(clock.nowMs() + this.#orders.leaseMs / 4, () => this.#heartbeat());
  }
}
