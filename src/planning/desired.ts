/** From configuration and health to the table that the kernel should hold. */
import type { Forwarding, Protocol, RealServer, VirtualServer } from '../config/model.js';
import type { Destination, ForwardingMethod, Service, ServiceKey } from '../ipvs/model.js';
import { IP_VS_SVC_F, IPPROTO } from '../ipvs/uapi.js';
import { type AddressFamily, familyOf } from '../util/ip-address.js';

const FORWARDING: Readonly<Record<Forwarding, ForwardingMethod>> = {
  nat: 'masq',
  dr: 'droute',
  tun: 'tunnel',
};
const PROTOCOL: Readonly<Record<Protocol, number>> = {
  tcp: IPPROTO.TCP,
  udp: IPPROTO.UDP,
  sctp: IPPROTO.SCTP,
};
const WHOLE_ADDRESS = { ipv4: '255.255.255.255', ipv6: '128' } as const;

function destinationOf(virtualServer: VirtualServer, realServer: RealServer): Destination {
  return {
    address: realServer.address,
    // Direct routing and tunnels leave the packet as it is, so a port of its own would only mislead a reader.
    port: virtualServer.forwarding === 'nat' ? realServer.port : virtualServer.port,
    forwarding: FORWARDING[virtualServer.forwarding],
    weight: realServer.weight,
    upperThreshold: 0,
    lowerThreshold: 0,
  };
}

/** The kernel's key of a virtual server. */
export function serviceKeyOf(virtualServer: VirtualServer): ServiceKey {
  const { address, port, protocol } = virtualServer;
  return { family: familyOf(address), protocol: PROTOCOL[protocol], address, port };
}

/** An IPv6 service has a prefix length in the netmask's place; the configuration's IPv4 default says nothing there. */
function netmaskOf(family: AddressFamily, configured: string | undefined): string {
  if (configured === undefined) return WHOLE_ADDRESS[family];
  return family === 'ipv6' && !/^\d{1,3}$/.test(configured) ? WHOLE_ADDRESS.ipv6 : configured;
}

/**
 * One service for each virtual server, with the real servers that `healthy` admits. One that is not healthy is left
 * out, not given weight 0: its connections then move on instead of hanging (`expire_nodest_conn`). Timeouts are rounded up to whole seconds.
 */
export function desiredServices(
  virtualServers: readonly VirtualServer[],
  healthy: (virtualServerName: string, realServer: RealServer) => boolean,
): Service[] {
  return virtualServers.map((virtualServer) => {
    const { persistence } = virtualServer;
    const key = serviceKeyOf(virtualServer);
    return {
      key,
      scheduler: virtualServer.scheduler,
      flags: persistence === undefined ? 0 : IP_VS_SVC_F.PERSISTENT,
      timeoutSeconds: persistence === undefined ? 0 : Math.ceil(persistence.timeoutMs / 1000),
      netmask: netmaskOf(key.family, persistence?.netmask),
      destinations: virtualServer.realServers
        .filter((realServer) => healthy(virtualServer.name, realServer))
        .map((realServer) => destinationOf(virtualServer, realServer)),
    };
  });
}
