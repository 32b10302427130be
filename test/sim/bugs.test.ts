/** The simulator finds each bug that is put in on purpose, and none where there is none. */
import t from 'tap';
import { BUGS, type Bug } from './bugs.js';
import { withMutation } from './mutated.js';
import * as product from './simulator/run.js';

const SEED = 20;
/** Virtual hours within which each bug is found: some tens of seconds at the most. */
const HOURS = 150;
const SECONDS = 60;
t.setTimeout(600_000);

/** Lets `use` run the simulator with a bug in it. */
function withBug<T>(
  { mutation, machine }: Bug,
  use: (
    simulator: Pick<typeof product, 'simulate' | 'runEpisode'>,
    options: Pick<product.RunOptions, 'machine'>,
  ) => Promise<T>,
): Promise<T> {
  return mutation === undefined
    ? use(product, { machine: machine ?? product.PRODUCT })
    : withMutation(mutation, ({ election }) => use(election, {}));
}

for (const bug of BUGS) {
  await t.test(`found: ${bug.name}`, async (t) => {
    const { seed = SEED, extras = [] } = bug;
    await withBug(bug, async ({ simulate, runEpisode }, withMachine) => {
      const options = { ...withMachine, extras };
      const startedMs = performance.now();
      const { tally, finding } = await simulate(seed, HOURS, options);
      const seconds = (performance.now() - startedMs) / 1000;
      if (finding === undefined) {
        t.fail(`not found within ${HOURS} hours`);
        return;
      }
      const { episode, violation } = finding;
      const hours = (tally.virtualMs / 3_600_000).toFixed(1);
      t.comment(
        `${violation.invariant} in episode ${episode} after ${hours} virtual hours, ${seconds.toFixed(1)} s: ${violation.words}`,
      );
      t.ok(
        bug.breaks.includes(violation.invariant),
        `by ${bug.breaks.join(' or ')}, not ${violation.invariant}`,
      );
      t.ok(seconds < SECONDS, `within ${SECONDS} s`);
      t.equal(
        (await product.runEpisode(seed, episode, { extras })).violation,
        undefined,
        'the product passes the same episode',
      );
      t.same((await runEpisode(seed, episode, options)).violation, violation, 'it replays');
    });
  });
}
