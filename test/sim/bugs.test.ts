/** The simulator finds each bug that is put in on purpose, and none where there is none. */
import t from 'tap';
import { BUGS } from './bugs.js';
import { runEpisode, simulate } from './simulator/run.js';

const SEED = 20;
/** Virtual hours within which each bug is found: some tens of seconds at the most. */
const HOURS = 150;
const SECONDS = 60;
t.setTimeout(600_000);

for (const bug of BUGS) {
  await t.test(`found: ${bug.name}`, async (t) => {
    const { seed = SEED } = bug;
    const startedMs = performance.now();
    const { tally, finding } = simulate(seed, HOURS, bug.machine);
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
    t.equal(runEpisode(seed, episode).violation, undefined, 'the product passes the same episode');
    t.same(runEpisode(seed, episode, bug.machine).violation, violation, 'it replays');
  });
}
