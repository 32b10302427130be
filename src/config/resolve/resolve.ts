/** The validated file as one director sees it. */

import { interfaceFor } from '../interface-for.js';
import type { CheckKind, DirectorConfig, HealthCheck, VirtualServer } from '../model.js';
import type { ConfigFile, FileVirtualServer } from '../schema/schema.js';
import { resolveVrrp } from './resolve-vrrp.js';

type FileHealthCheck = NonNullable<FileVirtualServer['health_check']>;

/** `file` has passed every check, and `director` is a key under its `directors`. */
export function resolveConfig(file: ConfigFile, director: string): DirectorConfig {
  const sync = file.connection_sync;
  return {
    director,
    peers: Object.entries(file.directors)
      .filter(([name]) => name !== director)
      .map(([, peer]) => peer.address),
    saysVrrp: file.vrrp !== undefined,
    ...resolveVrrp(file, director),
    connectionSync: sync && { interface: interfaceFor(sync.interface, director), id: sync.id },
    virtualServers: file.virtual_servers.map(resolveVirtualServer),
  };
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
