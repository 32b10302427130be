/** One episode: the directors of a scenario on their segments, from its first event to its last. */
import type { GuardianFarewell, VrrpPacket } from '../../../src/runtime/ports.js';
import type { GroupInput, GroupStep } from '../../../src/vrrp/group-types.js';
import { encodeAdvertisement } from '../../../src/vrrp/packet.js';
import { Bounds } from './bounds.js';
import { Director, type File } from './director.js';
import { endOfTurn } from './end-of-turn.js';
import { EventQueue } from './event-queue.js';
import type { GuardianHost, GuardianWorld } from './guardian.js';
import type { Interface } from './interface.js';
import { Judge, type Violation } from './judge.js';
import type { Machine } from './machine.js';
import { GROUP_ADDRESS, meaningOf, type Packet, TTL } from './packet.js';
import { Random } from './random.js';
import { type Fault, type FaultKind, type Scenario, segmentOf } from './scenario.js';
import { effectWords, inputWords } from './words.js';

type WorldEvent =
  | { readonly type: 'deliver'; readonly to: Director; readonly packet: Packet }
  | { readonly type: 'call'; readonly run: () => void };

/** Events to come: packets under way and timers of five directors stay far below. */
const MAX_EVENTS = 100_000;
/** Promises in a row before what began as work ends in a port: one is known (`GroupRunner.#restore`). */
const HOPS_TO_A_PORT = 4;
/** In intervals. */
const FORGED_EVERY = 0.4;
/** Streams of random numbers of one episode. */
const WORLD_STREAM = 0x5eed;
const COMPARISONS_STREAM = 0xc03a;

export interface EpisodeResult {
  readonly virtualMs: number;
  readonly steps: number;
  readonly violation: Violation | undefined;
  readonly counts: ReadonlyMap<string, number>;
}

export class World implements GuardianWorld {
  readonly scenario: Scenario;
  readonly bounds: Bounds;
  readonly random: Random;
  /** For what is said of connection tables. */
  readonly comparisonsRandom: Random;
  readonly judge: Judge;
  readonly directors: readonly Director[];
  readonly tracing: boolean;
  nowMs = 0;
  steps = 0;
  /** What a director that starts reads. */
  file: File = { variant: 0, layout: 0 };
  readonly #queue = new EventQueue<WorldEvent>();
  /** Promises that are to have their say before the next event: known to be there, or to be looked for. */
  #promises: 'none' | 'perhaps' | 'some' = 'none';
  readonly #counts = new Map<string, number>();
  readonly #print: (line: string) => void;
  /** Faults of a segment that are active. */
  readonly #loss: number[][];
  readonly #duplicate: number[][];
  readonly #extra: number[][];
  /** How many partitions keep packets of one director from another: [segment][from * directors + to]. */
  readonly #blocked: number[][];
  /** Whether a segment has any fault now: most of the time it has none. */
  readonly #disturbed: number[];

  constructor(scenario: Scenario, seed: number, machine: Machine, print?: (line: string) => void) {
    this.scenario = scenario;
    this.bounds = new Bounds(scenario);
    this.random = new Random(seed ^ WORLD_STREAM, scenario.episode);
    this.comparisonsRandom = new Random(seed ^ COMPARISONS_STREAM, scenario.episode);
    this.tracing = print !== undefined;
    this.#print = print ?? (() => {});
    const segments = Array.from({ length: scenario.segments });
    this.#loss = segments.map(() => []);
    this.#duplicate = segments.map(() => []);
    this.#extra = segments.map(() => []);
    this.#disturbed = segments.map(() => 0);
    const pairs = scenario.directors.length ** 2;
    this.#blocked = segments.map(() => Array.from({ length: pairs }, () => 0));
    this.judge = new Judge(this);
    this.directors = scenario.directors.map((_, number) => new Director(number, this, scenario, machine));
  }

