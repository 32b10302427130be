/** Takes the place of `io/netlink/ipvs.js` in a services process where the kernel has no IPVS: a table in memory. */
import {
  type CountedService,
  type Destination,
  type DumpedService,
  type IpvsOp,
  NO_TRAFFIC,
  type Service,
  type SyncDaemon,
} from '../../src/ipvs/model.js';
import { serviceKeyText } from '../../src/ipvs/plan.js';
import type { Ipvs, IpvsCounters } from '../../src/runtime/services/services-ports.js';

interface Entry {
  service: Service;
  readonly destinations: Map<string, Destination>;
}

const NO_COUNTS = { activeConnections: 0, inactiveConnections: 0, persistentConnections: 0 };

function keyOf({ address, port }: Destination): string {
  return `${address} ${port}`;
}

function dumped({ service, destinations }: Entry): DumpedService {
  return { ...service, destinations: [...destinations.values()].map((one) => ({ ...one, ...NO_COUNTS })) };
}

function applyTo(table: Map<string, Entry>, op: IpvsOp): void {
  const key = serviceKeyText('service' in op ? op.service.key : op.key);
  const entry = table.get(key);
  switch (op.op) {
    case 'add-service':
      table.set(key, { service: op.service, destinations: new Map() });
      return;
    case 'edit-service':
      if (entry !== undefined) entry.service = op.service;
      return;
    case 'delete-service':
      table.delete(key);
      return;
    case 'delete-destination':
      entry?.destinations.delete(keyOf(op.destination));
      return;
    default:
      entry?.destinations.set(keyOf(op.destination), op.destination);
  }
}

/** The kernel's answer, too, comes in a later turn of the event loop. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

function counted({ service, destinations }: Entry): CountedService {
  return {
    key: service.key,
    stats: NO_TRAFFIC,
    destinations: [...destinations.values()].map(({ address, port, weight }) => ({
      address,
      port,
      weight,
      ...NO_COUNTS,
      stats: NO_TRAFFIC,
    })),
  };
}

/** One for all who open it, empty at first. */
const table = new Map<string, Entry>();

export async function openIpvs(): Promise<Ipvs & IpvsCounters> {
  let daemons: readonly SyncDaemon[] = [];
  return {
    read: async () => {
      await turn();
      return [...table.values()].map(counted);
    },
    dump: async () => {
      await turn();
      return [...table.values()].map(dumped);
    },
    destinations: async (key) => {
      const entry = table.get(serviceKeyText(key));
      return entry === undefined ? [] : [...dumped(entry).destinations];
    },
    apply: async (ops) => {
      await turn();
      for (const op of ops) applyTo(table, op);
      await turn();
      return ops.map((op) => ({ op, error: undefined }));
    },
    syncDaemons: async () => [...daemons],
    startSyncDaemon: async (daemon) => {
      daemons = [...daemons, daemon];
    },
    stopSyncDaemon: async (state) => {
      daemons = daemons.filter((daemon) => daemon.state !== state);
    },
    timeouts: async () => ({ tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 300 }),
    setTimeouts: async () => {},
    info: async () => ({ version: 'a fake of the bench', connectionTableSize: 4096 }),
    close: () => {},
  };
}
