/** The table over time: a fake kernel that holds one, and somebody who tampers with it. */
import t from 'tap';
import { DRAIN_LIMIT_MS } from '../../../src/ipvs/drain.js';
import type { DumpedDestination, DumpedService, IpvsOp } from '../../../src/ipvs/model.js';
import { describeOp, destinationKeyText, serviceKeyText } from '../../../src/ipvs/plan.js';
import type { Log } from '../../../src/runtime/ports.js';
import { IpvsService } from '../../../src/runtime/services/ipvs-service.js';
import type { Ipvs } from '../../../src/runtime/services/services-ports.js';
import { realServer, virtualServer } from '../config/servers.js';
import { directorConfig } from '../vrrp/instances.js';

const WEB = virtualServer({ realServers: [2, 3].map((host) => realServer(`10.0.0.${host}`)) });
const BOTH = directorConfig({ virtualServers: [WEB] });
const ONE = directorConfig({ virtualServers: [{ ...WEB, realServers: WEB.realServers.slice(0, 1) }] });

/** Takes every op as ip_vs_ctl.c does. */
class Kernel {
  readonly table = new Map<string, DumpedService>();
  readonly ops: string[] = [];
  readonly ipvs: Ipvs = {
    dump: async () => [...this.table.values()],
    destinations: async (key) => [...(this.table.get(serviceKeyText(key))?.destinations ?? [])],
    apply: async (ops) => {
      for (const op of ops) this.#apply(op);
      return ops.map((op) => ({ op, error: undefined }));
    },
    syncDaemons: async () => [],
    startSyncDaemon: async () => {},
    stopSyncDaemon: async () => {},
    timeouts: async () => ({ tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 300 }),
    setTimeouts: async () => {},
    info: async () => ({ version: '1.2.1', connectionTableSize: 4096 }),
    close: () => {},
  };

  /** As `HOST weight WEIGHT`. */
  get servers(): string[] {
    return [...this.table.values()].flatMap(({ destinations }) =>
      destinations.map(({ address, weight }) => `${address} weight ${weight}`),
    );
  }

  connections(count: number): void {
    for (const [key, service] of this.table) {
      const destinations = service.destinations.map((one) => ({ ...one, activeConnections: count }));
      this.table.set(key, { ...service, destinations });
    }
  }

  #apply(op: IpvsOp): void {
    this.ops.push(describeOp(op));
    if (op.op === 'add-service' || op.op === 'edit-service') {
      const key = serviceKeyText(op.service.key);
      const destinations = op.op === 'edit-service' ? (this.table.get(key)?.destinations ?? []) : [];
      this.table.set(key, { ...op.service, destinations });
      return;
    }
    const key = serviceKeyText(op.key);
    const service = this.table.get(key);
    if (op.op === 'delete-service') this.table.delete(key);
    if (service === undefined || op.op === 'delete-service') return;
    const others = service.destinations.filter(
      (one) => destinationKeyText(one) !== destinationKeyText(op.destination),
    );
    const before = service.destinations.find(
      (one) => destinationKeyText(one) === destinationKeyText(op.destination),
    );
    const { activeConnections = 0, inactiveConnections = 0, persistentConnections = 0 } = before ?? {};
    const now: DumpedDestination = {
      ...op.destination,
      activeConnections,
      inactiveConnections,
      persistentConnections,
    };
    const destinations = op.op === 'delete-destination' ? others : [...others, now];
    this.table.set(key, { ...service, destinations });
  }
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