  async run(): Promise<EpisodeResult> {
    this.#schedule();
    const queue = this.#queue;
    const endMs = this.scenario.durationMs;
    while (queue.nextMs <= endMs && this.judge.violation === undefined) {
      this.nowMs = queue.nextMs;
      if (queue.size > MAX_EVENTS) this.judge.storm(queue.size);
      const event = queue.pop();
      if (event === undefined) break;
      if (event.type === 'deliver') event.to.deliver(event.packet);
      else event.run();
      if (this.#promises !== 'none') await this.#endTurn();
    }
    const { violation } = this.judge;
    const virtualMs = violation === undefined ? endMs : this.nowMs;
    return { virtualMs, steps: this.steps, violation, counts: this.#counts };
  }

  #schedule(): void {
    for (const director of this.directors) this.at(director.plan.startAtMs, () => director.start());
    for (const round of this.scenario.rounds) {
      this.at(round.atMs, () => this.judge.roundBegins(round));
      for (const fault of round.faults) {
        this.at(fault.atMs, () => this.#begin(fault));
        if (fault.untilMs < Number.POSITIVE_INFINITY) this.at(fault.untilMs, () => this.#end(fault));
      }
      this.at(round.untilMs, () => this.judge.roundEnds(round));
    }
    this.at(this.scenario.durationMs, () => this.judge.finish());
  }

  // ---- for the directors ----

  at(atMs: number, run: () => void): void {
    this.#queue.push(atMs, { type: 'call', run });
  }

  /** A turn of an event loop ends when its promises have had their say: it takes no virtual time. */
  awaitPromises(): void {
    this.#promises = 'some';
  }

  /** Most turns start none, and those that do ask something of a port soon, which calls `awaitPromises`. */
  lookForPromises(): void {
    if (this.#promises === 'none') this.#promises = 'perhaps';
  }

  async #endTurn(): Promise<void> {
    if (this.#promises === 'perhaps') for (let hop = 0; hop < HOPS_TO_A_PORT; hop++) await Promise.resolve();
    const isSome = this.#promises === 'some';
    this.#promises = 'none';
    if (isSome) await endOfTurn();
  }

  count(what: string, by = 1): void {
    this.#counts.set(what, (this.#counts.get(what) ?? 0) + by);
  }

  /** Puts an advertisement on the wire. Returns whether the sender's link took it. */
  transmit(
    from: Director,
    { interface: name, source }: { readonly interface: string; readonly source: string },
    { destination, payload }: VrrpPacket,
  ): boolean {
    const segment = segmentOf(name);
    if (!from.canSpeak(segment)) return false;
    const advertisement = meaningOf(payload, source, destination);
    const router = advertisement.virtualRouterId - 1;
    const isForAll = destination === GROUP_ADDRESS;
    const ttl = isForAll ? TTL : TTL - this.scenario.hops;
    const packet = {
      router,
      from: from.number,
      sentMs: this.nowMs,
      source,
      destination,
      ttl,
      payload,
      advertisement,
    };
    for (const to of this.directors) {
      if (to === from || (!isForAll && to.sourceOn(name) !== destination)) continue;
      if (this.#disturbed[segment] === 0) this.#deliver(to, packet, 0);
      else this.#deliverDisturbed(from, to, packet, segment);
    }
    return true;
  }

  /** A guardian's farewell, which leaves by the link of its host. */
  send({ number }: GuardianHost, farewell: GuardianFarewell): boolean {
    const from = this.directors[number];
    if (from === undefined) return false;
    let sent = false;
    for (const { address: destination, payload } of farewell.destinations)
      sent = this.transmit(from, farewell, { destination, payload }) || sent;
    return sent;
  }

  /** To every director in the name of another, with one hop more than it takes; time and again while the fault lasts. */
  #forge(fault: Fault & { kind: 'forge' }): void {
    if (this.nowMs >= fault.untilMs) return;
    for (const to of this.directors)
      for (const [router, { segment }] of this.scenario.routers.entries())
        if (segment === fault.segment) this.#forgeFor(to, router);
    this.at(this.nowMs + FORGED_EVERY * this.bounds.intervalMs, () => this.#forge(fault));
  }

  #forgeFor(to: Director, router: number): void {
    const { number: own } = to;
    const from = (own + this.random.whole(1, this.directors.length - 1)) % this.directors.length;
    const instance = to.config(router);
    const { transport, version, family, virtualRouterId, advertisementIntervalMs, checksum } = instance;
    const source = this.directors[from]?.source(router) ?? '';
    const destination = transport.kind === 'unicast' ? transport.local : GROUP_ADDRESS;
    const ttl = (transport.kind === 'unicast' ? transport.minTtl : TTL) - 1;
    const priority = this.random.pick([0, 254, 255]);
    const advertisement = {
      version,
      family,
      virtualRouterId,
      priority,
      advertisementIntervalMs,
      addresses: instance.advertised,
    };
    const payload = encodeAdvertisement(advertisement, { checksum, source, destination });
    const packet = { router, from, sentMs: this.nowMs, source, destination, ttl, payload, advertisement };
    this.#deliver(to, { ...packet, isForged: true }, 0);
  }

  #deliver(to: Director, packet: Packet, extraMs: number): void {
    const { delayMs, jitterMs } = this.scenario;
    const segment = this.scenario.routers[packet.router]?.segment ?? 0;
    const atMs = this.nowMs + delayMs + this.random.unit() * jitterMs + extraMs;
    if (to.linkUp(segment)) this.#queue.push(atMs, { type: 'deliver', to, packet });
  }

  #deliverDisturbed(from: Director, to: Director, packet: Packet, segment: number): void {
    const blocked = this.#blocked[segment]?.[from.number * this.directors.length + to.number] ?? 0;
    if (blocked > 0) return;
    for (const probability of this.#loss[segment] ?? []) if (this.random.chance(probability)) return;
    let extraMs = 0;
    for (const most of this.#extra[segment] ?? []) extraMs += this.random.unit() * most;
    this.#deliver(to, packet, extraMs);
    for (const probability of this.#duplicate[segment] ?? []) {
      if (this.random.chance(probability)) this.#deliver(to, packet, extraMs);
    }
  }

  /** Gratuitous ARP for the addresses of a router. */
  announce(from: Director, router: number): void {
    const segment = this.scenario.routers[router]?.segment ?? 0;
    if (!from.linkUp(segment)) return;
    this.trace(from.number, `r${router} announced`);
    this.judge.announced(from, router);
  }

  // ---- faults ----

  #begin(fault: Fault): void {
    this.count(`fault ${fault.kind}`);
    if (this.tracing) this.#print(`${this.#stamp()} fault  begins: ${JSON.stringify(fault)}`);
    this.judge.faultBegins(fault);
    const director = 'director' in fault ? this.directors[fault.director] : undefined;
    switch (fault.kind) {
      case 'loss':
        this.#loss[fault.segment]?.push(fault.probability);
        return this.#disturb(fault.segment, 1);
      case 'duplicate':
        this.#duplicate[fault.segment]?.push(fault.probability);
        return this.#disturb(fault.segment, 1);
      case 'delay':
        this.#extra[fault.segment]?.push(fault.extraMs);
        return this.#disturb(fault.segment, 1);
      case 'partition':
        this.#block(fault, 1);
        return this.#disturb(fault.segment, 1);
      case 'reload':
        return this.#reload(fault, { ...this.file, variant: fault.variant });
      case 'regroup':
        return this.#reload(fault, { ...this.file, layout: fault.layout });
      case 'freeze':
        return this.#freeze(fault);
      case 'forge':
        return this.#forge(fault);
      default:
        if (director !== undefined) this.#beginAt(director, fault);
    }
  }

  #beginAt(director: Director, fault: Fault): void {
    switch (fault.kind) {
      case 'pause':
        director.pauses += 1;
        return director.pause();
      case 'crash':
        director.offs += 1;
        return director.crash();
      case 'power':
        director.offs += 1;
        return director.powerOff();
      case 'stop':
        director.offs += 1;
        return this.#afterSpeech(director, fault, () => {
          if (director.offs > 0) director.stop();
        });
      case 'link':
        director.linkDowns[fault.segment] = (director.linkDowns[fault.segment] ?? 0) + 1;
        return director.linksChanged();
      case 'refuse':
        director.refusals += 1;
        return;
      case 'steal':
        return director.rob();
      case 'expire':
        return director.loses(fault.peer, fault.segment);
      case 'source':
        this.#interface(director, fault).losses += 1;
        return director.loseSource(fault.segment, fault.flush);
      case 'macvlan':
        return director.deleteMacVlan(director.deviceOf(fault.router));
      case 'sync':
        if (fault.silent) director.syncSilences += 1;
        else director.syncBreaks += 1;
        return director.compare();
      case 'device':
        this.#interface(director, fault).deletions += 1;
        return director.deleteDevice(fault.segment);
      case 'track':
        director.downObjects.set(fault.object, (director.downObjects.get(fault.object) ?? 0) + 1);
        return director.tracked(fault.object);
      case 'maintenance':
        director.maintenances += 1;
        return this.#afterSpeech(director, fault, () => director.maintenanceChanged());
      default:
    }
  }

