/** What `director top` shows: the kernel's counters of one look against those of the look before it, and what the director says. Pure. */
import { inOrder } from '../../ipvs/format.js';
import {
  type CountedDestination,
  type CountedService,
  type DestinationCounts,
  NO_TRAFFIC,
  type ServiceKey,
  type TrafficStats,
} from '../../ipvs/model.js';
import { serviceKeyText } from '../../ipvs/plan.js';
import { IPPROTO } from '../../ipvs/uapi.js';
import type { DirectorStatus, VirtualServerStatus } from '../../runtime/status.js';
import { endpointText } from '../../util/ip-address.js';

/** One look. */
export interface TopSample {
  /** By a clock that only goes forward. */
  readonly atMs: number;
  readonly services: readonly CountedService[];
  /** Undefined where no director answers. */
  readonly status: Pick<DirectorStatus, 'director' | 'virtual_servers'> | undefined;
}

/** Connections now, and what comes and goes in a second. */
export interface TopNumbers {
  readonly activeConnections: number;
  readonly inactiveConnections: number;
  readonly connectionsPerSecond: number;
  readonly incomingPacketsPerSecond: number;
  readonly outgoingPacketsPerSecond: number;
  readonly incomingBytesPerSecond: number;
  readonly outgoingBytesPerSecond: number;
}

export interface TopRealServer extends TopNumbers {
  readonly address: string;
  readonly port: number;
  /** Null where the kernel's table does not have it. */
  readonly weight: number | null;
  /** Of the director: `up`, `down`, `unknown`, `unchecked`, `disabled`, `draining` or `sorry`; null where it says nothing. */
  readonly state: string | null;
}

export interface TopService extends TopNumbers {
  /** Of the configuration; null for a service of somebody else, or where no director answers. */
  readonly name: string | null;
  readonly key: ServiceKey;
  /** Whether the kernel's table has it. */
  readonly inTable: boolean;
  /** Of the director: `sorry`, `panic`, or how many of its real servers serve, such as `2/3 up`; null where it says nothing. */
  readonly state: string | null;
  readonly realServers: readonly TopRealServer[];
}

export interface TopView {
  /** Name of this host's director; null where none answers. */
  readonly director: string | null;
  /** Since the look before, over which the rates were counted; null for the first one, whose rates are the kernel's estimates. */
  readonly sinceMs: number | null;
  readonly total: TopNumbers;
  /** In the order of `ipvsadm -Ln`. */
  readonly services: readonly TopService[];
}

const RATES = {
  connectionsPerSecond: 'connections',
  incomingPacketsPerSecond: 'incomingPackets',
  outgoingPacketsPerSecond: 'outgoingPackets',
  incomingBytesPerSecond: 'incomingBytes',
  outgoingBytesPerSecond: 'outgoingBytes',
} as const satisfies Partial<Record<keyof TopNumbers, keyof TrafficStats>>;

type Rate = keyof typeof RATES;
type Rates = Pick<TopNumbers, Rate>;

const PROTOCOLS: ReadonlyMap<string, number> = new Map(
  Object.entries(IPPROTO).map(([name, number]) => [name.toLowerCase(), number]),
);

/** How the counters of this look became rates. */
interface Since {
  readonly ms: number;
  readonly services: ReadonlyMap<string, CountedService>;
}

export function topView(before: TopSample | undefined, now: TopSample): TopView {
  const since =
    before === undefined ? undefined : { ms: now.atMs - before.atMs, services: byKey(before.services) };
  const told = new Map((now.status?.virtual_servers ?? []).map((server) => [keyTextOf(server), server]));
  const counted = byKey(now.services);
  const absent = [...told.values()].flatMap((server): CountedService[] => {
    const key = counted.has(keyTextOf(server)) ? undefined : keyOf(server);
    return key === undefined ? [] : [{ key, stats: NO_TRAFFIC, destinations: [] }];
  });
  const services = inOrder([...now.services, ...absent]).map((service) => {
    const text = serviceKeyText(service.key);
    return serviceOf(service, told.get(text), counted.has(text), since);
  });
  return {
    director: now.status?.director ?? null,
    sinceMs: since === undefined ? null : since.ms,
    total: sumOf(services),
    services,
  };
}

function byKey(services: readonly CountedService[]): ReadonlyMap<string, CountedService> {
  return new Map(services.map((service) => [serviceKeyText(service.key), service]));
}

/** As `serviceKeyText` of the kernel's entry. */
function keyTextOf(server: VirtualServerStatus): string {
  const key = keyOf(server);
  return key === undefined ? '' : serviceKeyText(key);
}

