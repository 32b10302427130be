import t from 'tap';
import { rehearseTakeover } from '../../../src/runtime/election/rehearsal.js';
import { vrrpInstance } from '../vrrp/instances.js';

void t.test('a rehearsal gets as far as mastership, whatever the instance is like', async (t) => {
  const tracked = [{ object: 'uplink', weight: undefined }];
  for (const change of [
    {},
    { advertisementIntervalMs: 10 },
    { startupDelayMs: 60_000 },
    { priority: 255 },
    { track: tracked },
    { version: 2 as const, advertisementIntervalMs: 1000 },
    { preempt: { mode: 'never' as const } },
  ]) {
    t.equal(await rehearseTakeover([vrrpInstance(change)]), true, JSON.stringify(change));
  }
  t.equal(await rehearseTakeover([]), true, 'nothing to rehearse');
});

void t.test('one of each family', async (t) => {
  const ipv6 = vrrpInstance({
    family: 'ipv6',
    addresses: [{ address: 'fe80::253', prefixLength: 64, interface: 'eth0' }],
    advertised: ['fe80::253'],
  });
  const begin = performance.now();
  t.equal(await rehearseTakeover([vrrpInstance(), ipv6, vrrpInstance({ name: 'other' })]), true);
  t.comment(`${(performance.now() - begin).toFixed(0)} ms`);
});
