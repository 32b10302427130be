/** The simulator itself: the same seed gives the same run. */
import t from 'tap';
import { runEpisode } from './simulator/run.js';

await t.test('an episode replays exactly', async (t) => {
  for (let episode = 0; episode < 20; episode += 1) {
    const lines: string[] = [];
    const traced = await runEpisode(7, episode, { print: (line) => lines.push(line) });
    const plain = await runEpisode(7, episode);
    t.equal(plain.violation, undefined, `episode ${episode}`);
    t.same([...plain.counts], [...traced.counts]);
    t.equal(plain.steps, traced.steps);
    t.ok(lines.length > 0);
  }
});
