/** Draws an episode from its seed. */
import type { Preempt, TrackUse, VrrpInstance } from '../../../src/config/model.js';
import { Bounds, MIN_LEASE_MS } from './bounds.js';
import { DrawnExtras } from './draw-extras.js';
import type { Extra } from './extras.js';
import { Random } from './random.js';
import {
  type DirectorPlan,
  type Fault,
  type FaultKind,
  interfaceOf,
  type Round,
  type Router,
  type Scenario,
  TRACKED_OBJECT,
} from './scenario.js';

/** In one round. */
const STANDSTILLS = 4;
/** Then a master’s silence, with an interval before it, is below its Master_Down_Interval and its lease is not over. */
const ALL_STILL_OF_LEASE = 0.6;
const MAX_GROUPS = 3;
const MAX_GROUP_SIZE = 3;
const VARIANTS = 3;
/** Numbers of their own for what was added later: what is drawn before stays as it was. */
const CLOSE_CALLS_STREAM = 0xc105e;
/** Real crystals are within 200 ppm; a clock that is being slewed (adjtimex) runs up to 500 ppm off. */
const DRIFT_USUAL = 0.0002;
const DRIFT_EXTREME = 0.01;

interface Common {
  readonly version: 2 | 3;
  readonly intervalMs: number;
  readonly preempt: Preempt;
  readonly startupDelayMs: number;
}

/** What may last over the quiet phases of several rounds. */
const LASTING: ReadonlySet<FaultKind> = new Set(['crash', 'power', 'stop', 'link', 'track', 'maintenance']);
const MAX_LASTING_ROUNDS = 4;

/** What the faults of a round may be, and how often. */
const FAULT_WEIGHTS: readonly [readonly [number, FaultKind], ...(readonly [number, FaultKind])[]] = [
  [3, 'loss'],
  [2, 'delay'],
  [1, 'duplicate'],
  [4, 'partition'],
  [3, 'pause'],
  [2, 'crash'],
  [2, 'power'],
  [2, 'stop'],
  [2, 'link'],
  [1, 'refuse'],
  [1, 'steal'],
  [1, 'reload'],
  [2, 'track'],
  [1, 'maintenance'],
];

/** Draws episode number `episode` of `seed`, with none of `wanted` but what its own numbers give it. */
export function drawScenario(seed: number, episode: number, wanted: readonly Extra[]): Scenario {
  const extras = new DrawnExtras(seed, episode, wanted);
  const random = new Random(seed, episode);
  const intervalMs = drawInterval(random);
  const common = drawCommon(random, intervalMs);
  const segments = random.whole(1, 3);
  const directorCount = random.weighted([
    [6, 2],
    [3, 3],
    [1, 4],
    [1, 5],
  ]);
  const { routers, layouts } = extras.routers(drawRouters(random, segments), segments);
  const owner = random.chance(0.1) ? random.whole(0, directorCount - 1) : -1;
  const equal = random.chance(0.25);
  const base = random.whole(20, 220);
  const drift = random.chance(0.2) ? DRIFT_EXTREME : DRIFT_USUAL;
  const startSpreadMs = random.chance(0.5) ? 0 : 6 * intervalMs;
  const ownIntervals = common.version === 3 && random.chance(0.15);
  const directors: DirectorPlan[] = [];
  for (let d = 0; d < directorCount; d += 1) {
    const priority = d === owner ? 255 : equal && random.chance(0.7) ? base : random.whole(1, 254);
    const own = ownIntervals
      ? { ...common, intervalMs: stretchInterval(common, random.pick([0.5, 1, 2])) }
      : common;
    directors.push({
      clockRate: 1 + random.between(-drift, drift),
      clockOffsetMs: random.between(0, 1e6),
      startAtMs: random.between(0, startSpreadMs),
      socketQueue: random.pick([8, 64, 270]),
      variants: drawVariants(priority, own, routers),
    });
  }
  const workMost = Math.min(5, intervalMs / 8);
  const scenario = extras.equip({
    episode,
    track: drawTrack(random),
    segments,
    routers,
    layouts,
    directors,
    delayMs: random.between(0.02, Math.min(2, intervalMs / 20)),
    jitterMs: random.between(0, Math.min(2, intervalMs / 20)),
    addressWorkMs: random.between(workMost / 10, workMost),
    latenessMs: random.between(0.01, Math.min(1.5, intervalMs / 10)),
    hops: 0,
    comparisons: undefined,
    rounds: [],
    durationMs: 0,
  });
  const closeCalls = new Random(seed ^ CLOSE_CALLS_STREAM, episode);
  const rounds = drawRounds(random, scenario, startSpreadMs, extras);
  return extras.lastRounds(drawCloseCalls(closeCalls, rounds));
}

