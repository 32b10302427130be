/**
 * One director as the segment sees it: its host (clock, kernel, links), the process that runs there (shell.ts), and the
 * guardians that it has left (guardian.ts).
 */
import type { VirtualAddress, VrrpInstance } from '../../../src/config/model.js';
import type { KeptVirtualMacs, VirtualMac, VrrpPacket } from '../../../src/runtime/ports.js';
import { compareAddresses } from '../../../src/util/ip-address.js';
import type { InstanceState } from '../../../src/vrrp/group-types.js';
import { VERDICT_MS } from './bounds.js';
import { Comparisons } from './comparisons.js';
import type { Guardian, GuardianHost } from './guardian.js';
import { Interface, type Seen } from './interface.js';
import type { Machine } from './machine.js';
import { MacVlans } from './macvlans.js';
import type { Packet } from './packet.js';
import { type DirectorPlan, interfaceOf, type Scenario, segmentOf, sourceOf } from './scenario.js';
import { type GroupView, Shell } from './shell.js';
import type { World } from './world.js';

/** What the operator's file says. */
export interface File {
  readonly variant: number;
  readonly layout: number;
}

export class Director implements GuardianHost {
  readonly number: number;
  readonly plan: DirectorPlan;
  process: 'off' | 'running' | 'paused' = 'off';
  /** Counts starts and deaths: events of an earlier life are dropped. */
  life = 0;
  /** Addresses in the kernel by router, as bits of its list. */
  readonly held: number[];
  readonly linkDowns: number[];
  /** By segment. */
  readonly interfaces: readonly Interface[];
  readonly macvlans = new MacVlans();
  /** The file that it has read last. */
  file: File = { variant: 0, layout: 0 };
  refusals = 0;
  offs = 0;
  pauses = 0;
  maintenances = 0;
  /** The sync of its connection table does not work; its services process says nothing. */
  syncBreaks = 0;
  syncSilences = 0;
  readonly downObjects = new Map<string, number>();
  /** Told to stop and not yet gone. */
  stopping = false;
  /** Called once after the next advertisement. */
  afterSpeech: (() => void) | undefined;
  /** Last time the process came to life or woke, in the world's time. */
  awakeSinceMs = 0;
  pausedSinceMs = Number.POSITIVE_INFINITY;
  #shell: Shell | undefined;
  #comparisons: Comparisons | undefined;
  /** Those that act. */
  #guardians: Guardian[] = [];
  /** The whole host stands still: what comes for it, if it is kept at all. */
  #frozen: { readonly keeps: boolean; readonly packets: Packet[] } | undefined;
  readonly #world: World;
  readonly #scenario: Scenario;
  readonly #machine: Machine;
  /** By layout, then by variant of the file. */
  readonly #instances: readonly (readonly (readonly VrrpInstance[])[])[];
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
    this.interfaces = this.linkDowns.map((_, segment) => new Interface(segment));
    this.#instances = scenario.layouts.map(({ names }) =>
      plan.variants.map((variant) =>
        variant.map((instance, router) => ({
          ...instance,
          name: names[router] ?? instance.name,
          track: scenario.track,
        })),
      ),
    );
    this.#bits = scenario.routers.map(
      (router) => new Map(router.addresses.map((address, bit) => [address, 1 << bit])),
    );
  }

  // ---- clock and address book ----

  /** By this director's clock. */
  nowMs(): number {
    return this.localMs(this.#world.nowMs);
  }

  get clockRate(): number {
    return this.plan.clockRate;
  }

  localMs(worldMs: number): number {
    return worldMs * this.plan.clockRate + this.plan.clockOffsetMs;
  }

  worldMs(localMs: number): number {
    return (localMs - this.plan.clockOffsetMs) / this.plan.clockRate;
  }

  /** By the number of the router: the higher the director's number, the higher its address. */
  source(router: number): string {
    return this.sourceOn(this.#interfaceOf(router));
  }

  #interfaceOf(router: number): string {
    return interfaceOf(this.#scenario.routers[router]?.segment ?? 0);
  }

  sourceOn(interfaceName: string): string {
    return sourceOf(this.number, segmentOf(interfaceName));
  }

  /** Above 0 when `source` is the greater address. */
  compareSource(router: number, source: string): number {
    return compareAddresses(source, this.source(router));
  }

  /** By router, those that are not in the file too. */
  instances({ layout, variant }: File): readonly VrrpInstance[] {
    return this.#instances[layout]?.[variant] ?? [];
  }

  /** The routers of one's group as the file says that it has read last; undefined: it has no such router. */
  groupOf(router: number): readonly number[] | undefined {
    return this.#scenario.layouts[this.file.layout]?.groups.find((group) => group.includes(router));
  }

  /** The same, as its process has it at work. */
  companions(router: number): readonly number[] | undefined {
    return this.#shell?.companions(router);
  }

  /** As the file says that it has read last. */
  config(router: number): VrrpInstance {
    const config = this.instances(this.file)[router];
    if (config === undefined) throw new RangeError(`no router ${router}`);
    return config;
  }

  instance(router: number): InstanceState | undefined {
    return this.#shell?.instance(router);
  }

  /** Address work of it stands in line. */
  isWorking(router: number): boolean {
    return this.#shell?.isWorking(router) ?? false;
  }

  /** Packets that nobody has read, on the links of a group. */
  unreadOf(group: GroupView): number {
    return this.#shell?.unreadOf(group) ?? 0;
  }

  maskOf(router: number, addresses: readonly VirtualAddress[]): number {
    let mask = 0;
    for (const { address } of addresses) mask |= this.#bits[router]?.get(address) ?? 0;
    return mask;
  }

  linkUp(segment: number): boolean {
    return this.linkDowns[segment] === 0 && this.interfaces[segment]?.index !== undefined;
  }

  /** Without an address nothing leaves. */
  canSpeak(segment: number): boolean {
    return this.linkUp(segment) && this.interfaces[segment]?.hasSource === true;
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

  /** Nothing that an operator did or that failed weighs on it. */
  get isHealthy(): boolean {
    const isUntouched = this.offs + this.pauses + this.maintenances + this.refusals === 0;
    return (
      this.process === 'running' &&
      isUntouched &&
      this.linkDowns.every((downs) => downs === 0) &&
      this.interfaces.every((one) => one.isUntouched) &&
      [...this.downObjects.values()].every((downs) => downs === 0)
    );
  }

  // ---- the kernel's addresses ----

  holds({ address }: VirtualAddress): boolean {
    return this.held.some((mask, router) => (mask & (this.#bits[router]?.get(address) ?? 0)) !== 0);
  }

  /** Whether the devices of these addresses are there. */
  canHold(addresses: readonly VirtualAddress[]): boolean {
    return addresses.every((one) => this.seen(one.interface).index !== undefined);
  }

  /** The device of a router's addresses. */
  deviceOf(router: number): string {
    return this.config(router).virtualMacInterface ?? this.#interfaceOf(router);
  }

  /** An interface or a macvlan device as it is now. */
  seen(name: string): Seen {
    const parent = this.interfaces[segmentOf(name)]?.seen ?? { index: undefined, hasSource: false };
    return name === interfaceOf(segmentOf(name)) ? parent : { ...parent, index: this.macvlans.index(name) };
  }

  add(addresses: readonly VirtualAddress[]): void {
    for (const router of this.held.keys()) {
      this.#setHeld(router, (this.held[router] ?? 0) | this.maskOf(router, addresses));
    }
  }

  release(addresses: readonly VirtualAddress[]): void {
    for (const router of this.held.keys()) {
      this.#setHeld(router, (this.held[router] ?? 0) & ~this.maskOf(router, addresses));
    }
  }

  /** Its BFD sessions with another director on a segment expire. */
  loses(peer: number, segment: number): void {
    this.#shell?.lose(peer, segment);
  }

  /** Somebody deletes all of them by hand. */
  rob(): void {
    for (const router of this.held.keys()) this.#setHeld(router, 0);
  }

  #setHeld(router: number, mask: number): void {
    const before = this.held[router] ?? 0;
    if (before === mask) return;
    this.held[router] = mask;
    this.#world.judge.heldChanged(this, router);
    const name = this.deviceOf(router);
    for (const [address, bit] of this.#bits[router] ?? []) {
      if (((before ^ mask) & bit) !== 0) this.#shell?.addressChanged(address, name, (mask & bit) !== 0);
    }
  }

  /** With `flush` all addresses of the interface go with it. */
  loseSource(segment: number, flush: boolean): void {
    const one = this.interfaces[segment];
    if (one?.loseSource(this.#world.nowMs) === true) this.#tellOfSource(segment, one);
    if (flush) this.#flush(interfaceOf(segment));
  }

  regainSource(segment: number): void {
    const one = this.interfaces[segment];
    if (one?.regainSource() === true) this.#tellOfSource(segment, one);
  }

  deleteDevice(segment: number): void {
    const one = this.interfaces[segment];
    if (one?.index === undefined) return;
    for (const name of this.macvlans.over(one.index)) this.deleteMacVlan(name);
    this.loseSource(segment, true);
    one.index = undefined;
    this.#world.trace(this.number, `${interfaceOf(segment)} is deleted`);
    this.#shell?.interfaceChanged(interfaceOf(segment), one.seen);
  }

  deleteMacVlan(name: string): void {
    this.#flush(name);
    if (!this.macvlans.delete(name)) return;
    this.#world.trace(this.number, `${name} is deleted`);
    this.#shell?.interfaceChanged(name, this.seen(name));
  }

  keepMacVlans(wanted: readonly VirtualMac[]): KeptVirtualMacs {
    const kept = this.macvlans.keep(wanted, {
      refuses: this.refusals > 0,
      parentIndex: (name) => this.seen(name).index,
      remove: (name) => this.deleteMacVlan(name),
    });
    for (const name of kept.mended) this.#shell?.interfaceChanged(name, this.seen(name));
    return kept;
  }

  makeDevice(segment: number): void {
    const one = this.interfaces[segment];
    if (one === undefined || one.index !== undefined || one.deletions > 0) return;
    one.make();
    this.#world.trace(this.number, `${interfaceOf(segment)} is made again`);
    this.#shell?.interfaceChanged(interfaceOf(segment), one.seen);
    const { nowMs, random } = this.#world;
    this.#world.at(nowMs + random.unit() * this.#scenario.addressWorkMs, () => this.regainSource(segment));
  }

  #tellOfSource(segment: number, one: Interface): void {
    const name = interfaceOf(segment);
    const address = this.sourceOn(name);
    this.#world.trace(this.number, `${name} ${one.hasSource ? 'has' : 'has lost'} ${address}`);
    this.#world.judge.silenced(this);
    this.#shell?.sourceChanged({ name, address, seen: one.seen });
  }

  #flush(device: string): void {
    for (const router of this.held.keys()) if (this.deviceOf(router) === device) this.#setHeld(router, 0);
  }

  // ---- life ----

  start(): void {
    if (this.process !== 'off' || this.offs > 0) return;
    this.life += 1;
    this.process = 'running';
    this.awakeSinceMs = this.#world.nowMs;
    this.pausedSinceMs = Number.POSITIVE_INFINITY;
    this.file = this.#world.file;
    this.stopping = false;
    this.#world.trace(this.number, 'starts');
    this.#shell = new Shell(this, this.#world, this.#scenario, this.#machine);
    this.#shell.start();
    this.#firstVerdicts();
    this.#startComparisons();
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

  #startComparisons(): void {
    const { life } = this;
    const { comparisons: plan } = this.#scenario;
    if (plan === undefined || plan.isMute[this.number] === true) return;
    this.#comparisons = new Comparisons(plan, {
      random: this.#world.comparisonsRandom,
      after: (delayMs, run) =>
        this.#world.at(this.#world.nowMs + delayMs, () => {
          if (this.life === life) run();
        }),
      isBroken: () => this.syncBreaks > 0,
      isSilent: () => this.syncSilences > 0,
      say: (complete) => this.#shell?.syncProgress(complete),
    });
    this.#comparisons.start();
  }

  /** SIGKILL. */
  crash(): void {
    const shell = this.#shell;
    if (shell === undefined) return;
    this.#die('killed');
    shell.guardian.pipeClosed();
  }

  powerOff(): void {
    this.#world.trace(this.number, 'loses power');
    this.#shell?.guardian.end();
    if (this.process !== 'off') this.#die('without power');
    for (const guardian of this.#guardians) guardian.end();
    this.#guardians = [];
    this.rob();
    for (const name of this.macvlans.names) this.macvlans.delete(name);
  }

  #die(why: string, inGoodOrder = false): void {
    this.#world.trace(this.number, `process ${why}`);
    this.#shell?.die();
    this.life += 1;
    this.process = 'off';
    this.#shell = undefined;
    this.#comparisons = undefined;
    this.stopping = false;
    this.#world.judge.processEnded(this, inGoodOrder);
  }

  stop(): void {
    if (this.process === 'off') return;
    this.stopping = true;
    this.#world.trace(this.number, 'is told to stop');
    this.#shell?.stop();
  }

  /** It has left in good order. */
  ended(): void {
    this.#die('ended', true);
    this.start();
  }

  pause(): void {
    if (this.process !== 'running') return;
    this.#world.trace(this.number, 'is paused');
    this.process = 'paused';
    this.pausedSinceMs = this.#world.nowMs;
    this.#world.judge.paused(this);
  }

  get standsStill(): boolean {
    return this.#frozen !== undefined;
  }

  /** The whole host stands still for less than its lease: process, guardian, and the kernel that takes packets. */
  freeze(keeps: boolean): void {
    if (this.process !== 'running') return;
    this.#world.trace(this.number, 'stands still');
    this.process = 'paused';
    this.pausedSinceMs = this.#world.nowMs;
    this.#frozen = { keeps, packets: [] };
    this.#world.judge.stoodStill(this);
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
    this.#shell?.guardian.thawed();
    this.wake();
  }

  /** SIGCONT: what has come in meanwhile is handled in an order that the event loop does not promise. */
  wake(): void {
    if (this.process !== 'paused') return;
    this.#world.trace(this.number, `wakes after ${(this.#world.nowMs - this.pausedSinceMs).toFixed(1)} ms`);
    this.process = 'running';
    this.awakeSinceMs = this.#world.nowMs;
    this.#shell?.wake();
  }

  guardianActs(guardian: Guardian): void {
    this.#guardians = [...this.#guardians.filter((one) => one.isActing), guardian];
  }

  // ---- what the world does to a living process ----

  linksChanged(): void {
    this.#shell?.linksChanged();
  }

  tracked(object: string): void {
    this.#shell?.tracked(object);
  }

  compare(): void {
    this.#comparisons?.say();
  }

  maintenanceChanged(): void {
    this.#shell?.maintenanceChanged();
  }

  configure(file: File): void {
    if (this.process === 'off' || this.stopping) return;
    this.#shell?.configure(file);
  }

  /** A packet has come through the wire. */
  deliver(packet: Packet): void {
    if (this.#frozen !== undefined) {
      if (packet.isForged === true) return;
      if (this.#frozen.keeps && this.#frozen.packets.length < this.plan.socketQueue)
        this.#frozen.packets.push(packet);
      return;
    }
    if (this.interfaces[this.#scenario.routers[packet.router]?.segment ?? 0]?.index === undefined) return;
    for (const guardian of this.#guardians) guardian.hear(packet);
    const name = this.#interfaceOf(packet.router);
    if (this.#shell?.deliver(name, packet) === false) this.#world.count('socket queue overflows');
  }

  // ---- what the process does ----

  hears(packet: Packet, receivedAtMs: number): void {
    this.#world.judge.hears(this, packet, receivedAtMs);
  }

  /** `isFirst`: of the packets that say it to each peer. */
  says(
    from: { readonly interface: string; readonly source: string },
    packet: VrrpPacket,
    isFirst: boolean,
  ): void {
    if (!isFirst) {
      this.#world.transmit(this, from, packet);
      return;
    }
    const { payload } = packet;
    // RFC 9568 section 5.1: the virtual router identifier and the priority.
    const router = (payload[1] ?? 0) - 1;
    const priority = payload[2] ?? 0;
    this.#world.judge.sends(this, router, priority);
    this.#world.transmit(this, from, packet);
    if (priority === 0) return;
    const { afterSpeech } = this;
    this.afterSpeech = undefined;
    afterSpeech?.();
  }

  announces(addresses: readonly VirtualAddress[]): void {
    for (const router of this.held.keys()) {
      if (this.maskOf(router, addresses) !== 0) this.#world.announce(this, router);
    }
  }
}
