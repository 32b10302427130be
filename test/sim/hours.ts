/** 1,000 virtual hours in the normal test run, in two files so that two cores share them. */
import t from 'tap';
import { simulate } from './simulator/run.js';

const HOURS = 500;

/** More than the run allows: a busy machine is no failure. */
const TIMEOUT_MS = 600_000;

export async function passHours(seed: number): Promise<void> {
  t.setTimeout(TIMEOUT_MS);
  await t.test(`${HOURS} virtual hours of seed ${seed}`, async (t) => {
    const { tally, finding } = await simulate(seed, HOURS);
    const again = finding === undefined ? '' : `npm run sim -- --replay ${seed}:${finding.episode}`;
    t.same(finding?.violation, undefined, again);
    t.ok(tally.virtualMs >= HOURS * 3_600_000);
    // A run in which nothing happened would pass as well.
    for (const what of [
      'backup -> master',
      'master -> fault',
      'fault pause',
      'fault crash',
      'guardian acts',
    ]) {
      t.ok((tally.counts.get(what) ?? 0) > 100, `${what}: ${tally.counts.get(what)}`);
    }
  });
}
