import t from 'tap';
import type { VrrpInstance } from '../../../src/config/model.js';
import { planGroups } from '../../../src/planning/groups.js';
import { vrrpInstance } from '../vrrp/instances.js';

function instance(name: string, virtualRouterId = 51): VrrpInstance {
  return vrrpInstance({ name, virtualRouterId });
}

const [a, b, c] = [instance('a', 1), instance('b', 2), instance('c', 3)];

void t.test('a sync group is one machine, every other instance one of its own', async (t) => {
  const syncGroups = [{ name: 'pair', instances: ['c', 'a'], track: [] }];
  const groups = planGroups({ instances: [a, b, c], syncGroups });
  t.strictSame(
    groups.map((group) => [group.name, group.instances.map((one) => one.name)]),
    [
      ['pair', ['a', 'c']],
      ['b', ['b']],
    ],
  );
  t.strictSame(planGroups({ instances: [], syncGroups: [] }), []);
});
