/** Virtual servers as the kernel has them: one for each address and port. */
import { familyOf } from '../../util/ip-address.js';
import type {
  CheckKind,
  HealthCheck,
  Persistence,
  RealServer,
  ServiceAddress,
  Tunnel,
  VirtualServer,
} from '../model.js';
import type { FileRealServer, FileTunnel, FileVirtualServer } from '../schema/schema-servers.js';
import { familyOfService, serves, servicesOf } from '../service-addresses.js';

type FileHealthCheck = NonNullable<FileVirtualServer['health_check']>;
type FilePersistence = NonNullable<FileVirtualServer['persistence']>;

export function resolveVirtualServer(server: FileVirtualServer): readonly VirtualServer[] {
  const services = servicesOf(server) ?? [];
  const families = {
    services: new Set(services.map(familyOfService)),
    realServers: new Set(server.real_servers.map(({ address }) => familyOf(address))),
  };
  const healthCheck = server.health_check && resolveHealthCheck(server.health_check);
  return services.map((service) => ({
    name: server.name,
    service,
    scheduler: server.scheduler,
    schedulerFlags: server.scheduler_flags,
    onePacket: server.one_packet,
    forwarding: server.forwarding,
    persistence: server.persistence && resolvePersistence(server.persistence, service),
    healthCheck,
    vrrpInstance: server.vrrp_instance,
    realServers: server.real_servers
      .map((real) => resolveRealServer(real, server, service))
      .filter(({ address, forwarding }) =>
        serves(familyOfService(service), { family: familyOf(address), forwarding }, families),
      ),
  }));
}

function resolveRealServer(
  real: FileRealServer,
  server: FileVirtualServer,
  service: ServiceAddress,
): RealServer {
  const forwarding = real.forwarding ?? server.forwarding;
  const tunnel = forwarding === 'tun' ? (real.tunnel ?? server.tunnel) : undefined;
  return {
    address: real.address,
    port: real.port ?? ('port' in service ? service.port : 0),
    weight: real.weight,
    forwarding,
    tunnel: tunnel && resolveTunnel(tunnel),
    upperThreshold: real.thresholds?.upper ?? 0,
    lowerThreshold: real.thresholds?.lower ?? 0,
  };
}

/** Undefined for what the kernel does by itself. */
function resolveTunnel({ type, port, checksum }: FileTunnel): Tunnel | undefined {
  return type === 'ipip' ? undefined : { type, port: port ?? 0, checksum };
}

function resolvePersistence(persistence: FilePersistence, service: ServiceAddress): Persistence {
  const { timeout, netmask, prefix_length: prefixLength, engine } = persistence;
  return {
    timeoutMs: timeout,
    netmask: familyOfService(service) === 'ipv4' ? netmask : String(prefixLength),
    engine,
  };
}

function resolveHealthCheck(check: FileHealthCheck): HealthCheck {
  const { http, port, interval, timeout, rise, fall } = check;
  const kind: CheckKind = http
    ? { type: 'http', path: http.path, status: http.status, host: http.host }
    : { type: 'tcp' };
  return { kind, port, intervalMs: interval, timeoutMs: timeout, rise, fall };
}
