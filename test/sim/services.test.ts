/** Histories of the services process, of a fresh seed; and changed lines of the product that they find. */
import t from 'tap';
import { freshSeed } from './fresh-seed.js';
import { type Mutation, withMutation } from './mutated.js';
import { History } from './services/history.js';

t.setTimeout(600_000);

const HISTORIES = 300;
/** Of which each bug is found. */
const BUG_SEED = 4;

const SERVICE = 'runtime/services/ipvs-service.js';

const BUGS: readonly (Mutation & { readonly name: string })[] = [
  {
    name: 'what an earlier process had in the kernel is forgotten',
    file: SERVICE,
    from: 'this.#owned = new Set(leftovers.ownedServices);',
    to: 'this.#owned = new Set();',
  },
  {
    name: 'a virtual server is known as ours only when the kernel has it',
    file: SERVICE,
    from: 'await this.#own([...new Set([...this.#owned, ...keys])]);',
    to: '',
  },
  {
    name: 'what is not wanted stays in the table',
    file: SERVICE,
    from: 'prune: this.#health.firstVerdictsIn,',
    to: 'prune: false,',
  },
  {
    name: 'a real server that is down is in the table',
    file: 'runtime/services/health-runner.js',
    from: "return verdict === 'unknown' ? undefined : verdict !== 'down';",
    to: 'return true;',
  },
  {
    name: 'of several checks, one is enough where all are needed',
    file: 'health/member.js',
    from: "needs === 'any'",
    to: 'true',
  },
  {
    name: 'the weight that a check asks for is not taken',
    file: 'health/member.js',
    from: 'least = Math.min(least ?? weight, weight);',
    to: ';',
  },
  {
    name: 'a removed real server drains for ever',
    file: 'ipvs/drain.js',
    from: 'return empty || nowMs >= sinceMs + limitMs;',
    to: 'return empty;',
  },
  {
    name: 'a state that could not be written is not tried again',
    file: 'runtime/state-keeper.js',
    from: 'return this.#retryLater();',
    to: 'return;',
  },
  {
    name: 'a sync daemon that somebody stopped stays stopped',
    file: 'runtime/services/keepers/sync-daemon-keeper.js',
    from: '(!this.#fresh && !this.#pace.due(clock.nowMs()))',
    to: '!this.#fresh',
  },
  {
    name: 'a sysctl is remembered only when it is set',
    file: 'runtime/services/keepers/sysctl-keeper.js',
    from: 'await this.#save();\n        try {\n            await sysctls.write(key, value);',
    to: 'try { await sysctls.write(key, value); await this.#save();',
  },
];

await t.test(`${HISTORIES} histories of a fresh seed`, async (t) => {
  const seed = freshSeed();
  const counts = new Map<string, number>();
  for (let number = 0; number < HISTORIES; number++) {
    const result = await new History(seed, number).run();
    for (const [what, count] of result.counts) counts.set(what, (counts.get(what) ?? 0) + count);
    if (result.violation === undefined) continue;
    t.same(result.violation, undefined, `npm run sim -- --services 1 --replay ${seed}:${number}`);
    break;
  }
  for (const what of ['crash', 'refuse', 'reload', 'somebody changed the IPVS table']) {
    t.ok((counts.get(what) ?? 0) > 10, `${what}: ${counts.get(what)}`);
  }
});

for (const { name, ...mutation } of BUGS) {
  await t.test(`found: ${name}`, (t) =>
    withMutation(mutation, async ({ services }) => {
      for (let number = 0; number < HISTORIES; number++) {
        const { violation } = await new services.History(BUG_SEED, number).run();
        if (violation === undefined) continue;
        t.comment(`history ${number}: ${violation.words}`);
        const again = await new services.History(BUG_SEED, number).run();
        t.same(again.violation, violation, 'it replays');
        const product = await new History(BUG_SEED, number).run();
        t.equal(product.violation, undefined, 'the product passes the same history');
        return;
      }
      t.fail(`not found in ${HISTORIES} histories`);
    }),
  );
}
