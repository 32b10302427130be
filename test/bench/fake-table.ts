/** Takes the place of `io/netlink/ipvs.js` in a services process where the kernel has no IPVS: a table in memory. */
import type { Destination, DumpedService, IpvsOp, Service, SyncDaemon } from '../../src/ipvs/model.js';
import { serviceKeyText } from '../../src/ipvs/plan.js';
import type { Ipvs } from '../../src/runtime/services/services-ports.js';

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

/** An empty table. */
export async function openIpvs(): Promise<Ipvs> {
  const table = new Map<string, Entry>();
  let daemons: readonly SyncDaemon[] = [];
  return {
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
