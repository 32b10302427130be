import t from 'tap';
import { addressLifetime } from '../../../src/runtime/guardian/address-lifetime.js';
import { guardianOrders } from '../../../src/runtime/guardian/guardian-orders.js';
import { vrrpInstance } from '../vrrp/instances.js';

const at = (...intervals: readonly number[]) =>
  addressLifetime({
    instances: intervals.map((advertisementIntervalMs) => vrrpInstance({ advertisementIntervalMs })),
    permanentAddresses: false,
  });

void t.test('whole seconds, four at least, and time for a hand-over by the guardian', async (t) => {
  t.strictSame(at(10), { seconds: 4, renewalMs: 1000 });
  t.strictSame(at(100, 10), { seconds: 4, renewalMs: 1000 });
  t.strictSame(at(1000), { seconds: 4, renewalMs: 250 });
  t.strictSame(at(40_950), { seconds: 164, renewalMs: 250 });
  t.strictSame(at(), { seconds: 4, renewalMs: 1000 });
  t.equal(addressLifetime({ instances: [vrrpInstance()], permanentAddresses: true }), undefined);
});

void t.test('the guardian acts before the kernel does', async (t) => {
  for (const interval of [10, 100, 990, 1000, 1010, 2500, 40_950]) {
    const { seconds = 0, renewalMs = 0 } = at(interval) ?? {};
    const config = vrrpInstance({ advertisementIntervalMs: interval });
    const { leaseMs } = guardianOrders([{ config, source: '192.0.2.11', packets: [] }]);
    t.ok(seconds * 1000 - renewalMs > leaseMs, `at ${interval} ms`);
  }
});
