/** From configuration and health to the table that the kernel should hold. */
import type {
  Forwarding,
  Protocol,
  RealServer,
  SchedulerFlag,
  VirtualServer,
} from '../config/model-servers.js';
import type { Destination, ForwardingMethod, Service, ServiceKey } from '../ipvs/model.js';
import { destinationKeyText, plainDestination, serviceKeyText } from '../ipvs/plan.js';
import { IP_VS_SVC_F, IPPROTO } from '../ipvs/uapi.js';
import { endpointText, familyOf } from '../util/ip-address.js';
import { poolOf, type Serves, type Standings } from './pool.js';

const FORWARDING: Readonly<Record<Forwarding, ForwardingMethod>> = {
  nat: 'masq',
  dr: 'droute',
  tun: 'tunnel',
  fullnat: 'masq',
};
const PROTOCOL: Readonly<Record<Protocol, number>> = {
  tcp: IPPROTO.TCP,
  udp: IPPROTO.UDP,
  sctp: IPPROTO.SCTP,
};
const WHOLE_ADDRESS = { ipv4: '255.255.255.255', ipv6: '128' } as const;
const SCHEDULER_FLAGS: Readonly<Record<SchedulerFlag, number>> = {
  'sh-fallback': IP_VS_SVC_F.SCHED1,
  'sh-port': IP_VS_SVC_F.SCHED2,
  'mh-fallback': IP_VS_SVC_F.SCHED1,
  'mh-port': IP_VS_SVC_F.SCHED2,
};

function destinationOf(realServer: RealServer): Destination {
  const { address, port, weight, forwarding, upperThreshold, lowerThreshold, tunnel } = realServer;
  return {
    address,
    port,
    forwarding: FORWARDING[forwarding],
    weight,
    upperThreshold,
    lowerThreshold,
    ...(tunnel && { tunnel }),
  };
}

/** The kernel's key of a virtual server. */
export function serviceKeyOf({ service }: VirtualServer): ServiceKey {
  if ('fwmark' in service) return service;
  const { address, port, protocol } = service;
  return { family: familyOf(address), protocol: PROTOCOL[protocol], address, port };
}

function flagsOf({ persistence, onePacket, schedulerFlags }: VirtualServer): number {
  let flags = persistence === undefined ? 0 : IP_VS_SVC_F.PERSISTENT;
  if (onePacket) flags |= IP_VS_SVC_F.ONEPACKET;
  for (const flag of schedulerFlags) flags |= SCHEDULER_FLAGS[flag];
  return flags;
}

/** By `serviceKeyText`: how long a real server that left keeps its connections. */
export function drainLimits(virtualServers: readonly VirtualServer[]): ReadonlyMap<string, number> {
  return new Map(virtualServers.map((server) => [serviceKeyText(serviceKeyOf(server)), server.drainMs]));
}

/** What the table goes by beside the configuration. */
export interface Conditions extends Standings {
  /** Whether the sorry server of a virtual server (`serviceKeyText`) has the traffic up to now; undefined: nowhere. */
  readonly wasSorry?: (key: string) => boolean;
  /** The part of its weight that a real server gets which came back not long ago, above 0 to 1; undefined: all of it. */
  readonly share?: (virtualServer: VirtualServer, realServer: RealServer) => number;
}

/** One service for each virtual server, with its pool (pool.ts) as destinations. Timeouts are rounded up to whole seconds. */
export function desiredServices(virtualServers: readonly VirtualServer[], conditions: Conditions): Service[] {
  const { serves, weight, isInDoubt, wasSorry, share } = conditions;
  return virtualServers.map((virtualServer) => {
    const { sorryServer, realServers } = virtualServer;
    const members = poolOf(virtualServer, {
      serves,
      ...(weight && { weight }),
      ...(isInDoubt === true && { isInDoubt }),
      wasSorry: sorryServer !== undefined && wasSorry?.(serviceKeyText(serviceKeyOf(virtualServer))) === true,
      share: (realServer) => share?.(virtualServer, realServer) ?? 1,
    });
    const isWhole =
      members.length === realServers.length && members.every((member, at) => member === realServers[at]);
    return isWhole ? wholeService(virtualServer) : serviceOf(virtualServer, members);
  });
}

/** Of virtual servers all of whose real servers are in the table as configured. */
const wholeServicesMade = new WeakMap<VirtualServer, Service>();

/** The same object for the same virtual server, as nearly all of a large table are again and again. */
function wholeService(virtualServer: VirtualServer): Service {
  const known = wholeServicesMade.get(virtualServer);
  if (known !== undefined) return known;
  const service = serviceOf(virtualServer, virtualServer.realServers);
  wholeServicesMade.set(virtualServer, service);
  return service;
}

function serviceOf(virtualServer: VirtualServer, members: readonly RealServer[]): Service {
  const { persistence } = virtualServer;
  const key = serviceKeyOf(virtualServer);
  return {
    key,
    scheduler: virtualServer.scheduler,
    flags: flagsOf(virtualServer),
    timeoutSeconds: persistence === undefined ? 0 : Math.ceil(persistence.timeoutMs / 1000),
    netmask: persistence?.netmask ?? WHOLE_ADDRESS[key.family],
    ...(persistence?.engine && { persistenceEngine: persistence.engine }),
    destinations: members.map(destinationOf),
  };
}

/** The same when every real server is healthy. */
export function wholeServices(virtualServers: readonly VirtualServer[]): Service[] {
  return desiredServices(virtualServers, { serves: () => true });
}

/** Keys (`serviceKeyText`) of the virtual servers whose sorry server has the traffic in this table. */
export function sorryInUse(
  virtualServers: readonly VirtualServer[],
  table: readonly Service[],
): ReadonlySet<string> {
  const inUse = new Set<string>();
  let byKey: ReadonlyMap<string, Service> | undefined;
  for (const virtualServer of virtualServers) {
    const { sorryServer } = virtualServer;
    if (sorryServer === undefined) continue;
    byKey ??= new Map(table.map((service) => [serviceKeyText(service.key), service]));
    const key = serviceKeyText(serviceKeyOf(virtualServer));
    const endpoint = endpointText(sorryServer.address, sorryServer.port);
    const isServing = byKey
      .get(key)
      ?.destinations.some((one) => destinationKeyText(one) === endpoint && one.weight > 0);
    if (isServing === true) inUse.add(key);
  }
  return inUse;
}

/**
 * `desired` with the real servers that nothing is known of as the kernel has them: an earlier run took them for good, or
 * gave them weight 0.
 *
 * @param desired what `desiredServices` makes of these virtual servers
 */
export function withUnheard(
  desired: readonly Service[],
  virtualServers: readonly VirtualServer[],
  actual: readonly Service[],
  serves: Serves,
): readonly Service[] {
  let held: ReadonlyMap<string, Service> | undefined;
  return desired.map((service, index) => {
    const { name, realServers = [] } = virtualServers[index] ?? { name: '' };
    const unheard = realServers.filter((realServer) => serves(name, realServer) === undefined);
    if (unheard.length === 0) return service;
    held ??= new Map(actual.map((one) => [serviceKeyText(one.key), one]));
    const keys = new Set(unheard.map(({ address, port }) => endpointText(address, port)));
    const kept = held
      .get(serviceKeyText(service.key))
      ?.destinations.filter((destination) => keys.has(destinationKeyText(destination)));
    if (kept === undefined || kept.length === 0) return service;
    return { ...service, destinations: [...service.destinations, ...kept.map(plainDestination)] };
  });
}
