/** The validated file as one director sees it. */

import { interfaceFor } from '../interface-for.js';
import { type DirectorConfig, type IpvsSettings, NO_IPVS_SETTINGS } from '../model.js';
import type { ConfigFile } from '../schema/schema.js';
import type { FileIpvs } from '../schema/schema-ipvs.js';
import { resolveVirtualServer } from './resolve-servers.js';
import { resolveVrrp } from './resolve-vrrp.js';

/** `file` has passed every check, and `director` is a key under its `directors`. */
export function resolveConfig(file: ConfigFile, director: string): DirectorConfig {
  const { connection_sync: sync, metrics } = file;
  return {
    director,
    peers: Object.entries(file.directors)
      .filter(([name]) => name !== director)
      .map(([, peer]) => peer.address),
    saysVrrp: file.vrrp !== undefined,
    ...resolveVrrp(file, director),
    connectionSync: sync && { interface: interfaceFor(sync.interface, director), id: sync.id },
    ipvs: file.ipvs ? resolveIpvs(file.ipvs) : NO_IPVS_SETTINGS,
    virtualServers: file.virtual_servers.flatMap((server) => resolveVirtualServer(server, director)),
    masquerades: file.masquerade.map(({ source, interface: device, snat_address: snatAddress }) => ({
      source,
      interface: interfaceFor(device, director),
      snatAddress,
    })),
    metrics: metrics && { listen: metrics.listen, realServers: metrics.real_servers },
  };
}

function resolveIpvs({ timeouts, sysctls, exclusive }: FileIpvs): IpvsSettings {
  const seconds = (ms: number | undefined): number => (ms ?? 0) / 1000;
  return {
    timeouts: {
      tcpSeconds: seconds(timeouts.tcp),
      tcpFinSeconds: seconds(timeouts.tcpfin),
      udpSeconds: seconds(timeouts.udp),
    },
    sysctls: Object.fromEntries(
      Object.entries(sysctls).flatMap(([key, value]) => (value === undefined ? [] : [[key, String(value)]])),
    ),
    exclusive,
  };
}