/** As often as makes the mean affordable; most virtual time goes to the long ones anyway. */
function drawInterval(random: Random): number {
  return random.weighted([
    [3, 10],
    [2, 10 * random.whole(2, 9)],
    [6, 100],
    [4, 10 * random.whole(11, 99)],
    [14, 1000],
    [13, 1000 * random.whole(2, 5)],
    [8, 10 * random.whole(500, 4000)],
  ]);
}

function drawCommon(random: Random, intervalMs: number): Common {
  const whole = intervalMs % 1000 === 0;
  const delayed = random.between(0, 30) * intervalMs;
  return {
    version: whole && random.chance(0.2) ? 2 : 3,
    intervalMs,
    preempt: random.weighted<Preempt>([
      [5, { mode: 'never' }],
      [4, { mode: 'always', delayMs: 0 }],
      [2, { mode: 'always', delayMs: Math.round(delayed) }],
    ]),
    startupDelayMs: random.chance(0.15) ? Math.round(random.between(0, 10) * intervalMs) : 0,
  };
}

/** One object for all groups: down, it is a fault or it weighs. */
function drawTrack(random: Random): TrackUse[] {
  const use = random.weighted<number | undefined | 'none'>([
    [3, 'none'],
    [2, undefined],
    [2, -random.whole(1, 253)],
    [1, random.whole(1, 253)],
  ]);
  return use === 'none' ? [] : [{ object: TRACKED_OBJECT, weight: use }];
}

function stretchInterval({ intervalMs }: Common, factor: number): number {
  return Math.max(10, Math.min(40_950, Math.round((intervalMs * factor) / 10) * 10));
}

function drawRouters(random: Random, segments: number): { routers: Router[]; groups: number[][] } {
  const routers: Router[] = [];
  const groups: number[][] = [];
  const count = random.weighted([
    [6, 1],
    [2, 2],
    [1, MAX_GROUPS],
  ]);
  for (let g = 0; g < count; g += 1) {
    const size = random.weighted([
      [5, 1],
      [3, 2],
      [1, MAX_GROUP_SIZE],
    ]);
    const members: number[] = [];
    for (let k = 0; k < size; k += 1) {
      const number = routers.length;
      members.push(number);
      const addresses = Array.from({ length: random.whole(1, 3) }, (_, i) => `198.51.${number + 1}.${i + 1}`);
      routers.push({ name: `r${number}`, segment: random.whole(0, segments - 1), addresses });
    }
    groups.push(members);
  }
  return { routers, groups };
}

/** Variant 0, one with the last address gone and another priority, and one that differs in its interval. */
function drawVariants(priority: number, common: Common, routers: readonly Router[]): VrrpInstance[][] {
  const variants: VrrpInstance[][] = [];
  for (let variant = 0; variant < VARIANTS; variant += 1) {
    const changed =
      variant === 2 && common.version === 3
        ? { ...common, intervalMs: stretchInterval(common, 0.5) }
        : common;
    const other = variant === 1 && priority < 200 ? priority + 50 : priority;
    variants.push(
      routers.map((router, number) => {
        const texts = variant === 1 ? router.addresses.slice(0, -1) : router.addresses;
        return instanceOf(router, number, other, changed, texts.length > 0 ? texts : router.addresses);
      }),
    );
  }
  return variants;
}

function instanceOf(
  router: Router,
  number: number,
  priority: number,
  common: Common,
  texts: readonly string[],
): VrrpInstance {
  const interfaceName = interfaceOf(router.segment);
  return {
    name: router.name,
    interface: interfaceName,
    version: common.version,
    family: 'ipv4',
    virtualRouterId: number + 1,
    priority,
    advertisementIntervalMs: common.intervalMs,
    preempt: common.preempt,
    startupDelayMs: common.startupDelayMs,
    acceptMode: true,
    virtualMacInterface: undefined,
    transport: { kind: 'multicast' },
    checksum: 'rfc5798',
    addresses: texts.map((address) => ({ address, prefixLength: 32, interface: interfaceName })),
    advertised: texts,
    routes: [],
    rules: [],
    announcing: { repeatMs: [100, 1000, 5000], refreshMs: undefined },
    track: [],
  };
}

