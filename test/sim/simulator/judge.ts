/** The invariants. Each is one method with its reason; the lengths they allow are in bounds.ts. */
import type {
  GroupEffect,
  GroupInput,
  GroupState,
  GroupStep,
  InstanceState,
} from '../../../src/vrrp/group-types.js';
import { MIN_LEASE_MS, OVERTAKEN_MS } from './bounds.js';
import type { Director } from './director.js';
import { untouched } from './layouts.js';
import type { Packet } from './packet.js';
import { type Fault, type FaultKind, type Round, routerOf } from './scenario.js';
import type { GroupView } from './shell.js';
import type { World } from './world.js';

export const INVARIANTS = {
  I1: 'never two masters longer than the fault allows',
  I2: 'exactly one master, and the right one, within 3 intervals plus skew after the last fault',
  I3: 'the last announcement on the wire is the master’s',
  I4: 'the instances of a group agree',
  I5: 'who is in fault, stopped or dead holds no address',
  I6: 'no change of role without a fault',
  I7: 'a planned hand-over leaves no gap',
  I8: 'a master advertises in time, a backup never',
  I9: 'the machine never throws, always has a deadline, never spins',
} as const;
export type Invariant = keyof typeof INVARIANTS;

export interface Violation {
  readonly invariant: Invariant;
  readonly atMs: number;
  readonly words: string;
}

/** Of one master in one interval: every weaker one that speaks is answered, duplicates of its packets too. */
const MAX_ADVERTISEMENTS = 100;
/** Deadlines in a row at which no virtual time goes by. */
const MAX_SPINS = 10;
/** Steps of group deadlines a machine may take in the past: none is kept, only a repetition is a fault. */
const NO_TIME_MS = 1e-3;

interface RouterView {
  /** Directors that hold any of the addresses, as bits. */
  holders: number;
  overlapSinceMs: number;
  gapSinceMs: number;
  lastAnnouncer: number;
  lastAnnouncedMs: number;
  /** A farewell was said: until then its sender may keep the addresses. */
  handOverUntilMs: number;
  /** By director: when it heard an advertisement that was sent after the last announcement of another; else NaN. */
  readonly contradictedMs: number[];
}

interface Speech {
  /** Last advertisement of a master, by router; NaN when the stretch since was not free of faults. */
  readonly lastMs: number[];
  /** Its interval when it said that: a reload may change it before the next. */
  readonly intervalMs: number[];
  /** Advertisements since the start of the window, by router. */
  readonly sent: number[];
  readonly windowMs: number[];
}

/** What a director has heard of a router's master, in its own clock. */
interface Heard {
  atMs: number;
  intervalMs: number;
  priority: number;
  /** From whom, and the highest priority that it said in a row. */
  source: string;
  peak: number;
  /** Since when only weaker masters were heard; NaN: the last was not weaker. */
  weakerSinceMs: number;
  farewellMs: number;
}

/** A farewell that a director heard in a router's group: one advertisement of each sender may be older and go unanswered. */
interface Departures {
  /** In its own clock. */
  untilMs: number;
  readonly ignored: Set<string>;
}

interface Spin {
  atMs: number;
  count: number;
}

/** What keeps advertisements from others, and so two masters from knowing of one another. */
const SEGMENT_FAULTS: ReadonlySet<FaultKind> = new Set(['loss', 'partition', 'delay', 'source', 'expire']);
/** Faults that leave nothing behind which is waited for. */
const SOON_OVER: ReadonlySet<FaultKind> = new Set([
  'loss',
  'duplicate',
  'partition',
  'crash',
  'power',
  'stop',
  'link',
  'track',
  'sync',
]);
/** Of Active_Down_Interval, whatever the priority: silence that lets a backup take over. */
const SILENT_INTERVALS = 3;
/** The longest Active_Down_Interval, with the skew of the lowest priority. */
const MASTER_DOWN_INTERVALS = 4;
/** Floating point in milliseconds. */
const ROUNDING_MS = 1e-3;

function nothingHeard(): Heard {
  return {
    atMs: Number.NEGATIVE_INFINITY,
    intervalMs: 0,
    priority: 0,
    source: '',
    peak: 0,
    weakerSinceMs: Number.NaN,
    farewellMs: Number.NEGATIVE_INFINITY,
  };
}

export class Judge {
  violation: Violation | undefined;
  readonly #world: World;
  readonly #routers: RouterView[];
  readonly #speech: Speech[];
  /** By director, then by router. */
  readonly #heard: Heard[][];
  /** By director, then by router. */
  readonly #departures: Departures[][];
  readonly #spins = new Map<GroupView, Spin>();
  /** By director, then by router: its connection table counts as complete. */
  readonly #isComplete: boolean[][];
  /** By director and router: when it last was in fault or silent; what was said before counts no more. */
  readonly #voidMs: number[][];
  /** Of those that have just yielded (docs/decisions/0046). */
  readonly #lastWords = new Set<string>();
  /** By director: the last word of its services process, and how often that changed. */
  readonly #words: { complete: boolean; changes: number }[];
  #settled = false;
  #planned = false;
  /** Routers whose new group is made of nothing but lone instances, while nothing else is wrong. */
  #wasAlone: ReadonlySet<number> = new Set();
  /** Routers that do not change their role and their holder in this round, whatever it does. */
  #keepsRole: ReadonlySet<number> = new Set();
  #keepsHolder: ReadonlySet<number> = new Set();
  /** Until then two masters have an excuse in the segment. */
  #segmentFaultUntilMs = 0;
  #holdExcuseUntilMs = 0;
  /** When the pauses of a director end, those that are over included. */
  readonly #pausedUntilMs = new Map<number, number>();
  #round = 0;
  /** Nothing is done any more that a right to preempt may have to wait for. */
  #isUndisturbed = false;
  readonly #kinds = new Set<FaultKind>();

