/**
 * What to tell a peer of a connection of /proc/net/ip_vs_conn: the kernel's file has neither flags nor firewall marks, so the
 * table of virtual servers is asked for them. Pure.
 */
import type { Connection } from '../ipvs/connections.js';
import type { Destination, ForwardingMethod, Service, ServiceKey } from '../ipvs/model.js';
import { type AddressFamily, addressBytes, familyOf } from '../util/ip-address.js';
import type { SyncConnection } from './message.js';
import {
  ACTIVE_TCP_STATES,
  CONN_F,
  PE_DATA_MAX,
  PE_NAME_MAX,
  PROTOCOLS,
  SCTP_STATES,
  TCP_STATES,
  TEMPLATE_STATES,
} from './uapi.js';

/** Why neither the peer is told of a connection nor its digest has it. */
export type Untellable =
  /** Its virtual server has its real server no more: nobody knows how it is forwarded. */
  | 'no real server'
  /** Client and real server are of two families (a tunnel), which the protocol cannot say. */
  | 'two families'
  /** A protocol, state or persistence engine that is unknown here. */
  | 'unknown kind';

export interface TableEntry {
  readonly connection: SyncConnection;
  /**
   * False: no virtual server here has such connections, as on a backup where virtual servers of a VRRP instance are the master's
   * alone. It is there, and the forwarding method in its flags is none that is known.
   */
  readonly isServed: boolean;
}

const FORWARDING: Readonly<Record<ForwardingMethod, number>> = {
  masq: 0,
  local: 1,
  tunnel: 2,
  droute: 3,
  bypass: 4,
};

const FTP_PORT = 21;
/** Both ports of a template whose real server was gone when it was asked for (`ip_vs_check_template`). */
const INVALIDATED_PORT = 0xffff;
/** The kernel writes what is left of a timer without a sign: more than this is a timer that is overdue. */
const MAX_SECONDS = 0x7fffffff;

/** A virtual server with its real servers by address and port. */
interface IndexedService {
  readonly fwmark: number;
  readonly timeoutSeconds: number;
  readonly byEndpoint: ReadonlyMap<string, Destination>;
  readonly byAddress: ReadonlyMap<string, Destination>;
}

interface Found {
  readonly service: IndexedService;
  readonly destination: Destination;
}

const UNSERVED: IndexedService = {
  fwmark: 0,
  timeoutSeconds: 0,
  byEndpoint: new Map(),
  byAddress: new Map(),
};

export class TableEntries {
  readonly #byKey = new Map<string, IndexedService>();
  /** With a firewall mark, by family. */
  readonly #marked: Readonly<Record<AddressFamily, IndexedService[]>> = { ipv4: [], ipv6: [] };

  /** `table`: as it is in the kernel at this time. */
  constructor(table: readonly Service[]) {
    for (const service of table) {
      const indexed = indexedService(service);
      this.#byKey.set(keyText(service.key), indexed);
      if ('fwmark' in service.key) this.#marked[service.key.family].push(indexed);
    }
  }

  entryOf(connection: Connection): TableEntry | Untellable {
    const { client, virtual, destination } = connection;
    const isTemplate = client.port === 0 && isTemplateState(connection.state);
    const protocol = protocolNumber(connection.protocol);
    const state = protocol === undefined ? undefined : stateNumber(connection, protocol, isTemplate);
    if (protocol === undefined || state === undefined) return 'unknown kind';
    const persistence = persistenceOf(connection);
    if (persistence === undefined) return 'unknown kind';
    const family = familyOf(client.address);
    if (familyOf(destination.address) !== family) return 'two families';
    const isInvalidated =
      isTemplate && virtual.port === INVALIDATED_PORT && destination.port === INVALIDATED_PORT;
    const found = isInvalidated ? 'no real server' : this.#find(connection, protocol, isTemplate);
    if (found === 'no real server') return found;
    const service = found?.service ?? UNSERVED;
    const clientAddress = addressBytes(client.address);
    const virtualAddress = addressBytes(virtual.address);
    const destinationAddress = addressBytes(destination.address);
    if (clientAddress === undefined || virtualAddress === undefined || destinationAddress === undefined)
      return 'unknown kind';
    const told: SyncConnection = {
      protocol,
      flags: flagsOf(connection, protocol, isTemplate, found?.destination.forwarding ?? 'masq'),
      state,
      clientAddress,
      clientPort: client.port,
      virtualAddress,
      virtualPort: virtual.port,
      destinationAddress,
      destinationPort: destination.port,
      fwmark: service.fwmark,
      timeoutSeconds: timeoutOf(connection, isTemplate, service),
      ...persistence,
    };
    return { connection: told, isServed: found !== undefined };
  }

