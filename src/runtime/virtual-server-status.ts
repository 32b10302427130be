/** A virtual server as `director status --json` tells of it. Pure. */
import type { RealServer, VirtualServer } from '../config/model-servers.js';
import type { OverrideOf } from '../planning/overrides.js';
import { weighed } from '../planning/pool.js';
import { familyOf } from '../util/ip-address.js';
import type { VirtualServerStatus } from './status.js';

type RealServerStatus = VirtualServerStatus['real_servers'][number];
type Health = Pick<RealServerStatus, 'health' | 'reason' | 'checks'> & {
  readonly checkWeight?: number | undefined;
};

export function virtualServerStatus(
  { name, service, scheduler, forwarding, realServers, sorryServer }: VirtualServer,
  healthOf: (realServer: RealServer) => Health,
  is: { readonly sorry: boolean; readonly panic: boolean } = { sorry: false, panic: false },
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
    real_servers: realServers.map((real) => realServerStatus(real, healthOf(real))),
    ...(sorryServer && {
      sorry_server: { address: sorryServer.address, port: sorryServer.port, in_use: is.sorry },
    }),
    ...(is.panic && { panic: true as const }),
  };
}

function realServerStatus(real: RealServer, { checkWeight, ...health }: Health): RealServerStatus {
  const { address, port, forwarding } = real;
  const { weight } = weighed(real, checkWeight);
  return {
    address,
    port,
    weight,
    ...(weight !== real.weight && { file_weight: real.weight }),
    ...(checkWeight !== undefined && { check_weight: checkWeight }),
    forwarding,
    ...health,
  };
}

/** `status` of the virtual servers as they are to be, with what the operator said, in the file's order. */
export function withOverrides(
  status: readonly VirtualServerStatus[],
  inFile: readonly VirtualServer[],
  overrideOf: OverrideOf,
): readonly VirtualServerStatus[] {
  return status.map((server, index) => {
    const { name, realServers = [] } = inFile[index] ?? { name: '' };
    if (name !== server.name || !realServers.some((real) => overrideOf(name, real))) return server;
    const told = new Map(server.real_servers.map((real) => [`${real.address} ${real.port}`, real]));
    const all = realServers.map(({ address, port, weight, forwarding }) => {
      const override = overrideOf(name, { address, port });
      const real = told.get(`${address} ${port}`) ?? { address, port, weight, forwarding, ...UNCHECKED };
      return {
        ...real,
        ...(override?.weight === undefined ? {} : { weight: override.weight, file_weight: weight }),
        ...(override?.disabled === true ? { disabled: true as const } : {}),
      };
    });
    return { ...server, real_servers: all };
  });
}

const UNCHECKED = { health: 'unchecked', reason: null } as const;
