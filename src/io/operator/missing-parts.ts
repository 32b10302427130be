/** What a configuration needs of this host and is not there: no fault of the file, for it may come later. */
import { type DirectorConfig, OWNER_PRIORITY, type VrrpInstance } from '../../config/model.js';
import type { VirtualServer } from '../../config/model-servers.js';
import { assertHeld, NoInterfaceAddressError, primaryAddress } from '../host/interface-address.js';
import { type IpvsModules, ipvsModules } from '../host/ipvs-modules.js';
import { findProgram } from '../host/programs.js';
import { interfaceIndexes } from '../netlink/present-addresses.js';

/** A place in the file, and what about it cannot work here now. */
export interface MissingPart {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** In the order of the file's parts. */
export function missingParts(config: DirectorConfig): readonly MissingPart[] {
  const { director, instances, tracked, connectionSync } = config;
  const virtual = instances.flatMap((instance) => instance.addresses.map(({ address }) => address));
  const exists = (name: string) => interfaceIndexes([name]).has(name);
  const absent = (name: string, path: MissingPart['path'], consequence: string): MissingPart[] => {
    if (exists(name)) return [];
    const message = `this host has no interface ${name} ('ip link' lists those there are): ${consequence} until there is one`;
    return [{ path: [...path, 'interface', director], message }];
  };
  const ofInstance = (instance: VrrpInstance, position: number): MissingPart[] => {
    const path = ['vrrp', 'instances', position];
    const inFault = `${instance.name} is in fault`;
    const [missing] = absent(instance.interface, path, inFault);
    const others = (key: 'addresses' | 'routes') =>
      instance[key].flatMap(({ interface: name }, index) =>
        // The director makes the device of a virtual MAC address itself.
        name === undefined || name === instance.interface || name === instance.virtualMacInterface
          ? []
          : absent(name, [...path, key, index], inFault),
      );
    const silent = missing ?? silence(instance, virtual, path);
    return [...(silent === undefined ? [] : [silent]), ...others('addresses'), ...others('routes')];
  };
  return [
    ...instances.flatMap(ofInstance),
    ...tracked.flatMap(({ name, kind }, position) =>
      kind.type === 'interface' || kind.type === 'bfd'
        ? absent(
            kind.interface,
            ['vrrp', 'track', position, ...(kind.type === 'bfd' ? ['bfd'] : [])],
            `the tracked object ${name} is down`,
          )
        : [],
    ),
    ...(connectionSync === undefined
      ? []
      : absent(connectionSync.interface, ['connection_sync'], 'connections are not synchronised')),
    ...missingSchedulers(config.virtualServers, ipvsModules()),
    ...(findProgram('nft') === undefined ? missingNft(config) : []),
  ];
}

/** What a host without the program nft cannot do. */
export function missingNft({
  instances,
  virtualServers,
  masquerades,
}: Pick<DirectorConfig, 'instances' | 'virtualServers' | 'masquerades'>): readonly MissingPart[] {
  const told = (path: MissingPart['path'], consequence: string): MissingPart => ({
    path,
    message: `this host has no program nft (package nftables): ${consequence}`,
  });
  return [
    ...instances.flatMap(({ acceptMode, priority }, position) =>
      acceptMode || priority === OWNER_PRIORITY
        ? []
        : told(['vrrp', 'instances', position, 'accept_mode'], 'a director refuses to start so'),
    ),
    ...entriesOf(virtualServers).flatMap(({ name, realServers }, position) =>
      realServers.some(({ forwarding }) => forwarding === 'fullnat')
        ? told(
            ['virtual_servers', position, 'forwarding'],
            `real servers of ${name} answer past this director`,
          )
        : [],
    ),
    ...masquerades.map((_, position) => told(['masquerade', position], 'nobody is masqueraded')),
  ];
}

/** An entry of the file is one virtual server or several, one after the other. */
function entriesOf(virtualServers: readonly VirtualServer[]): readonly VirtualServer[] {
  return [...new Map(virtualServers.map((one) => [one.name, one])).values()];
}

/** Schedulers and persistence engines that this kernel cannot load. `modules`: undefined where that cannot be known. */
export function missingSchedulers(
  virtualServers: readonly VirtualServer[],
  modules: IpvsModules | undefined,
): readonly MissingPart[] {
  if (modules === undefined) return [];
  return entriesOf(virtualServers).flatMap(({ name, scheduler, persistence }, position) => {
    const lacks = (what: string, module: string, ...place: readonly string[]): MissingPart[] => {
      if (modules.has(module)) return [];
      const message = `the kernel ${modules.release} has no ${what} (module ip_vs_${module}): ${name} cannot be programmed here`;
      return [{ path: ['virtual_servers', position, ...place], message }];
    };
    const engine = persistence?.engine;
    return [
      ...lacks(`scheduler '${scheduler}'`, scheduler, 'scheduler'),
      ...(engine === undefined
        ? []
        : lacks(`persistence engine '${engine}'`, `pe_${engine}`, 'persistence', 'engine')),
    ];
  });
}

/** That an instance on an interface that is there has no address to speak from. */
function silence(
  instance: VrrpInstance,
  virtual: readonly string[],
  path: MissingPart['path'],
): MissingPart | undefined {
  const { name, interface: device, family, transport } = instance;
  const local = transport.kind === 'multicast' ? undefined : transport.local;
  try {
    if (local === undefined) primaryAddress(device, family, virtual);
    else assertHeld(device, family, local);
    return undefined;
  } catch (error) {
    if (!(error instanceof NoInterfaceAddressError)) throw error;
    const message = `${error.message}: ${name} is in fault until it can speak`;
    return { path: [...path, local === undefined ? 'interface' : 'transport'], message };
  }
}
