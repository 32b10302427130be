/** A virtual server as `director status --json` tells of it. Pure. */
import type { RealServer, VirtualServer } from '../config/model.js';
import { familyOf } from '../util/ip-address.js';
import type { VirtualServerStatus } from './status.js';

type Health = Pick<VirtualServerStatus['real_servers'][number], 'health' | 'reason'>;

export function virtualServerStatus(
  { name, service, scheduler, forwarding, realServers, sorryServer }: VirtualServer,
  healthOf: (realServer: RealServer) => Health,
  isSorry: boolean,
): VirtualServerStatus {
  const where =
    'fwmark' in service
      ? { address: null, port: 0, protocol: null, fwmark: service.fwmark, family: service.family }
      : { ...service, family: familyOf(service.address) };
  return {
    name,
    ...where,
    scheduler,
    forwarding,
    real_servers: realServers.map((real) => ({
      address: real.address,
      port: real.port,
      weight: real.weight,
      forwarding: real.forwarding,
      ...healthOf(real),
    })),
    ...(sorryServer && {
      sorry_server: { address: sorryServer.address, port: sorryServer.port, in_use: isSorry },
    }),
  };
}
