/** From an entry of `virtual_servers` to the services of the kernel that it stands for. */
import { type AddressFamily, familyOf } from '../util/ip-address.js';
import type { Draft } from './draft.js';
import type { ServiceAddress } from './model-servers.js';
import { parseAddressRange, parsePortRange } from './ranges.js';
import type { FileVirtualServer } from './schema/schema-servers.js';

/** Services that one entry may stand for. */
export const MAX_SERVICES = 4096;

type Server = Draft<FileVirtualServer>;

/** Addresses in their order, ranges written out; undefined when one cannot be read, or none is there. */
export function addressesOfServer({ address, addresses }: Server): readonly string[] | undefined {
  if (addresses === undefined) return address === undefined ? undefined : [address];
  return allOf(addresses, (one) => {
    const range = parseAddressRange(one);
    return range.ok ? range.all : undefined;
  });
}

/** The same of the ports. */
export function portsOfServer({ port, ports }: Server): readonly number[] | undefined {
  if (ports === undefined) return port === undefined ? undefined : [port];
  return allOf(ports, (one) => {
    if (typeof one === 'number') return [one];
    const range = parsePortRange(one);
    return range.ok ? range.all : undefined;
  });
}

function allOf<Written, Meant>(
  list: readonly (Written | undefined)[],
  read: (written: Written) => readonly Meant[] | undefined,
): readonly Meant[] | undefined {
  const all: Meant[] = [];
  for (const written of list) {
    const meant = written === undefined ? undefined : read(written);
    if (meant === undefined) return undefined;
    all.push(...meant);
  }
  return all.length === 0 ? undefined : all;
}

/** Undefined when it cannot be told, or when they are more than MAX_SERVICES. */
export function servicesOf(server: Server): readonly ServiceAddress[] | undefined {
  const { fwmark, family, protocol } = server;
  if (fwmark !== undefined) return family && [{ fwmark, family }];
  const addresses = addressesOfServer(server);
  const ports = portsOfServer(server);
  if (addresses === undefined || ports === undefined || protocol === undefined) return undefined;
  if (addresses.length * ports.length > MAX_SERVICES) return undefined;
  return addresses.flatMap((address) => ports.map((port) => ({ protocol, address, port })));
}

export function familyOfService(service: ServiceAddress): AddressFamily {
  return 'fwmark' in service ? service.family : familyOf(service.address);
}

/** The address families of a virtual server's two sides. */
export interface Families {
  readonly services: ReadonlySet<AddressFamily>;
  readonly realServers: ReadonlySet<AddressFamily>;
}

/**
 * Whether a real server is for a service: for those of its family, and behind a tunnel, where the kernel takes either
 * (ip_vs_add_dest), for the others when its own family has no service here, or theirs no real server.
 */
export function serves(
  service: AddressFamily,
  realServer: { readonly family: AddressFamily; readonly forwarding: string | undefined },
  families: Families,
): boolean {
  const { family, forwarding } = realServer;
  if (service === family) return true;
  const isAlone = !families.services.has(family) || !families.realServers.has(service);
  return forwarding === 'tun' && isAlone;
}