/** Rounds of faults with quiet between them. Small intervals get more rounds: they are cheap in virtual time. */
function drawRounds(
  random: Random,
  scenario: Scenario,
  startSpreadMs: number,
  extras: DrawnExtras,
): Scenario {
  const bounds = new Bounds(scenario);
  const unitMs = bounds.intervalMs;
  const count = unitMs < 50 ? 25 : unitMs < 500 ? 12 : 6;
  const rounds: Round[] = [];
  let nowMs = 0;
  const starting: Round = {
    atMs: 0,
    untilMs: startSpreadMs,
    faults: [],
    planned: false,
    calm: false,
    quietUntilMs: startSpreadMs + bounds.settleMs(new Set(['stop'])) + random.between(2, 30) * unitMs,
  };
  rounds.push(starting);
  nowMs = starting.quietUntilMs;
  for (let i = 0; i < count; i += 1) {
    const planned = random.chance(0.2);
    const lengthMs = random.between(3, 25) * unitMs + random.between(0, 500);
    const faults = planned
      ? [drawPlanned(random, scenario, nowMs, lengthMs)]
      : [...drawFaults(random, scenario, nowMs, lengthMs), ...extras.faults(scenario, nowMs, lengthMs)];
    const untilMs = nowMs + lengthMs;
    const round = { atMs: nowMs, untilMs, faults, planned, calm: false };
    rounds.push({ ...round, quietUntilMs: untilMs });
    // The bound needs the faults of this round, the length of the round needs the bound.
    const kinds = new Set(rounds.flatMap((round) => round.faults).map((fault) => fault.kind));
    const settled = new Bounds({ ...scenario, rounds }).settleMs(kinds);
    const quietUntilMs = untilMs + settled + random.between(5, 50) * unitMs;
    rounds[rounds.length - 1] = { ...round, quietUntilMs };
    nowMs = quietUntilMs;
  }
  return { ...scenario, rounds: prolong(random, rounds), durationMs: nowMs };
}

/** Lets conditions last beyond their round: the cluster must settle with a director off, in fault or maintained. */
function prolong(random: Random, rounds: readonly Round[]): Round[] {
  const disturbed = new Set<number>();
  const longer = rounds.map((round, number) => {
    const faults = round.faults.map((fault) => {
      if (!LASTING.has(fault.kind) || !random.chance(0.3)) return fault;
      const until = random.whole(number + 1, number + MAX_LASTING_ROUNDS);
      disturbed.add(until);
      return { ...fault, untilMs: rounds[until]?.untilMs ?? Number.POSITIVE_INFINITY };
    });
    return { ...round, faults };
  });
  return longer.map((round, number) => ({ ...round, planned: round.planned && !disturbed.has(number) }));
}

function drawPlanned(random: Random, scenario: Scenario, atMs: number, lengthMs: number): Fault {
  const director = random.whole(0, scenario.directors.length - 1);
  const kind = random.pick<'stop' | 'maintenance'>(['stop', 'maintenance']);
  return { kind, director, atMs, untilMs: atMs + lengthMs, afterSpeech: false };
}

/** Rounds at the end: a farewell close behind an advertisement, and hosts that stand still. */
function drawCloseCalls(random: Random, scenario: Scenario): Scenario {
  const bounds = new Bounds(scenario);
  const unitMs = bounds.intervalMs;
  const rounds = [...scenario.rounds];
  const kinds = new Set(rounds.flatMap((round) => round.faults).map((fault) => fault.kind));
  let nowMs = scenario.durationMs;
  const count = unitMs < 500 ? 4 : 2;
  for (let i = 0; i < count; i += 1) {
    const calm = i % 2 === 0;
    const faults = calm
      ? drawStandstills(random, scenario, nowMs, unitMs)
      : [drawSpokenFarewell(random, scenario, nowMs, unitMs)];
    const untilMs = Math.max(...faults.map((fault) => fault.untilMs));
    const quietUntilMs = untilMs + bounds.settleMs(kinds) + random.between(5, 20) * unitMs;
    rounds.push({ atMs: nowMs, untilMs, faults, planned: !calm, calm, quietUntilMs });
    nowMs = quietUntilMs;
  }
  return { ...scenario, rounds, durationMs: nowMs };
}

function drawSpokenFarewell(random: Random, scenario: Scenario, atMs: number, unitMs: number): Fault {
  const director = random.whole(0, scenario.directors.length - 1);
  const untilMs = atMs + random.between(3, 25) * unitMs;
  const kind = random.pick<'stop' | 'maintenance'>(['stop', 'maintenance']);
  return { kind, director, atMs, untilMs, afterSpeech: true };
}

