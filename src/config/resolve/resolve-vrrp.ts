/** `vrrp` of the validated file as one director sees it. */
import { type AddressFamily, familyOf, isLinkLocal } from '../../util/ip-address.js';
import { splitPrefix } from '../address.js';
import { interfaceFor } from '../interface-for.js';
import {
  type DirectorConfig,
  type Hook,
  OWNER_PRIORITY,
  type Preempt,
  type TrackedObject,
  type TrackKind,
  type TrackUse,
  type VirtualAddress,
  type VrrpInstance,
  type VrrpTransportKind,
} from '../model.js';
import type { ConfigFile } from '../schema/schema.js';
import {
  DEFAULT_AWAIT_SYNC_MS,
  DEFAULT_QUORUM,
  DEFAULT_UDP_PORT,
  type FileAddress,
  type FileInstance,
  type FileTracked,
  type FileVrrp,
} from '../schema/schema-vrrp.js';
import { virtualMacName } from '../virtual-mac-name.js';
import { resolveInstanceBfd, resolveTrackedBfd } from './resolve-bfd.js';
import { resolveRoute, resolveRule } from './resolve-routing.js';

/** RFC 9568 section 7.1: routers of one link, so nobody has counted the TTL down. */
const MIN_TTL = 255;

type VrrpParts = Pick<
  DirectorConfig,
  'instances' | 'syncGroups' | 'tracked' | 'hooks' | 'permanentAddresses'
>;

/** `file` has passed every check, and `director` is a key under its `directors`. */
export function resolveVrrp(file: ConfigFile, director: string): VrrpParts {
  const { vrrp } = file;
  if (vrrp === undefined)
    return { instances: [], syncGroups: [], tracked: [], hooks: [], permanentAddresses: false };
  return {
    instances: vrrp.instances.map((instance) => resolveInstance(file, instance, director)),
    syncGroups: vrrp.sync_groups.map((group) => ({
      name: group.name,
      instances: group.instances,
      track: group.track.map(resolveTrackUse),
    })),
    tracked: vrrp.track.map((object) => resolveTracked(object, director)),
    hooks: vrrp.hooks.map(resolveHook),
    permanentAddresses: vrrp.permanent_addresses,
  };
}

function isAdvertised(entry: FileAddress): boolean {
  return typeof entry === 'string' || entry.advertise;
}

function addressText(entry: FileAddress): string {
  return typeof entry === 'string' ? entry : entry.address;
}

/** That of the advertised addresses, which are all of one family. */
function advertisedFamily(instance: FileInstance): AddressFamily {
  const first = instance.addresses.find(isAdvertised);
  return first !== undefined && familyOf(addressText(first)) === 'ipv6' ? 'ipv6' : 'ipv4';
}

function resolveInstance(file: ConfigFile, instance: FileInstance, director: string): VrrpInstance {
  const parent = interfaceFor(instance.interface, director);
  const virtualMacInterface = instance.virtual_mac
    ? virtualMacName(advertisedFamily(instance), instance.virtual_router_id, parent)
    : undefined;
  const device = virtualMacInterface ?? parent;
  const priority = instance.priority?.[director] ?? ownPriority(file, director);
  const addresses = instance.addresses.map((entry): VirtualAddress => {
    const named = typeof entry === 'string' ? undefined : entry.interface;
    const other = named === undefined ? parent : interfaceFor(named, director);
    const place = { ...splitPrefix(addressText(entry)), interface: other === parent ? device : other };
    return place.interface === virtualMacInterface ? { ...place, virtualMac: true } : place;
  });
  const transport = resolveTransport(file, instance.transport, director);
  return {
    name: instance.name,
    interface: parent,
    version: instance.version,
    family: advertisedFamily(instance),
    virtualRouterId: instance.virtual_router_id,
    priority,
    advertisementIntervalMs: instance.advertisement_interval,
    preempt: resolvePreempt(instance.preempt, priority),
    startupDelayMs: instance.startup_delay ?? file.vrrp?.startup_delay ?? 0,
    acceptMode: instance.accept_mode,
    virtualMacInterface,
    transport,
    checksum: instance.checksum,
    addresses,
    advertised: advertisedOf(
      addresses.filter((_, index) => {
        const entry = instance.addresses[index];
        return entry !== undefined && isAdvertised(entry);
      }),
      device,
    ),
    routes: instance.routes.map((route) => resolveRoute(route, advertisedFamily(instance), device, director)),
    rules: instance.rules.map((rule) => resolveRule(rule, advertisedFamily(instance), director)),
    announcing: { repeatMs: instance.announce.repeat, refreshMs: instance.announce.refresh },
    track: instance.track.map(resolveTrackUse),
    ...(instance.bfd === undefined
      ? {}
      : { bfd: resolveInstanceBfd(file, instance.bfd, transport, director) }),
  };
}

