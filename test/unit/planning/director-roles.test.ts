/** How the director tells its roles: hundreds of groups that take over change them one after the other. */
import t from 'tap';
import { Director } from '../../../src/runtime/director.js';
import type { ToServices } from '../../../src/runtime/services/services-messages.js';
import { FakeHost } from '../election/vrrp-service-bench.js';
import { settled } from '../hand-clock.js';
import { configuration, vrrpInstance } from '../vrrp/instances.js';

const GROUPS = 50;
/** Master_Down_Interval at priority 100 and 1 s: 3000 + 156/256 * 1000. */
const DOWN_MS = 3610;

const nothing = async (): Promise<void> => {};

/** A director of so many groups on one interface, and what its services process is told. */
async function start(groups: number): Promise<{ host: FakeHost; director: Director; told: ToServices[] }> {
  const host = new FakeHost();
  const told: ToServices[] = [];
  const instances = Array.from({ length: groups }, (_, n) =>
    vrrpInstance({
      name: `vr${n + 1}`,
      virtualRouterId: n + 1,
      addresses: [{ address: `192.0.2.${n + 101}`, prefixLength: 24, interface: 'eth0' }],
    }),
  );
  const director = await Director.start(configuration({ instances }), {
    ...host.ports,
    openLinkMonitor: async () => host.ports.links,
    startServices: (handlers) => ({
      pid: 1,
      backlog: 0,
      send: (message) => {
        told.push(message);
        if (message.type === 'configure')
          setImmediate(() => handlers.onMessage({ type: 'ready', serial: message.serial }));
        if (message.type === 'ping') handlers.onMessage({ type: 'pong' });
      },
      kill: () => {},
    }),
    load: async () => ({ ok: false, faults: [], untold: 0 }),
    loopDelay: { read: () => ({ max_ms: 0, p99_ms: 0 }), close: () => {} },
    logStatus: () => ({ lines_lost: 0, failed_writes: 0, error: null }),
    maintenanceFile: { load: async () => [], save: nothing },
    stateFile: { load: async () => ({ addresses: [] }), save: nothing, remove: nothing },
    beforeElection: () => {},
    started: '2026-01-01T00:00:00.000Z',
  });
  await settled();
  return { host, director, told };
}

void t.test(
  'a takeover of many groups tells the roles a few times, and asks the kernel nothing for it',
  async (t) => {
    const { host, director, told } = await start(GROUPS);
    const words: string[] = [];
    director.watchRoles((roles) => words.push(roles));
    await host.clock.advance(100);
    t.match(words.at(-1), /^backup of /);
    told.length = 0;
    host.unreadAsked = 0;
    await host.clock.advance(DOWN_MS);
    const roles = told.filter((one) => one.type === 'roles');
    t.match(roles.at(-1)?.roles, {
      vr1: { state: 'master' },
      [`vr${GROUPS}`]: { state: 'master', settled: true },
    });
    t.match(words.at(-1), /^master of /);
    t.ok(roles.length < GROUPS / 5, `${roles.length} times`);
    t.equal(host.unreadAsked, 0);
  },
);

void t.test('one change of role is told at once', async (t) => {
  const { host, told } = await start(1);
  await host.clock.advance(DOWN_MS - 1);
  told.length = 0;
  await host.clock.advance(1);
  const last = told.findLast((one) => one.type === 'roles');
  t.match(last?.roles, { vr1: { state: 'master' } });
});

void t.test(
  'status asks the kernel once for each interface, and every instance has its counters',
  async (t) => {
    const { host, director } = await start(GROUPS);
    host.unreadAsked = 0;
    const { instances } = director.status();
    t.equal(host.unreadAsked, 1);
    t.ok(instances.every(({ counters }) => counters['discarded_unread'] === 1));
  },
);
