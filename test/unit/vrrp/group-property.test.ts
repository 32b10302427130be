/** Whatever comes in whatever order: what must hold of a sync group's machine after every step. */
import fc from 'fast-check';
import t from 'tap';
import { Bench, instance } from './group-bench.js';
import { Kernel, type Move, moves, NAMES, TRACK, take, wrong } from './group-moves.js';

function play(bench: Bench, steps: readonly Move[]): string | undefined {
  const kernel = new Kernel();
  for (const { afterMs, input } of steps) {
    const complaint = take(bench, kernel, bench.now + afterMs, input(bench)) ?? wrong(bench.state, kernel);
    if (complaint !== undefined) return complaint;
  }
  return undefined;
}

for (const priority of [100, 255]) {
  for (const mode of ['never', 'always', 'synced'] as const) {
    await t.test(`priority ${priority}, preempt ${mode}: no order of inputs breaks the group`, async (t) => {
      fc.assert(
        fc.property(moves, fc.constantFrom(0, 3000), (steps, startupDelayMs) => {
          const preempt = { mode, delayMs: 500, atMostMs: 5000 };
          const settings = NAMES.map((one) => instance(one, { priority, preempt, startupDelayMs }));
          const fresh = new Bench(settings, { track: TRACK });
          const complaint = play(fresh, [
            { afterMs: 0, input: () => ({ type: 'start' }) },
            { afterMs: 0, input: () => ({ type: 'tracked', object: 'quorum', state: 'up' }) },
            ...steps,
          ]);
          if (complaint !== undefined) throw new Error(complaint);
        }),
        { numRuns: 400 },
      );
      t.pass('held in every run');
    });
  }
}
