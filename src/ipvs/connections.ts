/**
 * Lines of /proc/net/ip_vs_conn (`ip_vs_conn_seq_show`, ip_vs_conn.c), and the look of `ipvsadm -Lnc` (ipvsadm 1.31). Pure.
 * IPv4 addresses are eight hexadecimal digits there, IPv6 addresses text with all their zeros, ports four hexadecimal digits.
 */
import { addressText, canonicalAddress, endpointText, familyOf } from '../util/ip-address.js';

export interface Endpoint {
  readonly address: string;
  readonly port: number;
}

/** An entry of the connection table; a persistence template is one, too, with port 0 and the state NONE or ASSURED. */
export interface Connection {
  /** `TCP`, `UDP` or `SCTP`; `IP` for the template of a firewall mark, whose virtual address is the mark. */
  readonly protocol: string;
  readonly client: Endpoint;
  readonly virtual: Endpoint;
  readonly destination: Endpoint;
  /** In the kernel's words, such as `ESTABLISHED`. */
  readonly state: string;
  /** Until it goes, if no packet comes. */
  readonly expiresSeconds: number;
  readonly persistenceEngine?: string;
  /** What the persistence engine knows a client by, such as a SIP Call-ID. */
  readonly persistenceData?: string;
}

/** How the first line begins; the columns of the persistence engine are younger than the others. */
const TITLE = 'Pro FromIP';
const IPV4_HEX = /^[0-9A-F]{8}$/;
const PORT_HEX = /^[0-9A-F]{4}$/;
const SECONDS = /^\d+$/;

/** Undefined for a line that is no connection: the first one, an empty one, or what no kernel is known to write. */
export function parseConnection(line: string): Connection | undefined {
  const [protocol, from, fromPort, to, toPort, via, viaPort, state, expires, engine, data] = line
    .trim()
    .split(/ +/);
  const client = endpointOf(from, fromPort);
  const virtual = endpointOf(to, toPort);
  const destination = endpointOf(via, viaPort);
  if (client === undefined || virtual === undefined || destination === undefined) return undefined;
  if (protocol === undefined || state === undefined || !SECONDS.test(expires ?? '')) return undefined;
  const connection = { protocol, client, virtual, destination, state, expiresSeconds: Number(expires) };
  if (engine === undefined || data === undefined) return connection;
  return { ...connection, persistenceEngine: engine, persistenceData: data };
}

/** Whether a line without a connection is one that has to be there. */
export function isTitleOrEmpty(line: string): boolean {
  return line.trim() === '' || line.startsWith(TITLE);
}

function endpointOf(address: string | undefined, port: string | undefined): Endpoint | undefined {
  if (address === undefined || port === undefined || !PORT_HEX.test(port)) return undefined;
  const text = IPV4_HEX.test(address) ? ipv4Of(address) : ipv6Of(address);
  return text === undefined ? undefined : { address: text, port: Number.parseInt(port, 16) };
}

function ipv4Of(hex: string): string | undefined {
  const value = Number.parseInt(hex, 16);
  return addressText(Uint8Array.of(value >>> 24, value >>> 16, value >>> 8, value));
}

function ipv6Of(text: string): string | undefined {
  if (familyOf(text) !== 'ipv6') return undefined;
  try {
    return canonicalAddress(text);
  } catch {
    return undefined;
  }
}

/** An address, and a port unless all are meant. */
export interface EndpointFilter {
  readonly address: string;
  /** Null: every port. */
  readonly port: number | null;
}

/** Whether `endpoint` is meant; without a filter every one is. */
export function isMeant(endpoint: Endpoint, filter: EndpointFilter | undefined): boolean {
  if (filter === undefined) return true;
  return endpoint.address === filter.address && (filter.port === null || endpoint.port === filter.port);
}

/** The two lines above the connections, with a closing line break. `withEngine`: as with `--persistent-conn`. */
export function connectionsHead(withEngine: boolean): string {
  const titles = ['state'.padEnd(11), 'source'.padEnd(18), 'virtual'.padEnd(18)];
  const last = withEngine ? `${'destination'.padEnd(18)} ${'pe name'.padEnd(16)} pe_data` : 'destination';
  return `IPVS connection entries\npro expire ${titles.join(' ')} ${last}\n`;
}

/** One line, with its line break. What is longer than its column makes the column wider, as there. */
export function connectionLine(connection: Connection, withEngine: boolean): string {
  const { protocol, client, virtual, destination, state, persistenceEngine, persistenceData } = connection;
  const common = [
    protocol.padEnd(3),
    expiryText(connection.expiresSeconds).padEnd(6),
    state.padEnd(11),
    textOf(client).padEnd(18),
    textOf(virtual).padEnd(18),
  ].join(' ');
  const to = textOf(destination);
  if (!withEngine || persistenceEngine === undefined || persistenceData === undefined)
    return `${common} ${to}\n`;
  return `${common} ${to.padEnd(16)} ${persistenceEngine.padEnd(18)} ${persistenceData}\n`;
}

function textOf({ address, port }: Endpoint): string {
  return endpointText(address, port);
}

/** Minutes and seconds; hours are counted as minutes. */
function expiryText(seconds: number): string {
  const two = (value: number) => String(value).padStart(2, '0');
  return `${two(Math.floor(seconds / 60))}:${two(seconds % 60)}`;
}
