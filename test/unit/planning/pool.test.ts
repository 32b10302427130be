/** Who gets the new connections of a virtual server. */
import fc from 'fast-check';
import t from 'tap';
import type { VirtualServer } from '../../../src/config/model-servers.js';
import { isInPanic, poolOf, type Serves } from '../../../src/planning/pool.js';
import { realServer, virtualServer } from '../config/servers.js';

const SORRY = realServer('10.0.0.9', { port: 8080 });

/** `up`, `down` or `unknown` of each real server with its weight; the pool as `HOST weight WEIGHT`. */
function table(
  real: readonly (readonly [weight: number, serves: boolean | undefined])[],
  settings: Partial<VirtualServer>,
  { wasSorry = false, share = 1, isInDoubt = false } = {},
): string[] {
  const realServers = real.map(([weight], index) => realServer(`10.0.0.${index + 1}`, { weight }));
  const server = virtualServer({ realServers, ...settings });
  const serves = (_: string, one: (typeof realServers)[number]) => real[realServers.indexOf(one)]?.[1];
  return poolOf(server, { serves, wasSorry, share: () => share, isInDoubt }).map(
    ({ address, weight }) => `${address} weight ${weight}`,
  );
}

const sorry = '10.0.0.9 weight 1';

void t.test('the quorum is one of weights, with a hysteresis on both sides', async (t) => {
  const settings = { sorryServer: SORRY, quorum: { up: 5, hysteresis: 2 } };
  const serving = (weight: number, wasSorry: boolean) =>
    table([[weight, true]], settings, { wasSorry }).includes(sorry);
  t.strictSame(
    [2, 3, 5].map((weight) => serving(weight, false)),
    [true, false, false],
  );
  t.strictSame(
    [5, 6, 7].map((weight) => serving(weight, true)),
    [true, true, false],
  );
  t.strictSame(
    table(
      [
        [4, true],
        [3, undefined],
      ],
      settings,
      { wasSorry: true },
    ),
    ['10.0.0.1 weight 4'],
    'who is not known may serve',
  );
  t.strictSame(
    table([[1, true]], { quorum: { up: 5, hysteresis: 0 } }),
    ['10.0.0.1 weight 1'],
    'nobody else could',
  );
});

void t.test('a weight that checks ask for', async (t) => {
  const realServers = [5, 5, 0].map((weight, index) => realServer(`10.0.0.${index + 1}`, { weight }));
  const asked = new Map([
    ['10.0.0.1', 9],
    ['10.0.0.3', 9],
  ]);
  const pool = (settings: Partial<VirtualServer> = {}, share = 1) =>
    poolOf(virtualServer({ realServers, ...settings }), {
      serves: () => true,
      wasSorry: false,
      share: () => share,
      weight: (_, { address }) => asked.get(address),
    }).map(({ address, weight }) => `${address} weight ${weight}`);
  const quiescent = '10.0.0.3 weight 0';
  t.strictSame(pool(), ['10.0.0.1 weight 9', '10.0.0.2 weight 5', quiescent], 'one of weight 0 stays so');
  t.strictSame(pool({}, 0.5), ['10.0.0.1 weight 4', '10.0.0.2 weight 2', quiescent], 'a part of it');
  const fixed = realServers.map((real) => ({ ...real, isWeightFixed: true as const }));
  t.strictSame(pool({ realServers: fixed })[0], '10.0.0.1 weight 5', 'the operator has the last word');
  const quorum = { sorryServer: SORRY, quorum: { up: 14, hysteresis: 0 } };
  t.notOk(pool(quorum).includes(sorry), 'the quorum is one of weights as they are');
  asked.set('10.0.0.1', 0);
  t.ok(pool(quorum).includes(sorry));
  const few = virtualServer({ realServers, panicThreshold: 1 });
  const serves: Serves = (_, { address }) => address !== '10.0.0.1';
  t.ok(isInPanic(few, { serves }));
  t.notOk(isInPanic(few, { serves, weight: () => 0 }), 'nor do those count that want none');
});

void t.test('a part of the weight is at least 1, and nothing stays nothing', async (t) => {
  t.strictSame(
    table(
      [
        [10, true],
        [1, true],
        [0, true],
      ],
      {},
      { share: 0.05 },
    ),
    ['10.0.0.1 weight 1', '10.0.0.2 weight 1', '10.0.0.3 weight 0'],
  );
  t.strictSame(table([[10, true]], {}, { share: 0.59 }), ['10.0.0.1 weight 5']);
});

void t.test('in a panic the failed ones have their weight, below it they do not', async (t) => {
  const settings = { panicThreshold: 0.5 };
  t.strictSame(
    table(
      [
        [1, false],
        [1, true],
      ],
      settings,
    ),
    ['10.0.0.2 weight 1'],
    'half is enough',
  );
  t.strictSame(
    table(
      [
        [3, false],
        [1, false],
        [2, true],
      ],
      settings,
      { share: 0.5 },
    ),
    ['10.0.0.1 weight 3', '10.0.0.2 weight 1', '10.0.0.3 weight 1'],
  );
  t.strictSame(
    table(
      [
        [1, false],
        [1, undefined],
      ],
      settings,
    ),
    [],
    'who is not known counts as healthy',
  );
  t.equal(
    isInPanic(virtualServer({ realServers: [realServer('10.0.0.1')] }), { serves: () => false }),
    false,
    'where none is set',
  );
});

void t.test('any pool: traffic goes somewhere when anybody serves, and each is in it once', async () => {
  const standing = fc.array(fc.tuple(fc.nat({ max: 3 }), fc.constantFrom(true, false, undefined)), {
    maxLength: 6,
  });
  const settings = fc.record({
    quorum: fc.record({ up: fc.integer({ min: 1, max: 8 }), hysteresis: fc.constant(0) }),
    sorryServer: fc.constantFrom(undefined, SORRY),
    panicThreshold: fc.constantFrom(0, 0.3, 1),
    onFailure: fc.constantFrom('remove' as const, 'weight_zero' as const),
  });
  fc.assert(
    fc.property(standing, settings, fc.boolean(), (real, chosen, wasSorry) => {
      const members = table(real, chosen, { wasSorry });
      const takes = members.some((line) => !line.endsWith(' 0'));
      const mayServe = real.some(([weight, serves]) => weight > 0 && serves !== false);
      const isKnown = real.every(([, serves]) => serves !== undefined);
      if ((chosen.sorryServer !== undefined || mayServe) && isKnown && !takes) return false;
      return new Set(members.map((line) => line.split(' ')[0])).size === members.length;
    }),
    { numRuns: 2000 },
  );
});

void t.test('in doubt who fails keeps its connections', async (t) => {
  const real = [
    [2, false],
    [3, true],
    [4, undefined],
  ] as const;
  t.strictSame(table(real, {}), ['10.0.0.2 weight 3']);
  t.strictSame(table(real, {}, { isInDoubt: true }), ['10.0.0.1 weight 0', '10.0.0.2 weight 3']);
  const dead = [[1, false]] as const;
  t.strictSame(table(dead, { sorryServer: SORRY }, { isInDoubt: true }), ['10.0.0.1 weight 0', sorry]);
});
