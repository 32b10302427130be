/** IPVS, its sync daemons and the sysctls of a simulated host: what outlives the services process. */
import type {
  Destination,
  DestinationCounts,
  DumpedDestination,
  DumpedService,
  DumpedSyncDaemon,
  IpvsOp,
  IpvsTimeouts,
  Service,
  ServiceKey,
  SyncDaemon,
} from '../../../src/ipvs/model.js';
import { serviceKeyText } from '../../../src/ipvs/plan.js';
import { Refused } from '../simulator/refused.js';

/** Some clients never leave: their real servers have connections for as long as they are in the table. */
function connectionsOf({ address }: Destination): DestinationCounts {
  const activeConnections = address.endsWith('1') || address.endsWith('2') ? 3 : 0;
  return { activeConnections, inactiveConnections: 0, persistentConnections: 0 };
}

function same(a: Pick<Destination, 'address' | 'port'>, b: Pick<Destination, 'address' | 'port'>): boolean {
  return a.address === b.address && a.port === b.port;
}

/** What a kernel begins with. */
export const TIMEOUTS: IpvsTimeouts = { tcpSeconds: 900, tcpFinSeconds: 120, udpSeconds: 300 };

export class Kernel {
  readonly services = new Map<string, Service>();
  readonly sysctls: Map<string, string>;
  /** IFLA_IFINDEX of the sync interface; a device that is made anew has another. */
  interfaceIndex = 2;
  timeouts = TIMEOUTS;
  /** The ruleset that nft made the table for `fullnat` of, while there is one. */
  rules: string | undefined;
  #daemons: SyncDaemon[] = [];

  constructor(sysctls: Iterable<readonly [string, string]>) {
    this.sysctls = new Map(sysctls);
  }

  dump(): DumpedService[] {
    return [...this.services.values()].map((service) => ({
      ...service,
      destinations: this.destinations(service.key),
    }));
  }

  destinations(key: ServiceKey): DumpedDestination[] {
    const { destinations = [] } = this.services.get(serviceKeyText(key)) ?? {};
    return destinations.map((one) => ({ ...one, ...connectionsOf(one) }));
  }

  /** ip_vs_genl_set_cmd. */
  apply(op: IpvsOp): void {
    if (op.op === 'add-service' || op.op === 'edit-service') return this.#setService(op);
    const text = serviceKeyText(op.key);
    const service = this.services.get(text);
    if (service === undefined) throw new Refused('ESRCH');
    if (op.op === 'delete-service') {
      this.services.delete(text);
      return;
    }
    const { destination } = op;
    const others = service.destinations.filter((one) => !same(one, destination));
    const isThere = others.length < service.destinations.length;
    if (op.op === 'add-destination' && isThere) throw new Refused('EEXIST');
    if (op.op !== 'add-destination' && !isThere) throw new Refused('ENOENT');
    const destinations = op.op === 'delete-destination' ? others : [...others, destination];
    this.services.set(text, { ...service, destinations });
  }

  #setService({ op, service }: Extract<IpvsOp, { service: Service }>): void {
    const text = serviceKeyText(service.key);
    const before = this.services.get(text);
    if (op === 'add-service' && before !== undefined) throw new Refused('EEXIST');
    if (op === 'edit-service' && before === undefined) throw new Refused('ESRCH');
    this.services.set(text, { ...service, destinations: before?.destinations ?? [] });
  }

  get daemons(): readonly DumpedSyncDaemon[] {
    return this.#daemons;
  }

  startDaemon(daemon: SyncDaemon): void {
    if (this.#daemons.some(({ state }) => state === daemon.state)) throw new Refused('EEXIST');
    const { state, interface: name, syncid } = daemon;
    this.#daemons.push({ state, interface: name, syncid });
  }

  stopDaemon(state: SyncDaemon['state']): void {
    const left = this.#daemons.filter((one) => one.state !== state);
    if (left.length === this.#daemons.length) throw new Refused('ESRCH');
    this.#daemons = left;
  }
}
