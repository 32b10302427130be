/** A fake kernel that holds a table, and the service that keeps it. */
import type { DirectorConfig } from '../../../src/config/model.js';
import type { DumpedDestination, DumpedService, IpvsOp } from '../../../src/ipvs/model.js';
import { describeOp, destinationKeyText, serviceKeyText } from '../../../src/ipvs/plan.js';
import type { Log } from '../../../src/runtime/ports.js';
import { IpvsService } from '../../../src/runtime/services/ipvs-service.js';
import type { Ipvs, ProbeOutcome, Prober } from '../../../src/runtime/services/services-ports.js';
import { WorkCounts } from '../../../src/runtime/services/work-counts.js';

/** Takes every op as ip_vs_ctl.c does. */
export class FakeKernel {
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

/** A service on it, and a clock that `pass` moves. `answer`: of each probe, or who probes. */
export async function running(
  config: DirectorConfig,
  leftovers: { drains?: Record<string, number> } = {},
  kernel = new FakeKernel(),
  answer: ((address: string) => ProbeOutcome) | Prober = () => ({ ok: true }),
) {
  const lines: string[] = [];
  const say = (_fields: object, message: string): void => void lines.push(message);
  const log: Log = { debug: () => {}, info: say, warn: say, error: say };
  const timers = new Map<() => void, number>();
  const counts = new WorkCounts();
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
      prober: typeof answer === 'function' ? { probe: async (_check, address) => answer(address) } : answer,
      counts,
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
  return { kernel, service, lines, pass, saved: () => saved, counted: () => counts.report(nowMs) };
}
