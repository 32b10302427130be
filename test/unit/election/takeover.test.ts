/** A takeover that was made ready beforehand leaves in one volley, on a fake host. */
import t from 'tap';
import type { TrackedObject, VrrpInstance } from '../../../src/config/model.js';
import { settled } from '../hand-clock.js';
import { directorConfig, virtualRoute, vrrpInstance } from '../vrrp/instances.js';
import { FakeHost, OWN } from './vrrp-service-bench.js';

/** Master_Down_Interval at priority 100 and 1 s: 3000 + 156/256 * 1000. */
const DOWN_MS = 3610;

const DISK: TrackedObject = {
  name: 'disk',
  kind: { type: 'file', path: '/disk' },
  intervalMs: 1000,
  rise: 1,
  fall: 1,
  debounceMs: 0,
};

async function backup(...instances: readonly VrrpInstance[]): Promise<FakeHost> {
  const host = new FakeHost();
  host.volleys = true;
  await host.start(directorConfig({ instances }));
  // What comes next is made ready when the start is over.
  await host.clock.advance(50);
  host.heard();
  return host;
}

const numbered = (number: number, changes: Partial<VrrpInstance> = {}): VrrpInstance =>
  vrrpInstance({
    name: `instance-${number}`,
    virtualRouterId: number,
    addresses: [{ address: `192.0.2.${number}`, prefixLength: 24, interface: 'eth0' }],
    ...changes,
  });

/** Without what people are told. */
const work = (said: readonly string[]): string[] => said.filter((one) => !/ is (backup|master)$/.test(one));

void t.test(
  'the guardian knows, then the kernel, the neighbours, the routers; nobody is told twice',
  async (t) => {
    const host = await backup(vrrpInstance());
    await host.clock.advance(DOWN_MS);
    t.strictSame(host.heard(), [
      'guard 51',
      'volley: add 192.0.2.1',
      'volley: announce 192.0.2.1',
      'volley: send 51 priority 100',
      'announced 192.0.2.1',
      // Finds the address there, and sees to what belongs to it.
      'add 192.0.2.1',
      'outside is master',
    ]);
    await host.clock.advance(1000);
    t.ok(host.heard().includes('send 51 priority 100'), 'the next advertisement in its time');
  },
);

void t.test('what the kernel refuses is told to nobody, and tried in the ordinary way', async (t) => {
  const host = await backup(vrrpInstance());
  host.refusesShot = 'add 192.0.2.1';
  await host.clock.advance(DOWN_MS);
  t.strictSame(work(host.heard()), [
    'guard 51',
    'add 192.0.2.1',
    'announce 192.0.2.1',
    'send 51 priority 100',
  ]);
});

void t.test('what the guardian refuses is not added', async (t) => {
  const host = await backup(vrrpInstance());
  host.refusesOrders = new Error('too many');
  await host.clock.advance(DOWN_MS);
  const said = host.heard();
  t.notOk(
    said.some((one) => /add|announce|send 51 priority 100/.test(one)),
    said.join(),
  );
});

void t.test('the guardian is told a little before, and again when a master is heard after all', async (t) => {
  const host = await backup(vrrpInstance());
  // The 50 ms of the start are over.
  await host.clock.advance(DOWN_MS - 50 - 2);
  t.strictSame(host.heard(), ['guard 51'], 'nothing but the guardian has moved');
  host.advertise({ priority: 200 });
  await host.clock.advance(0);
  t.strictSame(host.heard(), ['guard'], 'this director holds nothing');
  await host.clock.advance(DOWN_MS - 100);
  t.strictSame(host.heard(), [], 'and goes on waiting');
});

void t.test('two groups at one moment', async (t) => {
  const host = await backup(numbered(51), numbered(52));
  await host.clock.advance(DOWN_MS);
  const said = host.heard();
  t.strictSame(
    said.filter((one) => one.startsWith('volley: send')),
    ['volley: send 51 priority 100', 'volley: send 52 priority 100'],
  );
  t.ok(said.indexOf('guard 51 52') < said.indexOf('volley: add 192.0.2.52'), said.join());
});

