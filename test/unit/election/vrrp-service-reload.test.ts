/** Reloads of the shell around the election, on a fake host. */
import t from 'tap';
import type { TrackedObject } from '../../../src/config/model.js';
import { settled } from '../hand-clock.js';
import { directorConfig, vrrpInstance } from '../vrrp/instances.js';
import { FakeHost } from './vrrp-service-bench.js';

/** Master_Down_Interval at priority 100 and 1 s: 3000 + 156/256 * 1000. */
const DOWN_MS = 3610;

const DISK: TrackedObject = {
  name: 'disk',
  kind: { type: 'script', command: ['/x'], user: undefined, timeoutMs: 1000 },
  intervalMs: 1000,
  rise: 1,
  fall: 1,
  debounceMs: 0,
};

void t.test('a group that begins to track knows the verdicts there are', async (t) => {
  const host = new FakeHost();
  const [one, two] = [
    vrrpInstance({ name: 'one', track: [{ object: 'disk', weight: undefined }] }),
    vrrpInstance({ name: 'two', virtualRouterId: 52 }),
  ];
  await host.start(directorConfig({ instances: [one, two], tracked: [DISK] }));
  host.service.tracked('disk', 'down');
  await host.clock.advance(DOWN_MS);
  t.equal(host.service.role('two'), 'master');
  const tracking = { ...two, track: one.track };
  await host.service.reconfigure(directorConfig({ instances: [one, tracking], tracked: [DISK] }));
  await settled();
  t.equal(host.service.role('two'), 'fault', 'as one that was there from the start');
});

void t.test('an end during a reload is the end: nothing of the new file begins', async (t) => {
  const host = new FakeHost();
  await host.start(directorConfig({ instances: [vrrpInstance()] }));
  await host.clock.advance(DOWN_MS);
  const fresh = vrrpInstance({ name: 'fresh', virtualRouterId: 60 });
  const reloaded = host.service.reconfigure(directorConfig({ instances: [fresh] }));
  const stopped = host.service.stop();
  await host.clock.advance(DOWN_MS);
  await Promise.all([reloaded, stopped]);
  t.equal(host.service.role('fresh'), undefined);
  t.strictSame(host.service.status(), []);
  t.equal(host.heard().filter((words) => words.startsWith('remove ')).length, 1, 'the address is gone');
});