/** Backups for as long as it may be; all at once so shortly that no master was silent for too long when it ends. */
function drawStandstills(random: Random, { directors }: Scenario, fromMs: number, unitMs: number): Fault[] {
  const least = Math.min(
    ...directors.flatMap(({ variants }) => variants.flat().map((one) => one.advertisementIntervalMs)),
  );
  const mostMs = ALL_STILL_OF_LEASE * Math.max(MIN_LEASE_MS, 3 * least);
  const faults: Fault[] = [];
  let atMs = fromMs;
  for (let i = 0; i < STANDSTILLS; i += 1) {
    const who = random.pick<'all' | 'backups'>(['all', 'backups']);
    const lengthMs =
      who === 'all' ? Math.min(mostMs, random.between(0.2, 6) * unitMs) : random.between(0.2, 8) * unitMs;
    const keeps = random.chance(0.5);
    atMs += random.between(0, 1) * unitMs;
    faults.push({ kind: 'freeze', who, keeps, atMs, untilMs: atMs + lengthMs });
    // Then the master is heard again, and whoever listens anew has done so.
    atMs += lengthMs + 9 * unitMs;
  }
  return faults;
}

function drawFaults(random: Random, scenario: Scenario, atMs: number, lengthMs: number): Fault[] {
  const count = random.whole(1, 5);
  const faults: Fault[] = [];
  for (let i = 0; i < count; i += 1) {
    const begin = atMs + random.unit() * lengthMs * 0.8;
    const end = random.chance(0.4) ? atMs + lengthMs : random.between(begin, atMs + lengthMs);
    faults.push(...drawFault(random, scenario, begin, end));
  }
  return faults;
}

function drawFault(random: Random, scenario: Scenario, atMs: number, untilMs: number): Fault[] {
  const span = { atMs, untilMs };
  const unitMs = scenario.directors[0]?.variants[0]?.[0]?.advertisementIntervalMs ?? 1000;
  const director = random.whole(0, scenario.directors.length - 1);
  const segment = random.whole(0, scenario.segments - 1);
  const kind = random.weighted(FAULT_WEIGHTS);
  switch (kind) {
    case 'loss':
    case 'duplicate':
      return [{ ...span, kind, segment, probability: random.pick([0.05, 0.3, 0.6, 0.95]) }];
    case 'delay':
      return [{ ...span, kind, segment, extraMs: random.magnitude(0.05, 4) * unitMs }];
    case 'partition':
      return drawPartition(random, scenario, span, director, segment);
    case 'pause': {
      // From a hiccup to longer than every lease.
      const lengthMs = Math.min(untilMs - atMs, random.magnitude(0.05, 20) * unitMs);
      return [{ kind, director, atMs, untilMs: atMs + lengthMs }];
    }
    case 'steal':
      return [{ kind, director, atMs, untilMs: atMs }];
    case 'link':
      return [{ ...span, kind, director, segment }];
    case 'stop':
    case 'maintenance':
      return [{ ...span, kind, director, afterSpeech: false }];
    case 'freeze':
      return drawStandstills(random, scenario, atMs, unitMs).slice(0, 1);
    case 'reload':
      return [{ ...span, kind, variant: random.whole(0, VARIANTS - 1) }];
    case 'regroup':
    case 'source':
    case 'device':
    case 'macvlan':
    case 'forge':
    case 'sync':
    case 'expire':
      return [];
    case 'track':
      return [{ ...span, kind, director, object: TRACKED_OBJECT }];
    default:
      return [{ ...span, kind, director }];
  }
}

/** One director against the rest, one way or both, on one segment or on all. */
function drawPartition(
  random: Random,
  scenario: Scenario,
  span: { atMs: number; untilMs: number },
  director: number,
  segment: number,
): Fault[] {
  const rest = scenario.directors.map((_, d) => d).filter((d) => d !== director);
  const way = random.whole(0, 2);
  const segments = random.chance(0.4) ? Array.from({ length: scenario.segments }, (_, s) => s) : [segment];
  return segments.flatMap((on) => {
    const out: Fault = { ...span, kind: 'partition', segment: on, from: [director], to: rest };
    const back: Fault = { ...span, kind: 'partition', segment: on, from: rest, to: [director] };
    return way === 0 ? [out] : way === 1 ? [back] : [out, back];
  });
}