void t.test('a sync group leaves in one volley', async (t) => {
  const host = new FakeHost();
  host.volleys = true;
  const instances = [numbered(51), numbered(52)];
  const syncGroups = [{ name: 'pair', instances: instances.map(({ name }) => name), track: [] }];
  await host.start(directorConfig({ instances, syncGroups }));
  await host.clock.advance(50);
  host.heard();
  await host.clock.advance(DOWN_MS);
  t.strictSame(
    host.heard().filter((one) => one.startsWith('volley')),
    [
      'volley: add 192.0.2.51 192.0.2.52',
      'volley: announce 192.0.2.51 192.0.2.52',
      'volley: send 51 priority 100',
      'volley: send 52 priority 100',
    ],
  );
});

void t.test('another priority than was made ready', async (t) => {
  const host = new FakeHost();
  host.volleys = true;
  const instance = vrrpInstance({ track: [{ object: 'disk', weight: -20 }] });
  await host.start(directorConfig({ instances: [instance], tracked: [DISK] }));
  await host.clock.advance(50);
  host.service.tracked('disk', 'up');
  await host.clock.advance(3500);
  host.heard();
  // Its priority falls in the moment before.
  host.service.tracked('disk', 'down');
  await host.clock.advance(DOWN_MS);
  const said = work(host.heard());
  t.ok(
    said.some((one) => one.endsWith('send 51 priority 80')),
    said.join(),
  );
  t.notOk(
    said.some((one) => one.endsWith('send 51 priority 100')),
    said.join(),
  );
});

void t.test('not past a removal that is under way', async (t) => {
  const host = await backup(vrrpInstance());
  await host.clock.advance(DOWN_MS);
  let answer = (): void => {};
  host.kernel = new Promise((resolve) => (answer = resolve));
  host.advertise({ priority: 200 });
  await host.clock.advance(3700);
  host.heard();
  await host.clock.advance(DOWN_MS);
  answer();
  await settled();
  const said = host.heard();
  t.notOk(
    said.some((one) => one.startsWith('volley')),
    said.join(),
  );
  t.ok(said.indexOf('remove 192.0.2.1') < said.lastIndexOf('add 192.0.2.1'), said.join());
});

void t.test('routes come before the neighbours hear of it: the ordinary way', async (t) => {
  const host = await backup(vrrpInstance({ routes: [virtualRoute()] }));
  await host.clock.advance(DOWN_MS);
  const said = work(host.heard());
  t.match(said, ['guard 51', 'add 192.0.2.1', /^route /, 'announce 192.0.2.1', 'send 51 priority 100']);
});

void t.test('more addresses than leave at once: paced, as ever', async (t) => {
  const addresses = Array.from({ length: 17 }, (_, index) => ({
    address: `192.0.2.${index + 1}`,
    prefixLength: 24,
    interface: 'eth0',
  }));
  const host = await backup(vrrpInstance({ addresses }));
  await host.clock.advance(DOWN_MS);
  const said = host.heard();
  t.notOk(
    said.some((one) => one.startsWith('volley')),
    said.join(),
  );
  t.ok(said.includes('send 51 priority 100'), said.join());
});

void t.test('more groups than are made ready', async (t) => {
  const host = await backup(...Array.from({ length: 17 }, (_, index) => numbered(51 + index)));
  await host.clock.advance(DOWN_MS);
  const said = host.heard();
  t.notOk(
    said.some((one) => one.startsWith('volley')),
    said.join(),
  );
  t.ok(said.includes('send 67 priority 100'), said.join());
});

void t.test('no address comes before the one to speak from, which is gone for a moment', async (t) => {
  const host = await backup(vrrpInstance());
  host.gone.add('192.0.2.1');
  await host.clock.advance(DOWN_MS - 500);
  changeSource(host, false);
  await host.clock.advance(500);
  t.equal(host.role('outside'), 'master');
  const isOfAddresses = (words: string) => /volley|add|restore|announce/.test(words);
  t.strictSame(host.heard().filter(isOfAddresses), [], 'it would take the place of that one');
  changeSource(host, true);
  await settled();
  t.strictSame(host.heard().filter(isOfAddresses), ['restore 192.0.2.1', 'announce 192.0.2.1']);
  await host.clock.advance(1000);
  t.ok(host.heard().includes('send 51 priority 100'));
});

function changeSource(host: FakeHost, added: boolean): void {
  if (added) host.held.add(`eth0 ${OWN}`);
  else host.held.delete(`eth0 ${OWN}`);
  host.service.addressChanged({ address: OWN, interface: 'eth0', added, dadFailed: false });
}