  constructor(world: World) {
    this.#world = world;
    const { routers, directors } = world.scenario;
    this.#routers = routers.map(() => ({
      holders: 0,
      overlapSinceMs: Number.NaN,
      gapSinceMs: 0,
      lastAnnouncer: -1,
      lastAnnouncedMs: 0,
      handOverUntilMs: Number.NEGATIVE_INFINITY,
      contradictedMs: directors.map(() => Number.NaN),
    }));
    this.#heard = directors.map(() => routers.map(nothingHeard));
    this.#departures = directors.map(() =>
      routers.map(() => ({ untilMs: Number.NEGATIVE_INFINITY, ignored: new Set() })),
    );
    this.#isComplete = directors.map(() => routers.map(() => false));
    this.#voidMs = directors.map(() => routers.map(() => Number.NEGATIVE_INFINITY));
    this.#words = directors.map(() => ({ complete: false, changes: 0 }));
    this.#speech = directors.map(() => ({
      lastMs: routers.map(() => Number.NaN),
      intervalMs: routers.map(() => Number.NaN),
      sent: routers.map(() => 0),
      windowMs: routers.map(() => 0),
    }));
  }

  #fail(invariant: Invariant, words: string): void {
    this.violation ??= { invariant, atMs: this.#world.nowMs, words };
  }

  // ---- rounds ----

  faultBegins(fault: Fault): void {
    this.#kinds.add(fault.kind);
    const { bounds } = this.#world;
    if (SEGMENT_FAULTS.has(fault.kind)) {
      const lateMs = fault.kind === 'delay' ? fault.extraMs : 0;
      this.#segmentFaultUntilMs = Math.max(this.#segmentFaultUntilMs, fault.untilMs + lateMs);
    } else if (fault.kind === 'pause') {
      const before = this.#pausedUntilMs.get(fault.director) ?? 0;
      this.#pausedUntilMs.set(fault.director, Math.max(before, fault.untilMs));
      this.#excusePause(fault.director);
    } else if (fault.kind === 'crash') {
      this.#holdExcuseUntilMs = Math.max(this.#holdExcuseUntilMs, fault.atMs + bounds.holdMs);
    }
  }

  /** From now on: a director that is started meanwhile stands still only then. */
  #excusePause(director: number): void {
    const { bounds, nowMs } = this.#world;
    const until = Math.min(this.#pausedUntilMs.get(director) ?? nowMs, nowMs + bounds.leaseMs);
    this.#holdExcuseUntilMs = Math.max(this.#holdExcuseUntilMs, until + bounds.holdMs);
  }

  faultEnds(fault: Fault): void {
    this.#kinds.add(fault.kind);
  }

  roundBegins(round: Round): void {
    if (this.#settled) this.#checkSettled('at the end of the quiet phase');
    const isOrderly = this.#settled;
    // Hosts that stand still for a moment are nothing that a role should change for.
    this.#settled &&= round.calm;
    this.#round += 1;
    this.#kinds.clear();
    this.#isUndisturbed = false;
    // The first round is the start of all.
    if (this.#round === 1) this.#kinds.add('stop');
    const [first] = round.planned ? round.faults : [];
    this.#keepsRole = new Set();
    this.#wasAlone = new Set();
    this.#keepsHolder = new Set();
    this.#planned = false;
    const isHealthy = isOrderly && this.#world.directors.every((d) => d.isHealthy);
    if (first?.kind === 'source' || first?.kind === 'macvlan' || first?.kind === 'forge') {
      const isMissed =
        first.kind === 'macvlan' && this.#world.directors[first.director]?.isAnyMaster() !== false;
      if (isHealthy && !isMissed) this.#keepsRole = new Set(this.#routers.keys());
      if (first.kind !== 'source' || !first.flush) this.#keepsHolder = this.#keepsRole;
    } else if (first?.kind === 'regroup') {
      this.#planned = isHealthy;
      if (this.#planned) this.#expectOf(first);
    } else this.#planned = round.planned && first?.kind !== 'track' && this.#hasSuccessors(round);
    // A master that falls, while nothing else is wrong.
    this.#isUndisturbed = isHealthy && first?.kind === 'track';
  }

  /**
   * I6: a reload in a cluster in which nothing is wrong keeps the roles (docs/decisions/0027): of routers that are in both
   * files, and whose new group has one master, as have the new groups of whoever is tied to it by the earlier file or by this one.
   */
  #expectOf({ layout }: { readonly layout: number }): void {
    const { directors, scenario, file } = this.#world;
    const before = scenario.layouts[file.layout]?.groups ?? [];
    const present = new Set(before.flat());
    const alone = new Set(before.flatMap((group) => (group.length === 1 ? group : [])));
    const masterOf = (router: number) => directors.find((d) => d.isMaster(router));
    const groups = scenario.layouts[layout]?.groups ?? [];
    const kept = groups.map((group) => group.filter((router) => present.has(router)));
    const after = new Set(groups.flat());
    const staying = before.map((group) => group.filter((router) => after.has(router)));
    const ofOneMaster = kept.filter((group) => new Set(group.map(masterOf)).size === 1);
    // Where a member is handed over, hosts with the earlier file take its whole group, and what that is in one group with yields.
    this.#keepsRole = untouched(new Set(ofOneMaster.flat()), [...kept, ...staying]);
    this.#keepsHolder = this.#keepsRole;
    this.#wasAlone = new Set(groups.filter((group) => group.every((router) => alone.has(router))).flat());
  }

  /** Whether the operator's file has it. */
  #isWanted(router: number): boolean {
    const { scenario, file } = this.#world;
    return scenario.layouts[file.layout]?.groups.some((group) => group.includes(router)) === true;
  }

  /** I7 asks for a director that can take over what is handed over. */
  #hasSuccessors({ faults }: Round): boolean {
    const leaves = (d: Director) =>
      faults.some((fault) => 'director' in fault && fault.director === d.number);
    const isServed = (router: number) => this.#candidates(router).some((d) => !leaves(d));
    return this.#routers.every((_, router) => !this.#isWanted(router) || isServed(router));
  }

  roundEnds(round: Round): void {
    const number = this.#round;
    this.#isUndisturbed = [...this.#kinds].every((kind) => SOON_OVER.has(kind));
    const settleMs = round.untilMs + this.#world.bounds.settleMs(this.#kinds);
    this.#world.at(settleMs, () => {
      if (this.#round !== number) return;
      this.#checkSettled(`${(settleMs - round.untilMs).toFixed(0)} ms after the last fault`);
      this.#settled = true;
    });
  }

  finish(): void {
    if (this.#settled) this.#checkSettled('at the end');
  }

  // ---- I1, I2, I3, I5 by what the kernels hold ----

  heldChanged(director: Director, router: number): void {
    const view = this.#routers[router];
    if (view === undefined) return;
    const bit = 1 << director.number;
    const before = view.holders;
    view.holders = director.held[router] === 0 ? before & ~bit : before | bit;
    if (view.holders === before) return;
    if (this.#world.tracing) {
      this.#world.trace(
        director.number,
        `r${router} ${director.held[router] === 0 ? 'gone from' : 'in'} the kernel`,
      );
    }
    if (this.#settled) this.#fail('I6', `r${router} changes hands in a quiet phase`);
    if (this.#keepsHolder.has(router)) this.#fail('I6', `r${router} changes hands for nothing`);
    const now = this.#world.nowMs;
    const many = (view.holders & (view.holders - 1)) !== 0;
    if (!many) view.overlapSinceMs = Number.NaN;
    else if (Number.isNaN(view.overlapSinceMs)) {
      view.overlapSinceMs = now;
      this.#watchOverlap(router, now);
    }
    if (view.holders !== 0) view.gapSinceMs = Number.NaN;
    else {
      view.gapSinceMs = now;
      if (this.#planned && this.#mustStay(router)) this.#watchGap(router, now);
    }
  }

  /** I1. Excuses: a fault of the segment, or of a paused process until its guardian must have acted. */
  #watchOverlap(router: number, sinceMs: number): void {
    const { bounds } = this.#world;
    const allowedMs = (): number => {
      const awaitedMs = this.#mayAwaitOthers(router) ? bounds.disagreementMs : 0;
      return Math.max(
        sinceMs + bounds.overlapMs + awaitedMs,
        this.#segmentFaultUntilMs + bounds.healMs + awaitedMs,
        this.#holdExcuseUntilMs + bounds.overlapMs,
      );
    };
    const check = (): void => {
      if (this.#routers[router]?.overlapSinceMs !== sinceMs) return;
      const until = allowedMs();
      if (until > this.#world.nowMs) this.#world.at(until, check);
      else {
        const ms = (this.#world.nowMs - sinceMs).toFixed(1);
        this.#fail('I1', `r${router} is held by ${this.#holders(router)} for ${ms} ms`);
      }
    };
    this.#world.at(allowedMs(), check);
  }

  /**
   * While the hosts' groups differ, a member may be taken over later than the others, or be taken along by a third director
   * that has made a group of what was alone (docs/decisions/0035).
   */
  #mayAwaitOthers(router: number): boolean {
    if (!this.#kinds.has('regroup')) return false;
    if (!this.#wasAlone.has(router)) return true;
    return this.#world.directors.length > 2 && !this.#keepsRole.has(router);
  }

  /**
   * I7: of a reload that regroups, where no group is torn apart that somebody else may take a part of. What was alone has
   * nothing that could be torn apart, but a third director may take it from a group that another one has made of it already.
   */
  #mustStay(router: number): boolean {
    if (!this.#kinds.has('regroup') || this.#keepsRole.has(router)) return true;
    return this.#world.directors.length === 2 && this.#wasAlone.has(router);
  }

  /** I7. */
  #watchGap(router: number, sinceMs: number): void {
    const number = this.#round;
    const { plannedGapMs } = this.#world.bounds;
    this.#world.at(sinceMs + plannedGapMs, () => {
      const view = this.#routers[router];
      if (view === undefined || view.gapSinceMs !== sinceMs || this.#round !== number) return;
      if (this.#candidates(router).length === 0 || !this.#isWanted(router)) return;
      this.#fail('I7', `r${router} has no holder ${plannedGapMs.toFixed(1)} ms after a planned hand-over`);
    });
  }

  #holders(router: number): string {
    const holders = this.#world.directors.filter((d) => d.held[router] !== 0).map((d) => `d${d.number}`);
    return holders.length === 0 ? 'nobody' : holders.join(' and ');
  }

  #candidates(router: number): Director[] {
    const { routers } = this.#world.scenario;
    return this.#world.directors.filter(
      (d) =>
        d.process === 'running' &&
        !d.stopping &&
        d.groupOf(router)?.every((member) => d.canSpeak(routers[member]?.segment ?? 0)) === true &&
        !this.#isTrackFault(d),
    );
  }

  #isTrackFault(director: Director): boolean {
    return this.#world.scenario.track.some((use) => use.weight === undefined && director.isDown(use.object));
  }

  /** RFC 9568 section 6.1 with what weighs on it: reckoned here from the scenario, not taken from the machine. */
  #worth(director: Director, router: number): number {
    const { priority } = director.config(router);
    if (director.maintenances > 0) return 1;
    if (priority === 255) return 255;
    let sum = priority;
    for (const { object, weight = 0 } of this.#world.scenario.track) {
      if (weight < 0 === director.isDown(object)) sum += weight;
    }
    return Math.max(1, Math.min(254, sum));
  }

  /** I2, I3, I5 and I8 in a cluster that has had its time. */
  #checkSettled(when: string): void {
    this.#routers.forEach((view, router) => {
      const candidates = this.#candidates(router);
      const masters = this.#world.directors.filter((d) => d.isMaster(router));
      const named = masters.map((d) => `d${d.number}`).join(' and ') || 'nobody';
      if (masters.length !== Math.min(1, candidates.length)) {
        return this.#fail('I2', `${named} is master of r${router} ${when}`);
      }
      const [master] = masters;
      if (master !== undefined && !candidates.includes(master)) {
        this.#fail('I5', `d${master.number} is master of r${router} ${when} and must be in fault`);
      }
      if (master === undefined) {
        if (view.holders !== 0)
          this.#fail('I5', `r${router} is held by ${this.#holders(router)} without a master`);
        return;
      }
      this.#checkMaster(view, router, master, candidates, when);
    });
  }

  #checkMaster(
    view: RouterView,
    router: number,
    master: Director,
    candidates: Director[],
    when: string,
  ): void {
    const config = master.config(router);
    const best = Math.max(...candidates.map((d) => this.#worth(d, router)));
    const preempts = config.preempt.mode !== 'never' || best === 255;
    if (preempts && this.#worth(master, router) < best) {
      this.#fail('I2', `d${master.number} is master of r${router} ${when}, a stronger one is ready`);
    }
    const whole = master.maskOf(router, config.addresses);
    if (view.holders !== 1 << master.number || master.held[router] !== whole) {
      this.#fail(
        'I2',
        `d${master.number} is master of r${router}, its addresses are with ${this.#holders(router)}`,
      );
    }
    // Of a master whose advertisements all got lost the survivor knows nothing.
    const knownMs = this.#world.nowMs - (view.contradictedMs[master.number] ?? Number.NaN);
    if (view.lastAnnouncer !== master.number && knownMs > this.#world.bounds.announceMs) {
      this.#fail('I3', `d${view.lastAnnouncer} announced r${router} last, d${master.number} is master`);
    }
    const last = this.#speech[master.number]?.lastMs[router] ?? Number.NaN;
    const gapMs = this.#world.nowMs - last;
    if (gapMs > this.#world.bounds.advertisementGapMs(config.advertisementIntervalMs)) {
      this.#fail('I8', `master d${master.number} of r${router} is silent for ${gapMs.toFixed(1)} ms`);
    }
  }

  /** I3: only a master announces, and it announces again when it learns of another one that did. */
  announced(director: Director, router: number): void {
    const view = this.#routers[router];
    if (view === undefined) return;
    if (!director.isMaster(router))
      this.#fail('I3', `d${director.number} announces r${router} and is no master`);
    view.lastAnnouncer = director.number;
    view.lastAnnouncedMs = this.#world.nowMs;
    view.contradictedMs.fill(Number.NaN);
  }

  hears(director: Director, packet: Packet, receivedAtMs: number): void {
    this.#remember(director, packet, receivedAtMs);
    const view = this.#routers[packet.router];
    if (view === undefined || view.lastAnnouncer !== packet.from) return;
    if (packet.sentMs < view.lastAnnouncedMs) return;
    const known = view.contradictedMs[director.number] ?? Number.NaN;
    if (Number.isNaN(known)) view.contradictedMs[director.number] = this.#world.nowMs;
  }

  #remember(director: Director, { router, advertisement, source }: Packet, receivedAtMs: number): void {
    const heard = this.#heard[director.number]?.[router];
    if (heard === undefined) return;
    if (advertisement.priority === 0) {
      // A group is left as a whole, also where a reload dissolves it before the next one is due.
      for (const member of director.companions(router) ?? [router]) {
        const other = this.#heard[director.number]?.[member];
        if (other !== undefined) other.farewellMs = receivedAtMs;
        const departures = this.#departuresOf(director, member);
        departures.untilMs = receivedAtMs + Math.min(OVERTAKEN_MS, this.#world.bounds.intervalMs);
        departures.ignored.clear();
      }
      return;
    }
    const own = director.instance(router)?.priority ?? 0;
    heard.atMs = receivedAtMs;
    heard.intervalMs = advertisement.advertisementIntervalMs;
    heard.priority = advertisement.priority;
    heard.peak = Math.max(advertisement.priority, source === heard.source ? heard.peak : 0);
    heard.source = source;
    const wasWeaker = !Number.isNaN(heard.weakerSinceMs);
    if (advertisement.priority >= own) heard.weakerSinceMs = Number.NaN;
    else if (!wasWeaker) {
      heard.weakerSinceMs = receivedAtMs;
      if (heard.peak >= own) this.#watchRight(director, router);
    }
  }

  // ---- preemption and the connection table ----

  /** A word of the services process, said at `saidMs`, reaches the election. */
  isTold(director: Director, complete: boolean, saidMs: number): void {
    const word = this.#words[director.number];
    const isComplete = this.#isComplete[director.number];
    const voidMs = this.#voidMs[director.number];
    if (word === undefined || isComplete === undefined || voidMs === undefined) return;
    if (word.complete !== complete) word.changes += 1;
    word.complete = complete;
    for (const router of isComplete.keys()) {
      if (saidMs < (voidMs[router] ?? 0)) continue;
      // What a master's table lacks nobody has.
      if (complete || !director.isMaster(router)) isComplete[router] = complete;
      if (complete) this.#watchRight(director, router);
    }
  }

  #mayPreempt(director: Director, { config, priority }: InstanceState, heard: Heard, nowMs: number): boolean {
    const { preempt } = config;
    if (heard.priority >= priority || preempt.mode === 'never') return false;
    const weakerMs = nowMs - heard.weakerSinceMs + ROUNDING_MS;
    if (weakerMs < preempt.delayMs) return false;
    if (preempt.mode === 'always' || weakerMs >= preempt.atMostMs) return true;
    return this.#isComplete[director.number]?.[routerOf(config.name)] === true || heard.peak >= priority;
  }

  /**
   * I2: who has the right to preempt a master that it hears, or gets it when the delay is over, uses it, while nothing else
   * happens.
   */
  #watchRight(director: Director, router: number): void {
    if (!this.#isUndisturbed) return;
    const { bounds, nowMs } = this.#world;
    const { life } = director;
    const round = this.#round;
    const changes = this.#words[director.number]?.changes;
    const group = director.groupOf(router) ?? [];
    const localMs = director.localMs(nowMs);
    const weakerSinceMs = new Map<number, number>();
    let leftMs = 0;
    for (const member of group) {
      const one = director.instance(member);
      const heard = this.#heard[director.number]?.[member];
      if (heard !== undefined) weakerSinceMs.set(member, heard.weakerSinceMs);
      if (one?.state !== 'backup' || heard === undefined || one.config.preempt.mode === 'never') return;
      // NaN where it hears none that is weaker.
      if (!(heard.weakerSinceMs <= localMs)) return;
      if (localMs - heard.atMs >= SILENT_INTERVALS * heard.intervalMs) return;
      const endMs = heard.weakerSinceMs + one.config.preempt.delayMs;
      leftMs = Math.max(leftMs, endMs - localMs);
      if (!this.#mayPreempt(director, one, heard, localMs + leftMs)) return;
    }
    this.#world.at(nowMs + leftMs * bounds.stretch + bounds.preemptMs, () => {
      if (this.#round !== round || director.life !== life || director.isMaster(router)) return;
      if (!this.#isUndisturbed || this.#words[director.number]?.changes !== changes) return;
      const candidates = this.#candidates(router);
      const worth = this.#worth(director, router);
      const isBest = candidates.every((one) => one === director || this.#worth(one, router) < worth);
      if (!candidates.includes(director) || !isBest) return;
      // The right was to another master, whose last word it heard.
      const isRight = group.every((member) => {
        const one = director.instance(member);
        const heard = this.#heard[director.number]?.[member];
        if (one === undefined || heard === undefined) return false;
        // One that was lost and came again is another, with another delay.
        if (heard.weakerSinceMs !== weakerSinceMs.get(member)) return false;
        return this.#mayPreempt(director, one, heard, director.localMs(this.#world.nowMs));
      });
      if (!isRight) return;
      this.#fail('I2', `d${director.number} may preempt r${router} and does not`);
    });
  }

  /** A session of its with the master expires: it need not wait for silence (docs/decisions/0040). */
  loses(director: Director, router: number): void {
    const heard = this.#heard[director.number]?.[router];
    if (heard !== undefined) heard.atMs = Number.NEGATIVE_INFINITY;
  }

  #departuresOf(director: Director, router: number): Departures {
    const departures = this.#departures[director.number]?.[router];
    if (departures === undefined) throw new RangeError(`no router ${router}`);
    return departures;
  }

  /** I6: who stood still for longer than Master_Down_Interval listens before it speaks. */
  #checkListened(director: Director, before: GroupState, group: GroupView): void {
    // What joins a master is what that is: of a master's own silence the machine takes care (docs/decisions/0027).
    if (before.instances.some(({ state }) => state === 'master')) return;
    const { pausedSinceMs, awakeSinceMs } = director;
    // By the longest skew: the priority may have changed since the timer was set.
    const downs = group.state.instances.map(({ config }) => {
      const heardMs = this.#heard[director.number]?.[routerOf(config.name)]?.intervalMs ?? 0;
      return MASTER_DOWN_INTERVALS * Math.max(config.advertisementIntervalMs, heardMs);
    });
    const stoodMs = awakeSinceMs - pausedSinceMs;
    // An address owner waits for nobody. A timer may be late by once its length: a busy host is no frozen one.
    if (group.state.instances.some((one) => one.priority === 255)) return;
    if (pausedSinceMs >= awakeSinceMs || stoodMs * director.plan.clockRate <= 2 * Math.max(...downs)) return;
    if (this.#world.nowMs > awakeSinceMs) return;
    // What it found in its receive buffer may be young enough to go by.
    const now = director.localMs(this.#world.nowMs);
    const received = this.#heard[director.number] ?? [];
    const newestMs = Math.max(...received.map(({ atMs, farewellMs }) => Math.max(atMs, farewellMs)));
    if (now - newestMs <= 2 * Math.max(...downs)) return;
    this.#fail('I6', `d${director.number} goes master in the moment it wakes after ${stoodMs.toFixed(0)} ms`);
  }

  /** I6: nobody takes the role from a master that it hears, unless it may preempt it by now. */
  #checkTakeover(director: Director, before: GroupState, nowMs: number): void {
    // A group that is master may be joined by others.
    const members = before.instances.filter(({ state }) => state !== 'master');
    const heardOf = ({ config }: InstanceState) =>
      this.#heard[director.number]?.[routerOf(config.name)] ?? nothingHeard();
    const down =
      MASTER_DOWN_INTERVALS *
      Math.max(
        ...members.map((one) => Math.max(one.config.advertisementIntervalMs, heardOf(one).intervalMs)),
      );
    // A group is left as a whole: a farewell on one instance is one on all.
    if (members.some((one) => nowMs - heardOf(one).farewellMs <= down)) return;
    for (const one of members) {
      const heard = heardOf(one);
      if (nowMs - heard.atMs >= SILENT_INTERVALS * heard.intervalMs - ROUNDING_MS) continue;
      if (one.priority === 255) continue;
      if (this.#mayPreempt(director, one, heard, nowMs)) continue;
      const age = (nowMs - heard.atMs).toFixed(1);
      this.#fail(
        'I6',
        `d${director.number} takes ${one.config.name} from a master of priority ${heard.priority} heard ${age} ms ago`,
      );
    }
  }

  /** I6: what lies unread in the receive queue may be the master's. */
  #checkUnread(director: Director, group: GroupView): void {
    // RFC 9568 section 6.4.1: an address owner waits for nobody, so it need not read first.
    if (group.state.instances.some((one) => one.priority === 255)) return;
    const unread = director.unreadOf(group);
    if (unread > 0) this.#fail('I6', `d${director.number} goes master with ${unread} packets unread`);
  }

  /** I2: of two masters the stronger one stays (RFC 9568 section 6.4.3), unless it was silent too long. */
  #checkYield(
    director: Director,
    before: GroupState,
    input: GroupInput,
    effects: GroupStep['effects'],
    nowMs: number,
  ): void {
    if (input.type !== 'advertisement') return;
    const was = before.instances.find((one) => one.config.name === input.instance);
    if (was?.state !== 'master' || before.phase !== 'running') return;
    const router = routerOf(input.instance);
    const order = input.advertisement.priority - was.priority || director.compareSource(router, input.source);
    // A group that stood still yields as a whole.
    const spokenMs = nowMs - Math.min(...before.instances.map((one) => one.spokeAtMs));
    if (spokenMs > SILENT_INTERVALS * was.config.advertisementIntervalMs) return;
    if (order <= 0)
      this.#fail('I2', `master d${director.number} yields ${input.instance} to the weaker ${input.source}`);
    // Or the stronger one may never know that it has to announce again.
    if (!effects.some((one) => one.type === 'send' && one.instance === input.instance && one.priority > 0))
      this.#fail('I3', `master d${director.number} yields ${input.instance} without a word`);
  }

  // ---- I5 by processes ----

  /** Everything is off in the kernel when the process left in good order, and soon after its guardian acted. */
  processEnded(director: Director, inGoodOrder: boolean): void {
    this.#forgetSpeech(director);
    this.#words[director.number] = { complete: false, changes: 0 };
    this.#isComplete[director.number]?.fill(false);
    const { life } = director;
    const { bounds } = this.#world;
    const afterMs = inGoodOrder ? 0 : bounds.holdMs + bounds.reactionMs;
    this.#world.at(this.#world.nowMs + afterMs, () => {
      if (director.life !== life) return;
      const router = director.held.findIndex((held) => held !== 0);
      if (router >= 0) this.#fail('I5', `d${director.number} is not there any more and holds r${router}`);
    });
  }

  /** The address that it speaks from came or went: it is silent for as long as that takes. */
  silenced(director: Director): void {
    this.#forgetSpeech(director);
  }

  /** I5: a virtual address that comes before the address to speak from would take its place as the first of the interface. */
  addsBeforeSource(director: Director, device: string): void {
    this.#fail(
      'I5',
      `d${director.number} adds an address to ${device}, which has lost the one to speak from`,
    );
  }

  /** A whole host that stands still: its speech is forgotten, its addresses stay. */
  stoodStill(director: Director): void {
    this.#forgetSpeech(director);
  }

  /** A process that hangs is withdrawn by its guardian: lease, then hold. */
  paused(director: Director): void {
    this.#forgetSpeech(director);
    this.#excusePause(director.number);
    const { life, pausedSinceMs } = director;
    const { bounds } = this.#world;
    this.#world.at(pausedSinceMs + bounds.leaseMs + bounds.holdMs + bounds.reactionMs, () => {
      if (director.life !== life || director.process !== 'paused') return;
      if (director.pausedSinceMs !== pausedSinceMs) return;
      const router = director.held.findIndex((held) => held !== 0);
      if (router >= 0) this.#fail('I5', `d${director.number} hangs beyond its lease and holds r${router}`);
    });
  }

  /** An instance that let go of its role has let go of its addresses one piece of address work later. */
  #watchRelease(director: Director, router: number): void {
    const { life } = director;
    const since = this.#world.nowMs;
    const check = (): void => {
      if (director.life !== life || director.process !== 'running' || director.isMaster(router)) return;
      const fromMs = Math.max(since, director.awakeSinceMs) + this.#world.bounds.releaseMs;
      if (fromMs > this.#world.nowMs) return this.#world.at(fromMs, check);
      // Roles may change faster than the kernel works: what stands in line is on its way.
      if (director.isWorking(router)) {
        this.#world.at(this.#world.nowMs + this.#world.bounds.releaseMs, check);
        return;
      }
      if (director.held[router] !== 0)
        this.#fail('I5', `d${director.number} is no master of r${router} and holds it`);
    };
    this.#world.at(since + this.#world.bounds.releaseMs, check);
  }

  // ---- I8 ----

  sends(director: Director, router: number, priority: number): void {
    const instance = director.instance(router);
    if (priority === 0) {
      // After a farewell a master is silent until its successor spoke.
      const speech = this.#speech[director.number];
      if (speech !== undefined) speech.lastMs[router] = Number.NaN;
      this.#farewell(router);
      return;
    }
    if (instance?.state !== 'master') {
      // It was said in the step in which it yielded.
      if (this.#lastWords.delete(lastWordKey(director, router))) return;
      this.#fail('I8', `d${director.number} advertises r${router} as ${instance?.state}`);
    }
    const { lastMs, intervalMs } = this.#speech[director.number] ?? { lastMs: [], intervalMs: [] };
    const gapMs = this.#world.nowMs - (lastMs[router] ?? Number.NaN);
    const interval = director.config(router).advertisementIntervalMs;
    if (gapMs > this.#world.bounds.advertisementGapMs(Math.max(interval, intervalMs[router] ?? 0))) {
      this.#fail('I8', `master d${director.number} of r${router} was silent for ${gapMs.toFixed(1)} ms`);
    }
    intervalMs[router] = interval;
    lastMs[router] = this.#world.nowMs;
    this.#checkStorm(director, router, interval);
  }

  /** I9. */
  storm(events: number): void {
    this.#fail('I9', `${events} events are under way`);
  }

  /** I8: answers that are answered at once would fill the segment. */
  #checkStorm(director: Director, router: number, intervalMs: number): void {
    const speech = this.#speech[director.number];
    if (speech === undefined) return;
    const sinceMs = speech.windowMs[router] ?? 0;
    if (this.#world.nowMs - sinceMs > intervalMs) {
      speech.windowMs[router] = this.#world.nowMs;
      speech.sent[router] = 0;
    }
    const sent = (speech.sent[router] ?? 0) + 1;
    speech.sent[router] = sent;
    if (sent > MAX_ADVERTISEMENTS) {
      this.#fail('I8', `d${director.number} advertises r${router} ${sent} times in one interval`);
    }
  }

  /** I1: make before break twice. Two that hand over at once each keep the addresses for their hold. */
  #farewell(router: number): void {
    const view = this.#routers[router];
    if (view === undefined) return;
    const untilMs = this.#world.nowMs + this.#world.bounds.holdMs;
    if (this.#world.nowMs < view.handOverUntilMs) {
      this.#holdExcuseUntilMs = Math.max(this.#holdExcuseUntilMs, untilMs);
    }
    view.handOverUntilMs = untilMs + this.#world.bounds.overlapMs;
  }

  #forgetSpeech(director: Director): void {
    this.#speech[director.number]?.lastMs.fill(Number.NaN);
  }

  // ---- I4, I6, I9 at every step ----

  /** What starts from scratch has heard nothing. */
  begins(director: Director, { state }: GroupView): void {
    const heard = this.#heard[director.number];
    if (heard === undefined) return;
    const isComplete = this.#isComplete[director.number] ?? [];
    const routers = (among: readonly InstanceState[]) => among.map(({ config }) => routerOf(config.name));
    const isFresh = (one: InstanceState) => one.state === 'initialize';
    const continuing = routers(state.instances.filter((one) => !isFresh(one)));
    const word = this.#words[director.number]?.complete === true;
    // Of a router that is new to the file there is no connection that its group could lack (docs/decisions/0039).
    const knows = continuing.length === 0 ? word : continuing.every((one) => isComplete[one] === true);
    for (const router of routers(state.instances.filter(isFresh))) {
      heard[router] = nothingHeard();
      isComplete[router] = knows;
    }
  }

  /** I9: whatever it is given, the machine does not throw. */
  guarded(director: Director, step: () => GroupStep): GroupStep | undefined {
    this.#world.steps += 1;
    try {
      return step();
    } catch (error) {
      this.#fail(
        'I9',
        `the machine of d${director.number} throws ${error instanceof Error ? error.stack : String(error)}`,
      );
      return undefined;
    }
  }

  /** I9: nor does what runs it. */
  threw(director: Director, error: unknown): void {
    this.#fail(
      'I9',
      `the shell of d${director.number} throws ${error instanceof Error ? error.stack : String(error)}`,
    );
  }

  stepped(
    director: Director,
    group: GroupView,
    before: GroupState,
    input: GroupInput,
    result: GroupStep,
    nowMs: number,
  ): void {
    const { instances, phase } = result.state;
    const masters = instances.filter((one) => one.state === 'master').length;
    if (masters !== 0 && masters !== instances.length && !this.#handsOverWhatWasFormed(group)) {
      this.#fail(
        'I4',
        `${group.state.name} of d${director.number}: ${instances.map((i) => i.state).join(', ')}`,
      );
    }
    for (const effect of result.effects) {
      if (effect.type === 'role') {
        const router = routerOf(effect.instance);
        if (effect.to === 'master') {
          this.#checkTakeover(director, before, nowMs);
          this.#checkUnread(director, group);
          this.#checkListened(director, before, group);
        } else if (effect.from === 'master') this.#checkYield(director, before, input, result.effects, nowMs);
        this.#roleChanged(director, router, effect.from, effect.to);
        this.#tableChanged(director, before, input, effect, nowMs);
      }
      if ('instance' in effect && !instances.some((one) => one.config.name === effect.instance)) {
        this.#fail('I9', `an effect for ${effect.instance}, which is not in ${group.state.name}`);
      }
      if (effect.type === 'notice' && effect.notice.kind === 'paused') this.#stoodStill(director, before);
      if (effect.type === 'send') this.#checkSend(director, before, result, effect.instance, effect.priority);
    }
    if (input.type === 'advertisement') this.#checkAnswer(director, before, input, result);
    if (input.type === 'configure') this.#forgetSpeech(director);
    const idle = instances.every((one) => one.state === 'fault');
    if (phase === 'running' && !idle && !Number.isFinite(result.deadlineMs)) {
      this.#fail('I9', `${group.state.name} of d${director.number} runs and waits for nothing`);
    }
    if (Number.isNaN(result.deadlineMs))
      this.#fail('I9', `${group.state.name} of d${director.number}: deadline NaN`);
    if (input.type === 'deadline') this.#checkSpin(director, group, result.deadlineMs, nowMs);
  }

  /** A master has all; who was in fault or silent may have missed something. */
  #tableChanged(
    director: Director,
    before: GroupState,
    input: GroupInput,
    { instance: name, from, to }: GroupEffect & { type: 'role' },
    nowMs: number,
  ): void {
    const router = routerOf(name);
    const isComplete = this.#isComplete[director.number];
    const heard = this.#heard[director.number]?.[router];
    if (isComplete === undefined || heard === undefined) return;
    heard.peak = heard.priority;
    if (to === 'master') isComplete[router] = true;
    if (to === 'fault' || from === 'fault') this.#isVoid(director, router);
    if (to !== 'backup') return;
    const wasSilent = before.instances.some(({ config, spokeAtMs, state }) => {
      const silentMs = nowMs - spokeAtMs;
      const { advertisementIntervalMs: intervalMs } = config;
      if (state !== 'master') return false;
      if (input.type === 'advertisement' && input.instance === config.name)
        return input.receivedAtMs - spokeAtMs > SILENT_INTERVALS * intervalMs + ROUNDING_MS;
      return (
        before.phase === 'running' && silentMs > Math.max(MASTER_DOWN_INTERVALS * intervalMs, MIN_LEASE_MS)
      );
    });
    if (wasSilent) this.#isVoid(director, router);
  }

  /** Who stood still as backup may have missed something, too. A master's end is a change of its role. */
  #stoodStill(director: Director, { instances, name }: GroupState): void {
    if (instances.some(({ state }) => state === 'master')) return;
    const { pausedSinceMs, awakeSinceMs } = director;
    const { bounds, nowMs } = this.#world;
    if (!(pausedSinceMs < awakeSinceMs && nowMs - awakeSinceMs <= bounds.reactionMs))
      this.#fail('I6', `${name} of d${director.number} says that it stood still, and did not`);
    for (const { config } of instances) this.#isVoid(director, routerOf(config.name));
  }

  #isVoid(director: Director, router: number): void {
    const isComplete = this.#isComplete[director.number];
    const voidMs = this.#voidMs[director.number];
    if (isComplete !== undefined) isComplete[router] = false;
    if (voidMs !== undefined) voidMs[router] = this.#world.nowMs;
  }

  /** I4: what a reload formed of masters and backups hands over, and keeps no address longer for it (docs/decisions/0035). */
  #handsOverWhatWasFormed({ state, isFormed }: GroupView): boolean {
    return isFormed && (state.phase === 'handing-over' || state.phase === 'leaving');
  }

  /** I8: RFC 9568 section 6.4.3, a losing advertisement is answered at once. */
  #checkAnswer(
    director: Director,
    before: GroupState,
    input: GroupInput & { type: 'advertisement' },
    result: GroupStep,
  ): void {
    const isMaster = (one: InstanceState) => one.config.name === input.instance && one.state === 'master';
    const was = before.instances.find(isMaster);
    if (was === undefined || before.phase !== 'running' || !result.state.instances.some(isMaster)) return;
    const { priority } = input.advertisement;
    const router = routerOf(input.instance);
    if (priority > was.priority) return;
    if (priority === was.priority && director.compareSource(router, input.source) > 0) return;
    if (result.effects.some((effect) => effect.type === 'send' && effect.instance === input.instance)) return;
    // Taken for what was said before a farewell: if the sender lives, the next one is answered.
    const departures = this.#departuresOf(director, router);
    if (input.receivedAtMs < departures.untilMs && !departures.ignored.has(input.source)) {
      departures.ignored.add(input.source);
      return;
    }
    this.#fail('I8', `master d${director.number} does not answer ${priority} from ${input.source}`);
  }

  #checkSend(
    director: Director,
    before: GroupState,
    result: GroupStep,
    name: string,
    priority: number,
  ): void {
    const was = before.instances.find((one) => one.config.name === name)?.state;
    const is = result.state.instances.find((one) => one.config.name === name)?.state;
    const yields = was === 'master' && is === 'backup';
    if (priority > 0 && yields) this.#lastWords.add(lastWordKey(director, routerOf(name)));
    const right = priority === 0 ? was === 'master' : is === 'master' || yields;
    if (!right) this.#fail('I8', `d${director.number} sends ${priority} for ${name} as ${is}, before ${was}`);
  }

  #roleChanged(director: Director, router: number, from: string, to: string): void {
    if (this.#settled)
      this.#fail('I6', `r${router} of d${director.number}: ${from} -> ${to} in a quiet phase`);
    if (this.#keepsRole.has(router) && (from === 'master' || to === 'master'))
      this.#fail('I6', `r${router} of d${director.number}: ${from} -> ${to} for nothing`);
    const speech = this.#speech[director.number];
    if (speech !== undefined) speech.lastMs[router] = to === 'master' ? this.#world.nowMs : Number.NaN;
    if (from === 'master') this.#watchRelease(director, router);
    // In fault nobody listens: RFC 9568 section 6.4.1 starts from scratch.
    const heard = this.#heard[director.number];
    if (heard !== undefined && (from === 'fault' || from === 'initialize')) heard[router] = nothingHeard();
  }

  #checkSpin(director: Director, group: GroupView, deadlineMs: number, nowMs: number): void {
    const spin = this.#spins.get(group) ?? { atMs: Number.NEGATIVE_INFINITY, count: 0 };
    this.#spins.set(group, spin);
    if (deadlineMs > nowMs + NO_TIME_MS) spin.count = 0;
    else spin.count += 1;
    if (spin.count > MAX_SPINS) this.#fail('I9', `${group.state.name} of d${director.number} spins`);
  }
}

function lastWordKey(director: Director, router: number): string {
  return `${director.number} ${router}`;
}
