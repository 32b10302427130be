/** Draws what not every episode has. */
import { Bounds } from './bounds.js';
import { EXTRAS, type Extra } from './extras.js';
import { drawLayouts } from './layouts.js';
import { Random } from './random.js';
import type { Fault, Layout, Round, Router, Scenario } from './scenario.js';

/** Of episodes that have it, each for itself. */
const HAS_IT = 0.3;
/** Numbers of their own, by extra. */
const STREAMS: Readonly<Record<Extra, number>> = { regrouping: 0x9e609 };
/** Of rounds with faults that have a reload to another layout, too. */
const REGROUPS = 0.5;
/** At the end, where nothing else happens. */
const REGROUPING_ROUNDS = 4;

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

  /** Of a round, beside its others. */
  faults({ layouts }: Scenario, atMs: number, lengthMs: number): Fault[] {
    const random = this.#random.get('regrouping');
    if (random?.chance(REGROUPS) !== true) return [];
    return [regroup(random, layouts.length, atMs + random.unit() * lengthMs * 0.8, atMs + lengthMs)];
  }

  lastRounds(scenario: Scenario): Scenario {
    const random = this.#random.get('regrouping');
    return random === undefined ? scenario : regroupingRounds(random, scenario);
  }
}

function regroup(random: Random, layouts: number, atMs: number, untilMs: number): Fault {
  return { kind: 'regroup', layout: random.whole(0, layouts - 1), atMs, untilMs };
}

/** One reload in each, and nothing else. */
function regroupingRounds(random: Random, scenario: Scenario): Scenario {
  const unitMs = new Bounds(scenario).intervalMs;
  let { rounds, durationMs: atMs } = scenario;
  for (let i = 0; i < REGROUPING_ROUNDS; i += 1) {
    const untilMs = atMs + random.between(3, 25) * unitMs + random.between(0, 500);
    const faults = [regroup(random, scenario.layouts.length, atMs, untilMs)];
    const round: Round = { atMs, untilMs, faults, planned: true, calm: false, quietUntilMs: untilMs };
    const kinds = new Set([...rounds, round].flatMap((one) => one.faults.map(({ kind }) => kind)));
    const settleMs = new Bounds({ ...scenario, rounds: [...rounds, round] }).settleMs(kinds);
    const quietUntilMs = untilMs + settleMs + random.between(5, 20) * unitMs;
    rounds = [...rounds, { ...round, quietUntilMs }];
    atMs = quietUntilMs;
  }
  return { ...scenario, rounds, durationMs: atMs };
}
