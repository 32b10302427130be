/** The validated file as one director sees it. */
import { splitPrefix } from './address.js';
import type {
  Announcing,
  CheckKind,
  DirectorConfig,
  HealthCheck,
  Preempt,
  VirtualAddress,
  VirtualServer,
  VrrpInstance,
} from './model.js';
import { type ConfigFile, DEFAULT_PRIORITY } from './schema.js';

type FileInstance = NonNullable<ConfigFile['vrrp']>['instances'][number];
type FileVirtualServer = ConfigFile['virtual_servers'][number];
type FileHealthCheck = NonNullable<FileVirtualServer['health_check']>;
type InterfaceOf = FileInstance['interface'];

/** After the first announcement: switches drop frames, neighbours miss them, so it is said again. */
const DEFAULT_ANNOUNCING: Announcing = { repeatMs: [100, 1000, 5000], refreshMs: undefined };

/** `file` has passed every check, and `director` is a key under its `directors`. */
export function resolveConfig(file: ConfigFile, director: string): DirectorConfig {
  const sync = file.connection_sync;
  return {
    director,
    peers: Object.entries(file.directors)
      .filter(([name]) => name !== director)
      .map(([, peer]) => peer.address),
    instances: (file.vrrp?.instances ?? []).map((instance) => resolveInstance(file, instance, director)),
    syncGroups: (file.vrrp?.sync_groups ?? []).map((group) => ({ ...group, track: [] })),
    tracked: [],
    hooks: [],
    connectionSync: sync && { interface: interfaceFor(sync.interface, director), id: sync.id },
    virtualServers: file.virtual_servers.map(resolveVirtualServer),
  };
}

/** Throws when a map leaves the director out, which semantics.ts has refused. */
function interfaceFor(value: InterfaceOf, director: string): string {
  const name = typeof value === 'string' ? value : value[director];
  if (name === undefined) throw new Error(`invariant: no interface for director ${director}`);
  return name;
}

function resolveInstance(file: ConfigFile, instance: FileInstance, director: string): VrrpInstance {
  const ownInterface = interfaceFor(instance.interface, director);
  const addresses = instance.addresses.map((entry): VirtualAddress => {
    if (typeof entry === 'string') return { ...splitPrefix(entry), interface: ownInterface };
    const other = entry.interface === undefined ? ownInterface : interfaceFor(entry.interface, director);
    return { ...splitPrefix(entry.address), interface: other };
  });
  return {
    name: instance.name,
    interface: ownInterface,
    version: 3,
    family: 'ipv4',
    virtualRouterId: instance.virtual_router_id,
    priority: instance.priority?.[director] ?? file.directors[director]?.priority ?? DEFAULT_PRIORITY,
    advertisementIntervalMs: instance.advertisement_interval,
    preempt: resolvePreempt(instance.preempt),
    checksum: instance.checksum,
    addresses,
    advertised: addresses.map((address) => address.address),
    startupDelayMs: 0,
    acceptMode: true,
    virtualMacInterface: undefined,
    transport: { kind: 'multicast' },
    routes: [],
    announcing: DEFAULT_ANNOUNCING,
    track: [],
  };
}

function resolvePreempt(preempt: FileInstance['preempt']): Preempt {
  if (preempt === false) return { mode: 'never' };
  return { mode: 'always', delayMs: preempt === true ? 0 : preempt.delay };
}

function resolveVirtualServer(server: FileVirtualServer): VirtualServer {
  return {
    name: server.name,
    address: server.address,
    port: server.port,
    protocol: server.protocol,
    scheduler: server.scheduler,
    forwarding: server.forwarding,
    persistence: server.persistence && {
      timeoutMs: server.persistence.timeout,
      netmask: server.persistence.netmask,
    },
    healthCheck: server.health_check && resolveHealthCheck(server.health_check),
    vrrpInstance: server.vrrp_instance,
    realServers: server.real_servers.map(({ address, port, weight }) => ({
      address,
      port: port ?? server.port,
      weight,
    })),
  };
}

function resolveHealthCheck(check: FileHealthCheck): HealthCheck {
  const { http } = check;
  const kind: CheckKind = http
    ? { type: 'http', path: http.path, status: http.status, host: http.host }
    : { type: 'tcp' };
  return { kind, intervalMs: check.interval, timeoutMs: check.timeout, rise: check.rise, fall: check.fall };
}