  /**
   * As `ip_vs_find_dest` finds it at the backup, and where that finds none (a data connection of FTP), by address alone.
   * Undefined: there is no such virtual server.
   */
  #find(
    { virtual, destination }: Connection,
    protocol: number,
    isTemplate: boolean,
  ): Found | 'no real server' | undefined {
    const family = familyOf(virtual.address);
    const candidates: IndexedService[] = [];
    const add = (service: IndexedService | undefined): void => {
      if (service !== undefined) candidates.push(service);
    };
    if (isTemplate && protocol === PROTOCOLS.IP) {
      add(this.#byKey.get(keyText({ family, fwmark: markOf(virtual.address) })));
    } else {
      // The port's own virtual server, that of all ports, that of FTP, which has connections to other ports too.
      for (const port of [virtual.port, 0, ...(protocol === PROTOCOLS.TCP ? [FTP_PORT] : [])])
        add(this.#byKey.get(keyText({ family, protocol, address: virtual.address, port })));
      candidates.push(...this.#marked[family]);
    }
    for (const service of candidates) {
      const endpoint =
        service.byEndpoint.get(endpointKey(destination.address, destination.port)) ??
        service.byEndpoint.get(endpointKey(destination.address, 0));
      if (endpoint !== undefined) return { service, destination: endpoint };
    }
    for (const service of candidates) {
      const server = service.byAddress.get(destination.address);
      if (server !== undefined) return { service, destination: server };
    }
    return candidates.length === 0 ? undefined : 'no real server';
  }
}

function indexedService({ key, timeoutSeconds, destinations }: Service): IndexedService {
  return {
    fwmark: 'fwmark' in key ? key.fwmark : 0,
    timeoutSeconds,
    byEndpoint: new Map(destinations.map((one) => [endpointKey(one.address, one.port), one])),
    byAddress: new Map(destinations.map((one) => [one.address, one])),
  };
}

function endpointKey(address: string, port: number): string {
  return `${address} ${port}`;
}

function keyText(key: ServiceKey): string {
  if ('fwmark' in key) return `${key.family} ${key.fwmark}`;
  return `${key.protocol} ${key.address} ${key.port}`;
}

/** The first four bytes of the virtual address (`union nf_inet_addr`). */
function markOf(address: string): number {
  const bytes = addressBytes(address);
  return bytes === undefined ? 0 : new DataView(bytes.buffer, bytes.byteOffset).getUint32(0);
}

function protocolNumber(text: string): number | undefined {
  const known: Readonly<Record<string, number>> = PROTOCOLS;
  return Object.hasOwn(known, text) ? known[text] : undefined;
}

/** Kernels before 4.19 say of a template what they would say of a connection in state 0. */
function isTemplateState(state: string): boolean {
  return state === 'UDP' || TEMPLATE_STATES.some((known) => known === state);
}

function stateNumber({ state }: Connection, protocol: number, isTemplate: boolean): number | undefined {
  if (isTemplate) return state === 'ASSURED' ? 1 : 0;
  if (protocol === PROTOCOLS.TCP) return indexIn(TCP_STATES, state);
  if (protocol === PROTOCOLS.SCTP) return indexIn(SCTP_STATES, state);
  return 0;
}

function indexIn(states: readonly string[], state: string): number | undefined {
  const index = states.indexOf(state);
  return index === -1 ? undefined : index;
}

/** A new connection and a template count as inactive (`__ip_vs_update_dest`) until their protocol says otherwise. */
function flagsOf(
  { client, state }: Connection,
  protocol: number,
  isTemplate: boolean,
  forwarding: ForwardingMethod,
): number {
  const isActive =
    !isTemplate &&
    ((protocol === PROTOCOLS.TCP && ACTIVE_TCP_STATES.has(state)) ||
      (protocol === PROTOCOLS.SCTP && state === 'ESTABLISHED'));
  return (
    FORWARDING[forwarding] |
    (forwarding === 'masq' ? 0 : CONN_F.NOOUTPUT) |
    (isActive ? 0 : CONN_F.INACTIVE) |
    (isTemplate ? CONN_F.TEMPLATE : 0) |
    (client.port === 0 && !isTemplate ? CONN_F.NO_CPORT : 0)
  );
}

/**
 * A backup starts the timer of an entry anew with what it is told, and every further packet or connection does with that or
 * with what the state has. For a template that is what it was told, so that is the persistence timeout, as the kernel
 * tells; a connection has what is left of its time. 0 would mean the state's own.
 */
function timeoutOf({ expiresSeconds }: Connection, isTemplate: boolean, service: IndexedService): number {
  if (isTemplate && service.timeoutSeconds > 0) return service.timeoutSeconds;
  return expiresSeconds > MAX_SECONDS ? 1 : Math.max(1, expiresSeconds);
}

function persistenceOf({
  persistenceEngine,
  persistenceData,
}: Connection): Pick<SyncConnection, 'persistenceData' | 'persistenceEngine'> | undefined {
  if (persistenceEngine === undefined || persistenceData === undefined) return {};
  if (persistenceEngine.length > PE_NAME_MAX || persistenceData.length > PE_DATA_MAX) return undefined;
  return { persistenceData: latin1(persistenceData), persistenceEngine: latin1(persistenceEngine) };
}

/** The file is read so. */
function latin1(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}
