/**
 * One director as the segment sees it: its process with the shell around the machines (group-runner.ts,
 * vrrp-service.ts), its kernel's addresses, and its guardian (native/guardian.c).
 */
import type { VirtualAddress, VrrpInstance } from '../../../src/config/model.js';
import { compareAddresses } from '../../../src/util/ip-address.js';
import type { GroupEffect, GroupInput, GroupState, InstanceState } from '../../../src/vrrp/group-types.js';
import type { Advertisement } from '../../../src/vrrp/packet.js';
import { handOverHoldMs, MAX_EARLY_MS } from '../../../src/vrrp/timers.js';
import { MIN_LEASE_MS, VERDICT_MS } from './bounds.js';
import { Guardian, type Orders } from './guardian.js';
import type { Machine } from './machine.js';
import { type DirectorPlan, routerOf, type Scenario } from './scenario.js';
import type { World } from './world.js';

export interface Packet {
  readonly router: number;
  readonly from: number;
  readonly sentMs: number;
  readonly source: string;
  readonly advertisement: Advertisement;
}

/** One piece of address work; they are done one after the other. */
interface Work {
  readonly type: 'add' | 'remove' | 'announce' | 'send' | 'stopped';
  readonly router: number;
  readonly mask: number;
  readonly priority: number;
}

/** One machine with its timer and its queue of address work. */
export interface GroupHost {
  readonly number: number;
  state: GroupState;
  /** In the director's clock. */
  deadlineMs: number;
  /** From when on it may act along with another group. */
  fromMs: number;
  /** In the world's time: the event that will come; Infinity without one. */
  timerAtMs: number;
  /** Tells apart the timer event that counts from older ones. */
  timer: number;
  readonly work: Work[];
  /** The first of `work` has been handed to the kernel. */
  working: boolean;
  /** Its answer waits for a process that is paused. */
  answered: boolean;
  stopped: boolean;
}

/** What the process found when it woke, beside packets. */
interface Missed {
  stop: boolean;
  links: boolean;
  stolen: boolean;
  maintenance: boolean;
  variant: number | undefined;
  tracked: Set<string>;
}

export class Director {
  readonly number: number;
  readonly plan: DirectorPlan;
  process: 'off' | 'running' | 'paused' = 'off';
  /** Counts starts and deaths: events of an earlier life are dropped. */
  life = 0;
  /** Addresses in the kernel by router, as bits of its list. */
  readonly held: number[];
  readonly linkDowns: number[];
  groups: GroupHost[] = [];
  variant = 0;
  refusals = 0;
  offs = 0;
  pauses = 0;
  maintenances = 0;
  readonly downObjects = new Map<string, number>();
  /** Told to stop and not yet gone. */
  stopping = false;
  /** Called once after the next advertisement. */
  afterSpeech: (() => void) | undefined;
  /** Last time the process came to life or woke, in the world's time. */
  awakeSinceMs = 0;
  pausedSinceMs = Number.POSITIVE_INFINITY;
  guardians: Guardian[] = [];
  /** Last renewal of the guardian's lease, in the director's clock. */
  #armedAtMs = Number.POSITIVE_INFINITY;
  #orders: Orders | undefined;
  #pause = 0;
  #actedUnheard = false;
  #queue: { packet: Packet; receivedAtMs: number }[] = [];
  #missed: Missed = nothingMissed();
  /** The whole host stands still: what comes for it, if it is kept at all. */
  #frozen: { readonly keeps: boolean; readonly packets: Packet[] } | undefined;
  readonly #world: World;
  readonly #scenario: Scenario;
  readonly #machine: Machine;
  readonly #groupOf: readonly number[];
  readonly #bits: readonly ReadonlyMap<string, number>[];

