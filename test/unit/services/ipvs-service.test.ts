import t from 'tap';
import type { DirectorConfig } from '../../../src/config/model.js';
import type { DumpedService, IpvsOp } from '../../../src/ipvs/model.js';
import { describeOp, serviceKeyText } from '../../../src/ipvs/plan.js';
import { wholeServices } from '../../../src/planning/desired.js';
import type { Clock, Log } from '../../../src/runtime/ports.js';
import { IpvsService } from '../../../src/runtime/services/ipvs-service.js';
import type { ProbeOutcome } from '../../../src/runtime/services/services-ports.js';
import { WorkCounts } from '../../../src/runtime/services/work-counts.js';
import { oneCheck, realServer, tcpCheck, virtualServer } from '../config/servers.js';
import { directorConfig } from '../vrrp/instances.js';
import { FakeKernel } from './fake-kernel.js';

const WEB = virtualServer({
  healthChecks: oneCheck(tcpCheck({ fall: 1 })),
  realServers: [realServer('10.0.0.2'), realServer('10.0.0.3')],
});
const CONFIG: DirectorConfig = directorConfig({ virtualServers: [WEB] });
const LOG: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

/** A clock that goes on only when told: `next` jumps to the earliest time that somebody waits for. */
function handClock(): Clock & { next(): void } {
  const waiting = new Map<() => void, number>();
  let nowMs = 1_000_000;
  return {
    nowMs: () => nowMs,
    at: (atMs, callback) => {
      waiting.set(callback, atMs);
      return () => waiting.delete(callback);
    },
    next: () => {
      const [first] = [...waiting].toSorted(([, a], [, b]) => a - b);
      if (first === undefined) return;
      const [callback, atMs] = first;
      waiting.delete(callback);
      nowMs = Math.max(nowMs, atMs);
      callback();
    },
  };
}

/** The table that an earlier run left behind, with all real servers. */
function leftBehind(): DumpedService[] {
  return wholeServices([WEB]).map((service) => ({
    ...service,
    destinations: service.destinations.map((one) => ({
      ...one,
      activeConnections: 3,
      inactiveConnections: 0,
      persistentConnections: 0,
    })),
  }));
}

/** Lets everything run that waits for nothing but its turn. */
async function turns(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

/** Starts on a table left behind; verdicts come in while the first dump is under way. */
async function startDuringVerdicts(answer: (address: string) => ProbeOutcome): Promise<string[]> {
  const applied: IpvsOp[] = [];
  const probes: { address: string; resolve: (outcome: ProbeOutcome) => void }[] = [];
  let dumped = (): void => {};
  const clock = handClock();
  const service = new IpvsService(
    CONFIG,
    { ownedServices: leftBehind().map(({ key }) => serviceKeyText(key)), syncDaemons: [] },
    {
      clock,
      log: LOG,
      role: () => undefined,
      saveOwned: async () => {},
      saveSyncDaemons: async () => {},
      saveDrains: async () => {},
      counts: new WorkCounts(),
      syncInterfaces: { index: () => 1, socketFault: () => undefined },
      onVerdict: () => {},
      prober: { probe: (_check, address) => new Promise((resolve) => probes.push({ address, resolve })) },
      ipvs: {
        ...new FakeKernel().ipvs,
        dump: () =>
          new Promise((resolve) => {
            dumped = () => resolve(leftBehind());
          }),
        apply: async (ops) => {
          applied.push(...ops);
          return ops.map((op) => ({ op, error: undefined }));
        },
      },
    },
  );
  const started = service.start();
  await turns();
  // The machine paces its first probes.
  for (let round = 0; round < 10 && probes.length < WEB.realServers.length; round += 1) {
    clock.next();
    await turns();
  }
  for (const { address, resolve } of probes) resolve(answer(address));
  await turns();
  // The first comparison, and the one that the verdicts asked for.
  for (let round = 0; round < 5; round += 1) {
    dumped();
    await turns();
  }
  await started;
  // Each once: the table of this kernel stays as it is.
  const ops = [...new Set(applied.map(describeOp))];
  const stopped = service.stop(false);
  await turns();
  dumped();
  await stopped;
  return ops;
}

void t.test('verdicts that come in during a dump', async (t) => {
  t.same(await startDuringVerdicts(() => ({ ok: true })), [], 'take no healthy real server out of a table');
  const oneDown = (address: string): ProbeOutcome =>
    address === '10.0.0.3' ? { ok: false, reason: 'refused' } : { ok: true };
  t.same(
    await startDuringVerdicts(oneDown),
    ['ipvsadm -d -t 192.0.2.51:80 -r 10.0.0.3:80'],
    'take out the one that is down',
  );
});

void t.test('a real server that this host cannot ask stays as it is', async (t) => {
  const unasked = (address: string): ProbeOutcome =>
    address === '10.0.0.3' ? { ok: undefined, reason: 'no certificates' } : { ok: false, reason: 'refused' };
  t.same(
    await startDuringVerdicts(unasked),
    ['ipvsadm -d -t 192.0.2.51:80 -r 10.0.0.2:80'],
    'and holds up nothing else',
  );
});
