/** Draws what not every episode has. */
import type { Preempt, VrrpInstance } from '../../../src/config/model.js';
import { Bounds, MAX_AWAITED_MS } from './bounds.js';
import { EXTRAS, type Extra } from './extras.js';
import { drawLayouts } from './layouts.js';
import { Random } from './random.js';
import {
  type Fault,
  type Layout,
  type Round,
  type Router,
  type Scenario,
  sourceOf,
  TRACKED_OBJECT,
} from './scenario.js';

/** Of episodes that have it, each for itself. */
const HAS_IT = 0.3;
/** Numbers of their own, by extra. */
const STREAMS: Readonly<Record<Extra, number>> = {
  regrouping: 0x9e609,
  sources: 0x50c5e,
  'virtual-mac': 0x3ac,
  unicast: 0x7e01,
  synced: 0x5ce0,
  bfd: 0xbfd,
  bursts: 0xb0257,
};
/** Of rounds with faults that have one of an extra, too. */
const BESIDE_OTHERS = 0.5;
/** Of each at the end, where nothing else happens. */
const LAST_ROUNDS = 4;
/** Of the time for which an address is waited for: clocks drift, and timers and events are late. */
const SURELY_AWAITED = 0.7;

/** Of a packet that no router has handed on. */
const MAX_TTL = 255;

/** One fault of an extra, within a span. */
type DrawFault = (
  random: Random,
  scenario: Scenario,
  atMs: number,
  untilMs: number,
) => Fault | readonly Fault[];

const BESIDE: Readonly<Record<Extra, DrawFault>> = {
  regrouping: regroup,
  sources: loss,
  'virtual-mac': deletion,
  unicast: forgery,
  synced: brokenSync,
  bfd: expiry,
  bursts: burst,
};
/** What may come together, and how often. */
const BURST_WEIGHTS = [
  [4, 'reload'],
  [3, 'regroup'],
  [3, 'crash'],
  [1, 'power'],
  [3, 'stop'],
  [2, 'maintenance'],
  [2, 'track'],
  [2, 'pause'],
  [2, 'steal'],
  [1, 'refuse'],
  [2, 'link'],
] as const;
/** How far apart, in milliseconds, unless in an advertisement interval. */
const BURST_SPREADS = [1, 3, 10, 50] as const;

/** In a cluster in which nothing is wrong. */
const ALONE: Readonly<Record<Extra, DrawFault>> = {
  regrouping: regroup,
  sources: shortLoss,
  'virtual-mac': deletion,
  unicast: forgery,
  synced: awayOrWeaker,
  bfd: expiry,
  bursts: burst,
};

export class DrawnExtras {
  readonly #random: ReadonlyMap<Extra, Random>;

  constructor(seed: number, episode: number, wanted: readonly Extra[]) {
    const drawn = EXTRAS.filter((extra) => wanted.includes(extra)).map(
      (extra) => [extra, new Random(seed ^ STREAMS[extra], episode)] as const,
    );
    this.#random = new Map(drawn.filter(([, random]) => random.chance(HAS_IT)));
  }

  /** Virtual routers of the whole episode. */
  routers(
    { routers, groups }: { routers: readonly Router[]; groups: readonly (readonly number[])[] },
    segments: number,
  ): { routers: readonly Router[]; layouts: readonly [Layout, ...Layout[]] } {
    const random = this.#random.get('regrouping');
    const first = { groups, names: routers.map(({ name }) => name) };
    return random === undefined
      ? { routers, layouts: [first] }
      : drawLayouts(random, routers, groups, segments);
  }

  /** What the directors have from the start. */
  equip(scenario: Scenario): Scenario {
    const [devices, peers] = [this.#random.get('virtual-mac'), this.#random.get('unicast')];
    const withDevices = devices === undefined ? scenario : withVirtualMacs(devices, scenario);
    const withPeers = peers === undefined ? withDevices : withUnicast(peers, withDevices);
    const synced = this.#random.get('synced');
    return synced === undefined ? withPeers : withSync(synced, withPeers);
  }

  /** Of a round, beside its others. */
  faults(scenario: Scenario, atMs: number, lengthMs: number): Fault[] {
    return [...this.#random].flatMap(([extra, random]) => {
      if (!random.chance(BESIDE_OTHERS)) return [];
      const beginMs = atMs + random.unit() * lengthMs * 0.8;
      return [BESIDE[extra](random, scenario, beginMs, atMs + lengthMs)].flat();
    });
  }