  constructor(number: number, world: World, scenario: Scenario, machine: Machine) {
    const plan = scenario.directors[number];
    if (plan === undefined) throw new RangeError(`no director ${number}`);
    this.number = number;
    this.plan = plan;
    this.#world = world;
    this.#scenario = scenario;
    this.#machine = machine;
    this.held = scenario.routers.map(() => 0);
    this.linkDowns = Array.from({ length: scenario.segments }, () => 0);
    this.#groupOf = scenario.routers.map((router) => router.group);
    this.#bits = scenario.routers.map(
      (router) => new Map(router.addresses.map((address, bit) => [address, 1 << bit])),
    );
  }

  // ---- clock and address book ----

  localMs(worldMs: number): number {
    return worldMs * this.plan.clockRate + this.plan.clockOffsetMs;
  }

  worldMs(localMs: number): number {
    return (localMs - this.plan.clockOffsetMs) / this.plan.clockRate;
  }

  /** By the number of the router: the higher the director's number, the higher its address. */
  source(router: number): string {
    return `192.0.${this.#scenario.routers[router]?.segment ?? 0}.${10 + this.number}`;
  }

  /** Above 0 when `source` is the greater address. */
  compareSource(router: number, source: string): number {
    return compareAddresses(source, this.source(router));
  }

  /** Address work of its group stands in line. */
  isWorking(router: number): boolean {
    return (this.groups[this.#groupOf[router] ?? 0]?.work.length ?? 0) > 0;
  }

  /** Packets in the receive queue. */
  get unread(): number {
    return this.#queue.length;
  }

  config(router: number): VrrpInstance {
    const config = this.plan.variants[this.variant]?.[router];
    if (config === undefined) throw new RangeError(`no router ${router}`);
    return config;
  }

  instance(router: number): InstanceState | undefined {
    const group = this.groups[this.#groupOf[router] ?? 0];
    return group?.state.instances.find((one) => one.config.name === `r${router}`);
  }

  maskOf(router: number, addresses: readonly VirtualAddress[]): number {
    let mask = 0;
    for (const { address } of addresses) mask |= this.#bits[router]?.get(address) ?? 0;
    return mask;
  }

  linkUp(segment: number): boolean {
    return this.linkDowns[segment] === 0;
  }

  isDown(object: string): boolean {
    return (this.downObjects.get(object) ?? 0) > 0;
  }

  isMaster(router: number): boolean {
    return this.process !== 'off' && this.instance(router)?.state === 'master';
  }

  isAnyMaster(): boolean {
    return this.held.some((_, router) => this.isMaster(router));
  }

  // ---- life ----

  /** A new process. What an earlier one left in the kernel goes first (VrrpService.start). */
  start(): void {
    if (this.process !== 'off' || this.offs > 0) return;
    this.life += 1;
    this.process = 'running';
    this.awakeSinceMs = this.#world.nowMs;
    this.pausedSinceMs = Number.POSITIVE_INFINITY;
    this.variant = this.#world.variant;
    this.#world.trace(this.number, 'starts');
    for (let router = 0; router < this.held.length; router += 1) this.setHeld(router, 0);
    this.#orders = undefined;
    this.#armedAtMs = Number.POSITIVE_INFINITY;
    this.#queue = [];
    this.#missed = nothingMissed();
    this.#actedUnheard = false;
    this.stopping = false;
    const now = this.localMs(this.#world.nowMs);
    this.groups = this.#scenario.groups.map((routers, number) => ({
      number,
      state: this.#machine.create(
        `g${number}`,
        routers.map((router) => ({
          config: this.config(router),
          source: this.source(router),
          linkUp: this.linkUp(this.#scenario.routers[router]?.segment ?? 0),
        })),
        now,
        this.#scenario.track,
      ),
      deadlineMs: Number.POSITIVE_INFINITY,
      fromMs: Number.POSITIVE_INFINITY,
      timerAtMs: Number.POSITIVE_INFINITY,
      timer: 0,
      work: [],
      working: false,
      answered: false,
      stopped: false,
    }));
    if (this.maintenances > 0) this.maintenanceChanged();
    for (const group of this.groups) this.#input(group, { type: 'start' });
    this.#firstVerdicts();
    if (this.pauses > 0) this.pause();
  }

  /** The services process looks at the tracked objects soon after the start. */
  #firstVerdicts(): void {
    const { life } = this;
    for (const { object } of this.#scenario.track) {
      this.#world.at(this.#world.nowMs + this.#world.random.between(0, VERDICT_MS), () => {
        if (this.life === life) this.tracked(object);
      });
    }
  }

  /** SIGKILL: what was handed to the kernel is done, what stood in line is not. */
  crash(): void {
    if (this.process === 'off') return;
    for (const group of this.groups) {
      const [first] = group.work;
      if (group.working && !group.answered && first !== undefined) this.#applyInKernel(first);
    }
    const orders = this.#orders;
    this.#die('killed');
    if (orders !== undefined) this.#guard(orders, 'the daemon died');
  }

  powerOff(): void {
    this.#world.trace(this.number, 'loses power');
    if (this.process !== 'off') this.#die('without power');
    for (const guardian of this.guardians) guardian.end();
    this.guardians = [];
    for (let router = 0; router < this.held.length; router += 1) this.setHeld(router, 0);
  }

  #die(why: string): void {
    this.#world.trace(this.number, `process ${why}`);
    this.life += 1;
    this.process = 'off';
    this.stopping = false;
    this.groups = [];
    this.#orders = undefined;
    this.#queue = [];
    this.#world.judge.processEnded(this);
  }

  stop(): void {
    if (this.process === 'off') return;
    this.stopping = true;
    if (this.process === 'paused') {
      this.#missed.stop = true;
      return;
    }
    this.#world.trace(this.number, 'is told to stop');
    const { life } = this;
    for (const group of this.groups) {
      if (this.life === life) this.#input(group, { type: 'stop' });
    }
  }

  #groupStopped(group: GroupHost): void {
    group.stopped = true;
    if (!this.stopping || !this.groups.every((one) => one.stopped)) return;
    this.#die('ended');
    this.start();
  }

  pause(): void {
    if (this.process !== 'running') return;
    this.#world.trace(this.number, 'is paused');
    this.process = 'paused';
    this.#pause += 1;
    this.pausedSinceMs = this.#world.nowMs;
    this.#world.judge.paused(this);
    const orders = this.#orders;
    if (orders === undefined || !this.#machine.leases) return;
    this.#renewLease(orders);
    const pause = this.#pause;
    this.#world.at(this.worldMs(this.#armedAtMs + orders.leaseMs), () => {
      if (this.process !== 'paused' || this.#pause !== pause) return;
      this.#actedUnheard = true;
      this.#guard(orders, 'the daemon hangs');
    });
  }

  /** The heartbeats since it was armed, a quarter of the lease apart, are not worth an event each. */
  #renewLease({ leaseMs }: Orders): void {
    const quarter = leaseMs / 4;
    const beats = Math.floor((this.localMs(this.#world.nowMs) - this.#armedAtMs) / quarter);
    this.#armedAtMs += beats * quarter;
  }

  /** The whole host stands still for less than its lease: process, guardian, and the kernel that takes packets. */
  freeze(keeps: boolean): void {
    if (this.process !== 'running') return;
    this.#world.trace(this.number, 'stands still');
    this.process = 'paused';
    this.#pause += 1;
    this.pausedSinceMs = this.#world.nowMs;
    this.#frozen = { keeps, packets: [] };
    this.#world.judge.stoodStill(this);
    if (this.#orders !== undefined) this.#renewLease(this.#orders);
  }

  /** What was kept comes a moment after the process may have looked. */
  thaw(): void {
    const frozen = this.#frozen;
    this.#frozen = undefined;
    if (frozen === undefined) return;
    const { life } = this;
    for (const packet of frozen.packets) {
      this.#world.at(this.#world.nowMs + this.#world.random.unit() * this.#scenario.jitterMs, () => {
        if (this.life === life) this.deliver(packet);
      });
    }
    this.wake();
  }

  /** SIGCONT: what has come in meanwhile is handled in an order that the event loop does not promise. */
  wake(): void {
    if (this.process !== 'paused') return;
    this.#world.trace(this.number, `wakes after ${(this.#world.nowMs - this.pausedSinceMs).toFixed(1)} ms`);
    this.process = 'running';
    this.awakeSinceMs = this.#world.nowMs;
    const { life } = this;
    const timersFirst = this.#world.random.chance(0.5);
    if (timersFirst) this.#runDueTimers(life);
    if (this.life === life) this.#checkLease();
    if (this.life === life) this.#hearGuardian();
    if (this.life === life) this.#drain();
    if (this.life === life) this.#handleMissed(life);
    for (const group of this.groups) {
      if (this.life === life && group.answered) this.#workDone(group);
    }
    if (this.life === life) this.#runDueTimers(life);
  }

  #runDueTimers(life: number): void {
    const now = this.localMs(this.#world.nowMs);
    for (const group of this.groups) {
      if (this.life === life && group.deadlineMs <= now) this.#due(group);
      // Timer events that came while nobody was there to take them are gone.
      if (this.life === life) this.#arm(group);
    }
  }

  #handleMissed(life: number): void {
    const missed = this.#missed;
    this.#missed = nothingMissed();
    if (missed.links) this.linksChanged();
    if (missed.stolen) this.restore();
    if (missed.maintenance) this.maintenanceChanged();
    for (const object of missed.tracked) this.tracked(object);
    if (missed.variant !== undefined && this.life === life) this.configure(missed.variant);
    if (missed.stop && this.life === life) this.stop();
  }

  // ---- what the world does to a living process ----

  linksChanged(): void {
    if (this.process === 'paused') this.#missed.links = true;
    if (this.process !== 'running') return;
    for (const group of this.groups) {
      for (const { config } of group.state.instances) {
        const up = this.linkUp(Number(config.interface.slice(3)));
        this.#input(group, { type: 'link', instance: config.name, up });
      }
    }
  }

  tracked(object: string): void {
    if (this.process === 'paused') this.#missed.tracked.add(object);
    if (this.process !== 'running') return;
    const state = this.isDown(object) ? 'down' : 'up';
    for (const group of this.groups) this.#input(group, { type: 'tracked', object, state });
  }

  maintenanceChanged(): void {
    if (this.process === 'paused') this.#missed.maintenance = true;
    if (this.process !== 'running') return;
    for (const group of this.groups) this.#input(group, { type: 'maintenance', on: this.maintenances > 0 });
  }

  configure(variant: number): void {
    if (this.process === 'paused') this.#missed.variant = variant;
    if (this.process !== 'running' || this.stopping) return;
    this.variant = variant;
    for (const group of this.groups) {
      const instances = group.state.instances.map(({ config }) => this.config(routerOf(config)));
      this.#input(group, { type: 'configure', instances, track: this.#scenario.track });
    }
  }

  /** An address went away that the kernel told of (GroupRunner.restore). */
  restore(): void {
    if (this.process === 'paused') this.#missed.stolen = true;
    if (this.process !== 'running') return;
    for (const group of this.groups) {
      for (const { config, state } of group.state.instances) {
        const router = routerOf(config);
        const lost = this.maskOf(router, config.addresses) & ~(this.held[router] ?? 0);
        if (state !== 'master' || lost === 0) continue;
        this.#queueWork(group, { type: 'add', router, mask: lost, priority: 0 });
        this.#queueWork(group, { type: 'announce', router, mask: lost, priority: 0 });
      }
    }
  }

  /** A packet has come through the wire. */
  deliver(packet: Packet): void {
    if (this.#frozen !== undefined) {
      if (this.#frozen.keeps && this.#frozen.packets.length < this.plan.socketQueue)
        this.#frozen.packets.push(packet);
      return;
    }
    for (const guardian of this.guardians) guardian.hear(packet);
    if (this.process === 'paused') {
      if (this.#queue.length < this.plan.socketQueue)
        this.#queue.push({ packet, receivedAtMs: this.localMs(this.#world.nowMs) });
      else this.#world.count('socket queue overflows');
    } else if (this.process === 'running') {
      this.#receive(packet, this.localMs(this.#world.nowMs));
    }
  }

  #drain(): void {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      this.#receive(next.packet, next.receivedAtMs);
    }
  }

  #receive(packet: Packet, receivedAtMs: number): void {
    this.#checkLease();
    const group = this.groups[this.#groupOf[packet.router] ?? 0];
    if (group === undefined) return;
    const { advertisement, source } = packet;
    this.#world.judge.hears(this, packet, receivedAtMs);
    this.#input(group, {
      type: 'advertisement',
      instance: `r${packet.router}`,
      advertisement,
      source,
      receivedAtMs,
    });
  }

  // ---- timers ----

  timerFired(group: GroupHost, timer: number): void {
    if (group.timer !== timer || this.process !== 'running') return;
    group.timerAtMs = Number.POSITIVE_INFINITY;
    if (this.localMs(this.#world.nowMs) + 1e-6 < group.deadlineMs) this.#arm(group);
    else this.#due(group);
  }

  #due(group: GroupHost): void {
    const { life } = this;
    const along = this.#along(group).map((one) => ({ one, deadlineMs: one.deadlineMs }));
    this.#checkLease();
    if (this.#machine.drainsFirst) this.#drain();
    if (this.life === life) this.#input(group, { type: 'deadline' });
    for (const { one, deadlineMs } of along) {
      // What was read meanwhile may have moved it.
      if (this.life === life && one.deadlineMs === deadlineMs) this.#input(one, { type: 'deadline' });
    }
  }

  /** Groups whose advertisements are nearly due leave along with this one's (runtime/election/deadlines.ts). */
  #along(group: GroupHost): GroupHost[] {
    if (group.fromMs === group.deadlineMs) return [];
    const now = this.localMs(this.#world.nowMs);
    return this.groups.filter(
      (one) =>
        one !== group &&
        one.fromMs < one.deadlineMs &&
        one.fromMs <= now &&
        one.deadlineMs <= now + MAX_EARLY_MS,
    );
  }

  /** One event at a time: when the deadline moves on, as with every advertisement heard, the old one is let come. */
  #arm(group: GroupHost): void {
    if (group.deadlineMs === Number.POSITIVE_INFINITY || this.process !== 'running') return;
    const atMs =
      Math.max(this.worldMs(group.deadlineMs), this.#world.nowMs) +
      this.#world.random.unit() * this.#scenario.latenessMs +
      1e-6;
    if (atMs >= group.timerAtMs && group.timerAtMs > this.#world.nowMs) return;
    group.timer += 1;
    group.timerAtMs = atMs;
    this.#world.timer(atMs, this, group);
  }

  // ---- the machine and its effects ----

  #input(group: GroupHost, input: GroupInput): void {
    const { judge } = this.#world;
    const local = this.localMs(this.#world.nowMs);
    // A timer is never early; the two clocks are reckoned into one another with rounding.
    const now = input.type === 'deadline' ? Math.max(local, Math.min(group.deadlineMs, local + 1e-5)) : local;
    const before = group.state;
    const result = judge.guarded(this, () => this.#machine.step(before, input, now));
    if (result === undefined) return;
    group.state = result.state;
    group.deadlineMs = result.deadlineMs;
    group.fromMs = result.fromMs;
    if (this.#world.tracing) this.#world.traceStep(this.number, group.number, input, result, now);
    let changed = input.type === 'configure';
    for (const effect of result.effects) {
      if (effect.type === 'role') changed = true;
      this.#run(group, effect);
    }
    this.#arm(group);
    judge.stepped(this, group, before, input, result, now);
    if (changed) this.#changed();
  }

  #run(group: GroupHost, effect: GroupEffect): void {
    if (effect.type === 'stopped') {
      this.#queueWork(group, { type: 'stopped', router: 0, mask: 0, priority: 0 });
      return;
    }
    const router = Number(effect.instance.slice(1));
    switch (effect.type) {
      case 'send':
        if (effect.afterAddresses)
          this.#queueWork(group, { type: 'send', router, mask: 0, priority: effect.priority });
        else this.#send(router, effect.priority);
        return;
      case 'add-addresses':
      case 'remove-addresses': {
        const mask = this.maskOf(router, effect.addresses);
        const type = effect.type === 'add-addresses' ? 'add' : 'remove';
        this.#queueWork(group, { type, router, mask, priority: 0 });
        return;
      }
      case 'announce':
        this.#queueWork(group, { type: 'announce', router, mask: 0, priority: 0 });
        return;
      case 'notice':
        this.#world.count(`notice ${effect.notice.kind}`);
        return;
      case 'role':
        this.#world.count(`${effect.from} -> ${effect.to}`);
        return;
      default:
    }
  }

  #send(router: number, priority: number): void {
    this.#world.judge.sends(this, router, priority);
    this.#world.transmit(this, router, priority);
    if (priority === 0) return;
    const { afterSpeech } = this;
    this.afterSpeech = undefined;
    afterSpeech?.();
  }

  #queueWork(group: GroupHost, work: Work): void {
    group.work.push(work);
    if (!group.working) this.#nextWork(group);
  }

  /** Sends and announcements take no time; address changes are asked of the kernel and its answer awaited. */
  #nextWork(group: GroupHost): void {
    const { life } = this;
    for (;;) {
      const [work] = group.work;
      if (work === undefined) return;
      if (work.type === 'add' || work.type === 'remove') {
        group.working = true;
        this.#world.work(this, group);
        return;
      }
      group.work.shift();
      if (work.type === 'stopped') this.#groupStopped(group);
      // The role may have gone while the address work before it was done.
      else if (this.#machine.dropsStaleWork && this.#isStale(group, work)) continue;
      else if (work.type === 'send') this.#send(work.router, work.priority);
      else this.#world.announce(this, work.router);
      if (this.life !== life) return;
    }
  }

  /** A farewell that was said meanwhile is not to be followed by an advertisement. */
  #isStale(group: GroupHost, { type, router }: Work): boolean {
    return !this.isMaster(router) || (type === 'send' && group.state.phase !== 'running');
  }

  /** The kernel has done the first piece of work; its answer may have to wait for a paused process. */
  workAnswered(group: GroupHost): void {
    const [work] = group.work;
    if (work === undefined) return;
    if (!(work.type === 'add' && this.refusals > 0)) this.#applyInKernel(work);
    group.answered = true;
    if (this.process === 'running') this.#workDone(group);
  }

  #workDone(group: GroupHost): void {
    const { life } = this;
    const work = group.work.shift();
    group.working = false;
    group.answered = false;
    if (work?.type === 'add' && this.refusals > 0) {
      this.#input(group, { type: 'address-failed', instance: `r${work.router}` });
    }
    if (this.life !== life) return;
    // What is gone needs no guardian any more.
    if (work !== undefined && !this.#mayHold(group, work.router)) this.#changed();
    if (!group.working) this.#nextWork(group);
  }

  /** Whether the kernel may have an address of it (GroupRunner.holds). */
  #mayHold(group: GroupHost, router: number): boolean {
    const changes = (work: Work) => work.router === router && (work.type === 'add' || work.type === 'remove');
    return this.isMaster(router) || group.work.some(changes);
  }

  #applyInKernel({ type, router, mask }: Work): void {
    const held = this.held[router] ?? 0;
    if (type === 'add') this.setHeld(router, held | mask);
    else if (type === 'remove') this.setHeld(router, held & ~mask);
  }

  setHeld(router: number, mask: number): void {
    if (this.held[router] === mask) return;
    this.held[router] = mask;
    this.#world.judge.heldChanged(this, router);
  }

  // ---- the guardian ----

  /** The guardian's orders follow what the kernel may hold (GuardianKeeper). */
  #changed(): void {
    const guarded = this.groups.flatMap((group) =>
      group.state.instances.filter(({ config }) => this.#mayHold(group, routerOf(config))),
    );
    const local = this.localMs(this.#world.nowMs);
    if (guarded.length === 0) {
      this.#orders = undefined;
      this.#armedAtMs = local;
      return;
    }
    const intervals = guarded.map(({ config }) => config.advertisementIntervalMs);
    this.#orders = {
      farewells: guarded.map(({ config }) => routerOf(config)),
      masks: guarded.map(({ config }) => this.maskOf(routerOf(config), config.addresses)),
      holdMs: Math.max(...intervals.map(handOverHoldMs)),
      leaseMs: Math.max(MIN_LEASE_MS, 3 * Math.min(...intervals)),
    };
    this.#armedAtMs = local;
  }

  /** Whether this process stood still past the lease: then it holds nothing any more (VrrpService.#checkLease). */
  #checkLease(): void {
    const { leaseMs } = this.#orders ?? { leaseMs: 0 };
    if (leaseMs === 0 || !this.#machine.leases) return;
    // While it runs the heartbeat renews the lease; only a pause lets it grow old.
    if (this.awakeSinceMs !== this.#world.nowMs) return;
    if (this.localMs(this.#world.nowMs) - this.#armedAtMs < leaseMs) return;
    this.#withdrawn();
  }

  #hearGuardian(): void {
    if (!this.#actedUnheard) return;
    this.#actedUnheard = false;
    // The process lives: it releases the guardian and counts its addresses as lost (io/processes/guardian.ts #acted).
    for (const guardian of this.guardians) guardian.end();
    this.guardians = [];
    this.#withdrawn();
  }

  #withdrawn(): void {
    this.#world.trace(this.number, 'finds its lease over');
    this.#armedAtMs = Number.POSITIVE_INFINITY;
    for (const group of this.groups) this.#input(group, { type: 'withdrawn' });
  }

  #guard(orders: Orders, why: string): void {
    this.#world.trace(this.number, `guardian acts: ${why}`);
    this.#world.count('guardian acts');
    const guardian = new Guardian(this, this.#world, orders, () => {
      this.guardians = this.guardians.filter((one) => one !== guardian);
    });
    this.guardians.push(guardian);
    guardian.act();
  }
}

function nothingMissed(): Missed {
  return {
    stop: false,
    links: false,
    stolen: false,
    maintenance: false,
    variant: undefined,
    tracked: new Set(),
  };
}