function ownPriority({ directors }: ConfigFile, director: string): number {
  const own = directors[director];
  if (own === undefined) throw new Error(`invariant: no director ${director}`);
  return own.priority;
}

/** RFC 9568 section 5.2.9: the first IPv6 address is a link-local one, and that of the link the packet is on. */
function advertisedOf(addresses: readonly VirtualAddress[], device: string): string[] {
  const first = addresses.find((one) => one.interface === device && isLinkLocal(one.address));
  const rest = addresses.filter((one) => one !== first);
  return [...(first === undefined ? [] : [first]), ...rest].map((one) => one.address);
}

/** RFC 9568 section 6.1: the address owner preempts whatever Preempt_Mode says. */
function resolvePreempt(preempt: FileInstance['preempt'], priority: number): Preempt {
  if (priority === OWNER_PRIORITY) return { mode: 'always', delayMs: 0 };
  if (preempt === false) return { mode: 'never' };
  if (preempt === true) return { mode: 'always', delayMs: 0 };
  const { after, delay: delayMs, at_most: atMostMs = DEFAULT_AWAIT_SYNC_MS } = preempt;
  return after === 'synced' ? { mode: 'synced', delayMs, atMostMs } : { mode: 'always', delayMs };
}

function resolveTransport(
  file: ConfigFile,
  transport: FileInstance['transport'],
  director: string,
): VrrpTransportKind {
  if (transport === 'multicast') return { kind: 'multicast' };
  const { unicast, udp, min_ttl } = typeof transport === 'string' ? shorthand(transport) : transport;
  if (udp !== undefined) {
    const { port, peers } = udp;
    const ends = peers && endpoints(peers, file, director);
    return { kind: 'udp', port, local: ends?.local, peers: ends?.peers ?? [] };
  }
  return { kind: 'unicast', ...endpoints(unicast ?? {}, file, director), minTtl: min_ttl ?? MIN_TTL };
}

type FileTransport = Exclude<FileInstance['transport'], string>;

function shorthand(kind: 'unicast' | 'udp'): FileTransport {
  return kind === 'unicast' ? { unicast: {} } : { udp: { port: DEFAULT_UDP_PORT } };
}

/** An empty mapping stands for the addresses under `directors`. */
function endpoints(
  addresses: Readonly<Record<string, string>>,
  file: ConfigFile,
  director: string,
): { local: string; peers: string[] } {
  const names = Object.keys(file.directors);
  const isEmpty = Object.keys(addresses).length === 0;
  const ends = names.map((name) => ({
    name,
    address: (isEmpty ? file.directors[name]?.address : addresses[name]) ?? '',
  }));
  return {
    local: ends.find(({ name }) => name === director)?.address ?? '',
    peers: ends.filter(({ name }) => name !== director).map(({ address }) => address),
  };
}

function resolveTrackUse(use: FileInstance['track'][number]): TrackUse {
  return typeof use === 'string'
    ? { object: use, weight: undefined }
    : { object: use.name, weight: use.weight };
}

function resolveTracked(object: FileTracked, director: string): TrackedObject {
  return {
    name: object.name,
    kind: trackKind(object, director),
    intervalMs: object.interval,
    rise: object.rise,
    fall: object.fall,
    debounceMs: object.debounce,
  };
}

/** Exactly one of the kinds is there: semantics-tracking.ts. */
function trackKind(object: FileTracked, director: string): TrackKind {
  const { interface: device, file, script, process, virtual_server: virtualServer } = object;
  if (device !== undefined) {
    return { type: 'interface', interface: interfaceFor(device, director), address: object.address };
  }
  if (file !== undefined) return { type: 'file', path: file };
  if (script !== undefined) {
    const timeoutMs = object.timeout ?? object.interval;
    return { type: 'script', command: script, user: object.user, timeoutMs };
  }
  if (process !== undefined) return { type: 'process', process };
  if (virtualServer !== undefined) {
    return { type: 'virtual-server', virtualServer, quorum: object.quorum ?? DEFAULT_QUORUM };
  }
  if (object.bfd !== undefined) return resolveTrackedBfd(object.bfd, director);
  throw new Error(`invariant: tracked object ${object.name} is of no kind`);
}

function resolveHook(hook: FileVrrp['hooks'][number]): Hook {
  return {
    command: hook.command,
    on: hook.on,
    instances: hook.instances,
    user: hook.user,
    timeoutMs: hook.timeout,
  };
}