function keyOf({ address, port, protocol, fwmark, family }: VirtualServerStatus): ServiceKey | undefined {
  if (fwmark !== undefined) return { fwmark, family: family ?? 'ipv4' };
  const number = PROTOCOLS.get(protocol ?? '');
  if (address === null || number === undefined) return undefined;
  return { family: address.includes(':') ? 'ipv6' : 'ipv4', protocol: number, address, port };
}

function serviceOf(
  service: CountedService,
  told: VirtualServerStatus | undefined,
  inTable: boolean,
  since: Since | undefined,
): TopService {
  const { key, stats, destinations } = service;
  const earlier = since?.services.get(serviceKeyText(key));
  const before = new Map(earlier?.destinations.map((one) => [textOf(one), one.stats]));
  const states = told === undefined ? new Map<string, string>() : statesOf(told);
  const present = destinations.map((destination) => ({
    ...realServerOf(destination, states.get(textOf(destination))),
    ...ratesOf(destination.stats, before.get(textOf(destination)), since),
  }));
  const held = new Set(destinations.map(textOf));
  const absent = (told?.real_servers ?? []).filter((real) => !held.has(textOf(real)));
  const realServers = [...present, ...absent.map((real) => absentOf(real, states.get(textOf(real))))];
  return {
    name: told?.name ?? null,
    key,
    inTable,
    state: told === undefined ? null : stateOf(told),
    ...sumOf(realServers),
    // Its own: what went through a real server that has left since is in them, too.
    ...ratesOf(stats, earlier?.stats, since),
    realServers,
  };
}

type Place = Pick<CountedDestination, 'address' | 'port'>;

const textOf = ({ address, port }: Place): string => endpointText(address, port);

function realServerOf(
  {
    address,
    port,
    weight,
    activeConnections,
    inactiveConnections,
  }: Place & DestinationCounts & { weight: number },
  state: string | undefined,
): Omit<TopRealServer, Rate> {
  return { address, port, weight, state: state ?? null, activeConnections, inactiveConnections };
}

function absentOf({ address, port }: Place, state: string | undefined): TopRealServer {
  const counts = { activeConnections: 0, inactiveConnections: 0 };
  return {
    address,
    port,
    weight: null,
    state: state ?? null,
    ...counts,
    ...ratesOf(NO_TRAFFIC, undefined, undefined),
  };
}

/** What the director says of each of its real servers, the sorry server and those that drain among them. */
function statesOf({
  real_servers: all,
  sorry_server: sorry,
  draining = [],
}: VirtualServerStatus): Map<string, string> {
  return new Map([
    ...(sorry === undefined ? [] : [[textOf(sorry), 'sorry'] as const]),
    ...draining.map((one) => [textOf(one), 'draining'] as const),
    ...all.map((one) => [textOf(one), one.disabled === true ? 'disabled' : one.health] as const),
  ]);
}

function stateOf({ real_servers: all, sorry_server: sorry, panic }: VirtualServerStatus): string {
  if (sorry?.in_use === true) return 'sorry';
  if (panic === true) return 'panic';
  const serving = all.filter(
    ({ health, disabled }) => disabled !== true && health !== 'down' && health !== 'unknown',
  );
  return `${serving.length}/${all.length} up`;
}

/** Over the time between two looks; what was not there at the first one began at 0, and so did what was zeroed since. */
function ratesOf(now: TrafficStats, before: TrafficStats | undefined, since: Since | undefined): Rates {
  const rateOf = (rate: Rate): number => {
    if (since === undefined || since.ms <= 0) return now[rate];
    const counter = RATES[rate];
    const more = now[counter] - (before?.[counter] ?? 0);
    return ((more < 0 ? now[counter] : more) * 1000) / since.ms;
  };
  return {
    connectionsPerSecond: rateOf('connectionsPerSecond'),
    incomingPacketsPerSecond: rateOf('incomingPacketsPerSecond'),
    outgoingPacketsPerSecond: rateOf('outgoingPacketsPerSecond'),
    incomingBytesPerSecond: rateOf('incomingBytesPerSecond'),
    outgoingBytesPerSecond: rateOf('outgoingBytesPerSecond'),
  };
}

function sumOf(rows: readonly TopNumbers[]): TopNumbers {
  const of = (field: keyof TopNumbers): number => rows.reduce((all, row) => all + row[field], 0);
  return {
    activeConnections: of('activeConnections'),
    inactiveConnections: of('inactiveConnections'),
    connectionsPerSecond: of('connectionsPerSecond'),
    incomingPacketsPerSecond: of('incomingPacketsPerSecond'),
    outgoingPacketsPerSecond: of('outgoingPacketsPerSecond'),
    incomingBytesPerSecond: of('incomingBytesPerSecond'),
    outgoingBytesPerSecond: of('outgoingBytesPerSecond'),
  };
}
