import t from 'tap';
import type { AddressChange } from '../../../src/drill/lab/observations.js';
import {
  duplicateAddressMs,
  gaps,
  heldAllAt,
  heldNow,
  holdings,
  longestGap,
  subtract,
} from '../../../src/drill/report/measure.js';

const window = { fromMs: 1000, toMs: 2000 };

function change(atMs: number, director: string, held: boolean, address = '10.0.0.1'): AddressChange {
  return { atMs, director, address, held };
}

await t.test('the longest gap lies between answers', async (t) => {
  t.same(longestGap([1000, 1100, 1600, 1990], window), { fromMs: 1100, toMs: 1600 });
});

await t.test('the edges of the window count, and what is outside of it does not', async (t) => {
  t.same(longestGap([1010, 1020], window), { fromMs: 1020, toMs: 2000 }, 'a service that never came back');
  t.same(
    longestGap([500, 1700, 1990, 9000], window),
    { fromMs: 1000, toMs: 1700 },
    'one that was not there yet',
  );
  t.same(longestGap([], window), window, 'no answer at all');
});

await t.test('only stretches above the threshold are drawn', async (t) => {
  t.same(gaps([1000, 1040, 1100, 1950], window, 50), [
    { fromMs: 1040, toMs: 1100 },
    { fromMs: 1100, toMs: 1950 },
  ]);
});

await t.test('holdings: doubled news changes nothing, an open end reaches the end', async (t) => {
  const changes = [
    change(10, 'lb1', true),
    change(20, 'lb1', true),
    change(30, 'lb1', false),
    change(40, 'lb1', false),
  ];
  t.same(holdings(changes, 'lb1', '10.0.0.1', 100), [{ fromMs: 10, toMs: 30 }]);
  t.same(holdings([...changes, change(60, 'lb1', true)], 'lb1', '10.0.0.1', 100), [
    { fromMs: 10, toMs: 30 },
    { fromMs: 60, toMs: 100 },
  ]);
  t.same(holdings(changes, 'lb2', '10.0.0.1', 100), []);
  t.same(holdings(changes, 'lb1', '10.0.0.2', 100), []);
});

await t.test('what a director holds now', async (t) => {
  const changes = [change(1, 'lb1', true), change(2, 'lb1', false), change(3, 'lb2', true)];
  t.same(heldNow(changes, 'lb1', ['10.0.0.1']), [], 'it gave it up');
  t.same(heldNow(changes, 'lb2', ['10.0.0.1', '10.0.0.9']), ['10.0.0.1']);
});

await t.test('subtract cuts holes out', async (t) => {
  t.same(
    subtract(
      [{ fromMs: 0, toMs: 100 }],
      [
        { fromMs: 20, toMs: 30 },
        { fromMs: 90, toMs: 200 },
      ],
    ),
    [
      { fromMs: 0, toMs: 20 },
      { fromMs: 30, toMs: 90 },
    ],
  );
  t.same(subtract([{ fromMs: 0, toMs: 10 }], [{ fromMs: 0, toMs: 10 }]), []);
});

await t.test('duplicate: both hold it and both can be heard', async (t) => {
  const changes = [change(0, 'lb1', true), change(1200, 'lb2', true), change(1500, 'lb1', false)];
  const measure = (outages: Parameters<typeof duplicateAddressMs>[1], addresses = ['10.0.0.1']): number =>
    duplicateAddressMs(changes, outages, ['lb1', 'lb2'], addresses, window);
  t.equal(measure([]), 300);
  t.equal(
    measure([{ director: 'lb1', fromMs: 1100, toMs: 1600 }]),
    0,
    'powered off: its own view harms nobody',
  );
  t.equal(
    measure([{ director: 'lb1', fromMs: 1100, toMs: 1300 }]),
    200,
    'back before it gave the address up',
  );
  t.equal(measure([{ director: 'lb3', fromMs: 1100, toMs: 1600 }]), 300, "another one's outage is no excuse");
  t.equal(measure([], ['10.0.0.9']), 0, 'not a virtual address');
  const never = [change(0, 'lb1', true), change(1200, 'lb2', true)];
  t.equal(
    duplicateAddressMs(never, [], ['lb1', 'lb2'], ['10.0.0.1'], window),
    800,
    'to the end of the window',
  );
});

await t.test('of several addresses the longest overlap counts, not the sum', async (t) => {
  const changes = ['10.0.0.1', '10.0.0.2'].flatMap((address, index) => [
    change(0, 'lb1', true, address),
    change(1100, 'lb2', true, address),
    change(1150 + index * 50, 'lb1', false, address),
  ]);
  t.equal(duplicateAddressMs(changes, [], ['lb1', 'lb2'], ['10.0.0.1', '10.0.0.2'], window), 100);
});

await t.test('takeover is done when the last address has come', async (t) => {
  const changes = [
    change(10, 'lb2', true),
    change(20, 'lb2', false),
    change(1100, 'lb2', true),
    change(1130, 'lb2', true, '10.0.0.2'),
  ];
  const both = ['10.0.0.1', '10.0.0.2'];
  t.equal(heldAllAt(changes, 'lb2', both, 1000), 1130);
  t.equal(heldAllAt(changes, 'lb2', [...both, '10.0.0.3'], 1000), undefined);
  t.equal(heldAllAt(changes, 'lb1', both, 1000), undefined);
});
