/** Groups that are formed anew again and again while all sorts of things happen: nobody loses or keeps an address by it. */
import fc from 'fast-check';
import t from 'tap';
import type { VrrpInstance } from '../../../src/config/model.js';
import { formGroup } from '../../../src/vrrp/group-create.js';
import type { GroupInput, GroupState } from '../../../src/vrrp/group-types.js';
import { Bench, instance } from './group-bench.js';
import { Kernel, moves, NAMES, TRACK, take, wrong } from './group-moves.js';

const SOURCE = '192.168.1.12';
/** Which instances each group has, by their places in NAMES; one that is in none is not there. */
const LAYOUTS = [[[0, 1]], [[0], [1]], [[0]], [[1]]] as const;

/** As `wrong` says, but for what only a group that a reload formed may be. */
function wrongWith(state: GroupState, kernel: Kernel): string | undefined {
  const isMixed = new Set(state.instances.map((one) => one.state)).size > 1;
  if (!isMixed) return wrong(state, kernel);
  if (state.phase !== 'handing-over' && state.phase !== 'leaving') return `${state.phase}, and it disagrees`;
  for (const { config, state: role } of state.instances) {
    if (role !== 'master' && role !== 'backup') return `${state.phase} and ${role}`;
    const held = kernel.held(config.name);
    if (held !== (role === 'master' ? config.addresses.length : 0))
      return `a ${role} holds ${held} addresses`;
  }
  return undefined;
}

class Groups {
  readonly kernel = new Kernel();
  readonly #settings: readonly VrrpInstance[];
  benches: Bench[] = [];
  now = 0;

  constructor(settings: readonly VrrpInstance[]) {
    this.#settings = settings;
  }

  /** A reload: what goes on is in other groups, what leaves does so in silence, what is new is fresh. */
  layOut(layout: (typeof LAYOUTS)[number]): string | undefined {
    const names = layout.flat().map((index) => NAMES[index] ?? '');
    const before = this.benches;
    const locate = (name: string) =>
      before
        .filter(({ state }) => state.phase !== 'stopped' && state.phase !== 'leaving')
        .flatMap(({ state: group }) => group.instances.map((member) => ({ group, instance: member, name })))
        .find(({ instance: { config } }) => config.name === name);
    const held = names.filter((name) => this.kernel.held(name) > 0 && locate(name) !== undefined);
    for (const name of NAMES) {
      const place = locate(name);
      if (names.includes(name) && place !== undefined) continue;
      // Its group is gone, or it leaves.
      for (const bench of before) {
        const member = bench.state.instances.find(({ config }) => config.name === name);
        if (member === undefined) continue;
        const alone = this.#form([{ group: bench.state, instance: member, name }], []);
        const complaint = take(alone, this.kernel, this.now, { type: 'stop', silently: true });
        if (complaint !== undefined) return complaint;
        if (this.kernel.held(name) > 0) return `${name} left, and its addresses are there`;
      }
    }
    this.benches = [];
    for (const indices of layout) {
      const own = indices.map((index) => NAMES[index] ?? '');
      const continuing = own.flatMap((name) => locate(name) ?? []);
      const fresh = this.#settings.filter(
        ({ name }) => own.includes(name) && !continuing.some((one) => one.name === name),
      );
      const bench = this.#form(continuing, fresh);
      this.benches.push(bench);
      const input = continuing.length > 0 ? ({ type: 'formed' } as const) : ({ type: 'start' } as const);
      const complaint = take(bench, this.kernel, this.now, input) ?? wrongWith(bench.state, this.kernel);
      if (complaint !== undefined) return complaint;
    }
    const lost = held.find((name) => this.kernel.held(name) === 0);
    // One that stood still may have a successor.
    const isExcused = this.benches.some(
      ({ state, notices }) => state.faults.length > 0 || notices.some(({ kind }) => kind === 'paused'),
    );
    return lost === undefined || isExcused ? undefined : `the reload took the addresses of ${lost}`;
  }

  #form(continuing: Parameters<typeof formGroup>[1]['continuing'], fresh: readonly VrrpInstance[]): Bench {
    const members = fresh.map((config) => ({ config, source: SOURCE, linkUp: true }));
    const bench = new Bench([]);
    bench.now = this.now;
    bench.state = formGroup('group', { continuing, fresh: members }, this.now, TRACK);
    return bench;
  }
}

const steps = fc.array(fc.record({ some: moves, layout: fc.constantFrom(...LAYOUTS), which: fc.nat(1) }), {
  minLength: 1,
  maxLength: 8,
});

for (const mode of ['never', 'always'] as const) {
  void t.test(`preempt ${mode}: no order of reloads and inputs breaks a group`, async (t) => {
    fc.assert(
      fc.property(steps, fc.constantFrom(100, 255), (rounds, priority) => {
        const preempt = mode === 'never' ? { mode } : { mode, delayMs: 500 };
        const groups = new Groups(NAMES.map((one) => instance(one, { priority, preempt })));
        const check = (complaint: string | undefined) => {
          if (complaint !== undefined) throw new Error(complaint);
        };
        check(groups.layOut([[0, 1]]));
        for (const { some, layout, which } of rounds) {
          for (const { afterMs, input } of some) {
            groups.now += afterMs;
            const bench = groups.benches[which % groups.benches.length];
            if (bench === undefined) continue;
            bench.now = groups.now;
            const wanted = inputOf(bench, input);
            if (wanted === undefined) continue;
            check(take(bench, groups.kernel, groups.now, wanted) ?? wrongWith(bench.state, groups.kernel));
          }
          check(groups.layOut(layout));
        }
      }),
      { numRuns: 1000 },
    );
    t.pass('held in every run');
  });
}

/** Undefined for what concerns an instance that is not in the group. */
function inputOf(bench: Bench, make: (bench: Bench) => GroupInput): GroupInput | undefined {
  try {
    return make(bench);
  } catch {
    return undefined;
  }
}