async function running(
  leftovers: { drains?: Record<string, number> } = {},
  kernel = new Kernel(),
  config = BOTH,
) {
  const lines: string[] = [];
  const say = (_fields: object, message: string): void => void lines.push(message);
  const log: Log = { debug: () => {}, info: say, warn: say, error: say };
  const timers = new Map<() => void, number>();
  let nowMs = 0;
  let saved: Readonly<Record<string, number>> = {};
  const service = new IpvsService(
    config,
    { ownedServices: [], syncDaemons: [], ...leftovers },
    {
      clock: {
        nowMs: () => nowMs,
        at: (atMs, callback) => {
          const own = (): void => callback();
          timers.set(own, atMs);
          return () => timers.delete(own);
        },
      },
      log,
      ipvs: kernel.ipvs,
      prober: { probe: async () => ({ ok: true }) },
      syncInterfaces: { index: () => 1, socketFault: () => undefined },
      role: () => undefined,
      saveOwned: async () => {},
      saveSyncDaemons: async () => {},
      saveDrains: async (times) => {
        saved = times;
      },
      onVerdict: () => {},
    },
  );
  await service.start();
  const pass = async (ms: number): Promise<void> => {
    const untilMs = nowMs + ms;
    for (;;) {
      const [first] = [...timers].toSorted(([, a], [, b]) => a - b);
      if (first === undefined || first[1] > untilMs) break;
      timers.delete(first[0]);
      nowMs = Math.max(nowMs, first[1]);
      first[0]();
      await turns();
    }
    nowMs = untilMs;
  };
  return { kernel, service, lines, pass, saved: () => saved };
}

const KEY = 'tcp 192.0.2.51:80 -> 10.0.0.3:80';

void t.test('a table that somebody empties is whole after a second, and it is told', async (t) => {
  const { kernel, lines, pass } = await running();
  t.same(kernel.servers, ['10.0.0.2 weight 1', '10.0.0.3 weight 1']);
  kernel.table.clear();
  await pass(1000);
  t.same(kernel.servers, ['10.0.0.2 weight 1', '10.0.0.3 weight 1']);
  t.same(lines, ['somebody changed the IPVS table (1 virtual server gone, 2 real servers gone): repaired']);
  await pass(60_000);
  t.equal(lines.length, 1, 'once');
});

void t.test('a rival who empties it every second is met at a pace', async (t) => {
  const { kernel, lines, pass } = await running();
  for (let second = 0; second < 600; second += 1) {
    kernel.table.clear();
    await pass(1000);
  }
  t.ok(lines.length >= 20 && lines.length <= 45, `${lines.length} repairs in ten minutes`);
});

void t.test('a real server that a reload removes drains', async (t) => {
  const { kernel, service, pass, saved } = await running();
  kernel.connections(1);
  await service.reconfigure(ONE);
  t.same(kernel.servers.toSorted(), ['10.0.0.2 weight 1', '10.0.0.3 weight 0']);
  t.same(saved(), { [KEY]: 0 }, 'known to a process that comes after');
  await pass(5000);
  t.match(service.status(), [
    { draining: [{ address: '10.0.0.3', port: 80, active_connections: 1, at_most_s: 25 }] },
  ]);
  kernel.connections(0);
  await pass(1000);
  t.same(kernel.servers, ['10.0.0.2 weight 1'], 'gone when nothing is left');
  t.same(saved(), {});
  t.notOk(Object.hasOwn(service.status()[0] ?? {}, 'draining'));
});

void t.test('it is gone after the limit, and stays when it is back in the file', async (t) => {
  const { kernel, service, pass } = await running();
  kernel.connections(1);
  await service.reconfigure(ONE);
  await pass(DRAIN_LIMIT_MS - 2000);
  t.equal(kernel.servers.length, 2);
  await service.reconfigure(BOTH);
  t.same(kernel.servers.toSorted(), ['10.0.0.2 weight 1', '10.0.0.3 weight 1']);
  await pass(DRAIN_LIMIT_MS);
  t.equal(kernel.servers.length, 2, 'no longer due');
  await service.reconfigure(ONE);
  await pass(DRAIN_LIMIT_MS - 1000);
  t.equal(kernel.servers.length, 2, 'its time counts anew');
  await pass(2000);
  t.equal(kernel.servers.length, 1);
});

void t.test('the next process goes on where this one was', async (t) => {
  const before = await running();
  before.kernel.connections(1);
  await before.service.reconfigure(ONE);
  const { kernel } = before;
  const after = await running({ drains: { [KEY]: -20_000 } }, kernel, ONE);
  t.equal(kernel.servers.length, 2);
  await after.pass(11_000);
  t.equal(kernel.servers.length, 1, 'ten seconds were left');
});