  /** At once, or in the moment after the director's next advertisement: what it says then may overtake that. */
  #afterSpeech(director: Director, fault: { readonly afterSpeech: boolean }, run: () => void): void {
    if (!fault.afterSpeech || !director.isAnyMaster()) return run();
    const { life } = director;
    director.afterSpeech = () => {
      this.at(this.nowMs + this.random.unit() * this.scenario.jitterMs, () => {
        if (director.life === life) run();
      });
    };
  }

  #freeze({ who, keeps, untilMs }: Fault & { kind: 'freeze' }): void {
    const frozen = this.directors.filter((director) => who === 'all' || !director.isAnyMaster());
    for (const director of frozen) director.freeze(keeps);
    this.at(untilMs, () => {
      for (const director of frozen) director.thaw();
    });
  }

  #end(fault: Fault): void {
    if (this.tracing) this.#print(`${this.#stamp()} fault  ends: ${JSON.stringify(fault)}`);
    this.judge.faultEnds(fault);
    const remove = (list: number[] | undefined, value: number) => list?.splice(list.indexOf(value), 1);
    const director = 'director' in fault ? this.directors[fault.director] : undefined;
    switch (fault.kind) {
      case 'loss':
        remove(this.#loss[fault.segment], fault.probability);
        return this.#disturb(fault.segment, -1);
      case 'duplicate':
        remove(this.#duplicate[fault.segment], fault.probability);
        return this.#disturb(fault.segment, -1);
      case 'delay':
        remove(this.#extra[fault.segment], fault.extraMs);
        return this.#disturb(fault.segment, -1);
      case 'partition':
        this.#block(fault, -1);
        return this.#disturb(fault.segment, -1);
      default:
        if (director !== undefined) this.#endAt(director, fault);
    }
  }

  #endAt(director: Director, fault: Fault): void {
    switch (fault.kind) {
      case 'pause':
        director.pauses -= 1;
        if (director.pauses === 0) director.wake();
        return;
      case 'crash':
      case 'power':
      case 'stop':
        director.offs -= 1;
        return director.start();
      case 'link':
        director.linkDowns[fault.segment] = (director.linkDowns[fault.segment] ?? 0) - 1;
        return director.linksChanged();
      case 'refuse':
        director.refusals -= 1;
        return;
      case 'track':
        director.downObjects.set(fault.object, (director.downObjects.get(fault.object) ?? 0) - 1);
        return director.tracked(fault.object);
      case 'source':
        this.#interface(director, fault).losses -= 1;
        return director.regainSource(fault.segment);
      case 'sync':
        if (fault.silent) director.syncSilences -= 1;
        else director.syncBreaks -= 1;
        return;
      case 'device':
        this.#interface(director, fault).deletions -= 1;
        return director.makeDevice(fault.segment);
      case 'maintenance':
        director.maintenances -= 1;
        return director.maintenanceChanged();
      default:
    }
  }

  #interface(director: Director, { segment }: { readonly segment: number }): Interface {
    const one = director.interfaces[segment];
    if (one === undefined) throw new RangeError(`no segment ${segment}`);
    return one;
  }

  #disturb(segment: number, by: number): void {
    this.#disturbed[segment] = (this.#disturbed[segment] ?? 0) + by;
  }

  #block(fault: Fault & { kind: 'partition' }, by: number): void {
    const blocked = this.#blocked[fault.segment];
    if (blocked === undefined) return;
    for (const from of fault.from) {
      for (const to of fault.to) {
        const at = from * this.directors.length + to;
        blocked[at] = (blocked[at] ?? 0) + by;
      }
    }
  }

  /** The operator goes from host to host. */
  #reload(fault: Fault, file: File): void {
    this.file = file;
    for (const director of this.directors) {
      const atMs = this.random.between(fault.atMs, fault.untilMs);
      const { life } = director;
      this.at(atMs, () => {
        if (director.life === life) director.configure(this.file);
      });
    }
  }

  // ---- the readable trace ----

  #stamp(): string {
    return this.nowMs.toFixed(3).padStart(14);
  }

  trace(director: number, words: string): void {
    if (this.tracing) this.#print(`${this.#stamp()} d${director}     ${words}`);
  }

  traceStep(director: number, group: string, input: GroupInput, result: GroupStep, nowMs: number): void {
    const effects = result.effects.filter((e) => e.type !== 'count').map(effectWords);
    if (input.type === 'deadline' && effects.length === 0) return;
    const due =
      result.deadlineMs === Number.POSITIVE_INFINITY ? 'never' : (result.deadlineMs - nowMs).toFixed(1);
    this.#print(
      `${this.#stamp()} d${director} ${group}  ${inputWords(input, nowMs)} => ${effects.join(', ') || '-'} [due in ${due}]`,
    );
  }
}

export type { FaultKind };
