/** The validated file as one director sees it. */

import { familyOf } from '../../util/ip-address.js';
import { interfaceFor } from '../interface-for.js';
import { type DirectorConfig, type IpvsSettings, NO_IPVS_SETTINGS, type PeerChannel } from '../model.js';
import { type ConfigFile, DEFAULT_PEER_PORT } from '../schema/schema.js';
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
    peerChannel: resolvePeerChannel(file, director),
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

/** There is one unless the file says that there is none, where connections are synchronised or the file asks for it. */
function resolvePeerChannel(file: ConfigFile, director: string): PeerChannel | undefined {
  const { peer_channel: said, connection_sync: sync, directors } = file;
  const address = directors[director]?.address;
  if (said === 'off' || address === undefined || (said === undefined && sync === undefined)) return undefined;
  const peers = Object.entries(directors)
    .filter(([name, peer]) => name !== director && familyOf(peer.address) === familyOf(address))
    .map(([name, peer]) => ({ name, address: peer.address }));
  if (peers.length === 0) return undefined;
  return {
    address,
    port: said?.port ?? DEFAULT_PEER_PORT,
    keyFile: said?.key_file,
    gateway: said?.gateway,
    peers,
    sections: {},
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
