import t from 'tap';
import type { VrrpInstance } from '../../src/config/model.js';
import { planGroups, sameMachine } from '../../src/director/groups.js';
import { vrrpInstance } from './instances.js';

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

void t.test('the same machine: what a running master can take over', async (t) => {
  const group = { name: 'pair', instances: [a, b] };
  const settings = { ...a, priority: 1, advertisementIntervalMs: 10, addresses: [] };
  t.ok(sameMachine(group, { name: 'pair', instances: [settings, b] }), 'settings');
  t.ok(sameMachine(group, { name: 'other', instances: [a, b] }), "the group's name");
  t.ok(sameMachine(group, { name: 'pair', instances: [b, a] }), 'the order in the file');
});

void t.test('another machine: what needs a new election', async (t) => {
  const group = { name: 'pair', instances: [a, b] };
  t.notOk(sameMachine(group, { name: 'pair', instances: [{ ...a, interface: 'eth1' }, b] }), 'interface');
  t.notOk(sameMachine(group, { name: 'pair', instances: [{ ...a, virtualRouterId: 9 }, b] }), 'VRID');
  t.notOk(sameMachine(group, { name: 'pair', instances: [{ ...a, name: 'z' }, b] }), 'name');
  t.notOk(sameMachine(group, { name: 'pair', instances: [a] }), 'a member less');
  t.notOk(sameMachine(group, { name: 'pair', instances: [a, b, c] }), 'a member more');
});