  /** With rounds in which nothing happens but one thing of an extra. */
  lastRounds(scenario: Scenario): Scenario {
    let all = scenario;
    for (const [extra, random] of this.#random)
      for (let i = 0; i < LAST_ROUNDS; i += 1) all = withLastRound(all, random, ALONE[extra]);
    return all;
  }
}

function withLastRound(scenario: Scenario, random: Random, draw: DrawFault): Scenario {
  const unitMs = new Bounds(scenario).intervalMs;
  const atMs = scenario.durationMs;
  const faults = [
    draw(random, scenario, atMs, atMs + random.between(3, 25) * unitMs + random.between(0, 500)),
  ].flat();
  const untilMs = Math.max(...faults.map((one) => one.untilMs));
  const round: Round = {
    atMs,
    untilMs,
    faults,
    planned: faults.length === 1 && faults[0]?.kind !== 'pause',
    calm: false,
    quietUntilMs: untilMs,
  };
  const rounds = [...scenario.rounds, round];
  const kinds = new Set(rounds.flatMap((one) => one.faults.map(({ kind }) => kind)));
  const settleMs = new Bounds({ ...scenario, rounds }).settleMs(kinds);
  const quietUntilMs = untilMs + settleMs + random.between(5, 20) * unitMs;
  rounds[rounds.length - 1] = { ...round, quietUntilMs };
  return { ...scenario, rounds, durationMs: quietUntilMs };
}

/** One thing comes while another is still under way, mostly to one director. */
function burst(random: Random, scenario: Scenario, atMs: number, untilMs: number): Fault[] {
  const { directors, layouts, segments } = scenario;
  const unitMs = new Bounds(scenario).intervalMs;
  const spreadMs = Math.min(random.pick([...BURST_SPREADS, unitMs]), (untilMs - atMs) / 2);
  const victim = random.whole(0, directors.length - 1);
  const count = random.whole(2, 4);
  return Array.from({ length: count }, (): Fault => {
    const beginMs = atMs + random.unit() * spreadMs;
    const soonMs = beginMs + random.unit() * spreadMs;
    const director = random.chance(0.75) ? victim : random.whole(0, directors.length - 1);
    const segment = random.whole(0, segments - 1);
    const span = { atMs: beginMs, untilMs: random.chance(0.4) ? soonMs : untilMs };
    const kind = random.weighted(BURST_WEIGHTS);
    switch (kind) {
      case 'reload':
        return { kind, variant: random.whole(0, 2), atMs: beginMs, untilMs: soonMs };
      case 'regroup':
        return { kind, layout: random.whole(0, layouts.length - 1), atMs: beginMs, untilMs: soonMs };
      case 'stop':
      case 'maintenance':
        return { ...span, kind, director, afterSpeech: random.chance(0.3) };
      case 'track':
        return { ...span, kind, director, object: TRACKED_OBJECT };
      case 'link':
        return { ...span, kind, director, segment };
      case 'steal':
        return { kind, director, atMs: beginMs, untilMs: beginMs };
      case 'pause': {
        const lengthMs = random.magnitude(0.01, 6) * unitMs;
        return { kind, director, atMs: beginMs, untilMs: Math.min(untilMs, beginMs + lengthMs) };
      }
      default:
        return { ...span, kind, director };
    }
  });
}

function regroup(random: Random, { layouts }: Scenario, atMs: number, untilMs: number): Fault {
  return { kind: 'regroup', layout: random.whole(0, layouts.length - 1), atMs, untilMs };
}

/** Where something is lost, and of which director. */
function somewhere(random: Random, { directors, segments }: Scenario): { director: number; segment: number } {
  return { director: random.whole(0, directors.length - 1), segment: random.whole(0, segments - 1) };
}

/** For a moment, or for longer than it is waited for. */
function loss(random: Random, scenario: Scenario, atMs: number, untilMs: number): Fault {
  const where = somewhere(random, scenario);
  const lengthMs = Math.min(untilMs - atMs, random.magnitude(0.01, 10) * awaitedMs(scenario));
  const span = { atMs, untilMs: atMs + lengthMs };
  return random.chance(0.6)
    ? { ...span, ...where, kind: 'source', flush: random.chance(0.5) }
    : { ...span, ...where, kind: 'device' };
}

/** So short that nobody misses it. */
function shortLoss(random: Random, scenario: Scenario, atMs: number): Fault {
  const untilMs = atMs + random.between(0.05, SURELY_AWAITED) * awaitedMs(scenario);
  return { ...somewhere(random, scenario), kind: 'source', flush: random.chance(0.5), atMs, untilMs };
}

/** Early where the peer is about to be missed anyway, and spurious where it lives. */
function expiry(random: Random, scenario: Scenario, atMs: number): Fault {
  const { director, segment } = somewhere(random, scenario);
  const others = scenario.directors.length - 1;
  const peer = (director + random.whole(1, Math.max(1, others))) % scenario.directors.length;
  return { kind: 'expire', director, peer, segment, atMs, untilMs: atMs };
}

function forgery(random: Random, { segments }: Scenario, atMs: number, untilMs: number): Fault {
  return { kind: 'forge', segment: random.whole(0, segments - 1), atMs, untilMs };
}

/** Most virtual routers speak to named peers, some of them from further away. */
function withUnicast(random: Random, scenario: Scenario): Scenario {
  const hops = random.pick([0, 0, 1, 3]);
  const minTtl = MAX_TTL - hops - random.pick([0, 0, 1, 5]);
  const has = scenario.routers.map(() => random.chance(0.8));
  const addressesOn = (segment: number) =>
    scenario.directors.map((_, director) => sourceOf(director, segment));
  const directors = scenario.directors.map((director, number) => {
    const toPeers = (instance: VrrpInstance, router: number): VrrpInstance => {
      const all = addressesOn(scenario.routers[router]?.segment ?? 0);
      const local = all[number];
      if (has[router] !== true || local === undefined) return instance;
      const peers = all.filter((one) => one !== local);
      return { ...instance, transport: { kind: 'unicast', local, peers, minTtl } };
    };
    return { ...director, variants: director.variants.map((variant) => variant.map(toPeers)) };
  });
  return { ...scenario, directors, hops };
}

/** Most virtual routers wait for the connection table before they preempt, and some for a delay, too. */
function withSync(random: Random, scenario: Scenario): Scenario {
  const unitMs = new Bounds(scenario).intervalMs;
  const atMostMs = Math.round(random.magnitude(1, 60) * unitMs);
  const delayMs = random.chance(0.3) ? Math.round(random.unit() * atMostMs) : 0;
  const preempts = scenario.routers.map(
    (): Preempt => (random.chance(0.8) ? { mode: 'synced', delayMs, atMostMs } : { mode: 'always', delayMs }),
  );
  const directors = scenario.directors.map((director) => ({
    ...director,
    variants: director.variants.map((variant) =>
      variant.map((instance, router) => ({ ...instance, preempt: preempts[router] ?? instance.preempt })),
    ),
  }));
  const comparisons = {
    everyMs: random.between(0.5, 8) * unitMs,
    learnMs: random.magnitude(0.1, 2) * atMostMs,
    doubt: random.pick([0, 0, 0.3]),
    isMute: directors.map(() => random.chance(0.25)),
  };
  return { ...scenario, directors, comparisons };
}

function brokenSync(random: Random, { directors }: Scenario, atMs: number, untilMs: number): Fault {
  const director = random.whole(0, directors.length - 1);
  return { kind: 'sync', director, silent: random.chance(0.4), atMs, untilMs };
}

/** One that leaves and comes back, becomes weaker, or stands still and finds what was said of its table meanwhile. */
function awayOrWeaker(random: Random, { directors, track }: Scenario, atMs: number, untilMs: number): Fault {
  const director = random.whole(0, directors.length - 1);
  if (random.chance(0.3)) return { kind: 'pause', director, atMs, untilMs };
  const isWeighed = track.some(({ weight }) => weight !== undefined);
  return random.chance(0.5) || !isWeighed
    ? { kind: 'stop', director, afterSpeech: false, atMs, untilMs }
    : { kind: 'track', director, object: TRACKED_OBJECT, atMs, untilMs };
}

function deletion(random: Random, { directors, routers }: Scenario, atMs: number): Fault {
  const director = random.whole(0, directors.length - 1);
  return { kind: 'macvlan', director, router: random.whole(0, routers.length - 1), atMs, untilMs: atMs };
}

/** Most virtual routers have a MAC address of their own, on all directors. */
function withVirtualMacs(random: Random, scenario: Scenario): Scenario {
  const has = scenario.routers.map(() => random.chance(0.8));
  const withDevice = (instance: VrrpInstance): VrrpInstance => {
    const name = `vrrp4-${instance.virtualRouterId}-${instance.interface}`;
    const addresses = instance.addresses.map((one) => ({
      ...one,
      interface: name,
      virtualMac: true as const,
    }));
    return { ...instance, virtualMacInterface: name, addresses };
  };
  const directors = scenario.directors.map((director) => ({
    ...director,
    variants: director.variants.map((variant) =>
      variant.map((instance, router) => (has[router] === true ? withDevice(instance) : instance)),
    ),
  }));
  return { ...scenario, directors };
}

/** How long the address that a director speaks from is waited for, at least. */
function awaitedMs({ directors }: Scenario): number {
  const intervals = directors.flatMap(({ variants }) =>
    variants.flat().map((one) => one.advertisementIntervalMs),
  );
  return Math.min(MAX_AWAITED_MS, ...intervals);
}
