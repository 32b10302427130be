/** The lab for somebody's own configuration: networks, hosts and addresses as the file has them. Pure. */
import type { DirectorConfig } from '../../config/model.js';
import type { RealServer, VirtualServer } from '../../config/model-servers.js';
import { addressText, familyOf, knownAddressBytes } from '../../util/ip-address.js';
import { DrillError } from '../errors.js';
import { type Host, SILENT_ARP, type Topology, TUNNEL_SYSCTLS } from './topology.js';

/** Of a network of which the file tells an address alone. */
const USUAL_PREFIX_LENGTH = 24;

/** A file that the lab cannot be made from, with the reason. */
function cannot(why: string): DrillError {
  return new DrillError('ERR_DRILL_UNSUPPORTED', `the lab cannot be made from this file: ${why}`);
}

/** An IPv4 address as a number. */
function numberOf(address: string): number {
  return knownAddressBytes(address).reduce((sum, byte) => sum * 256 + byte, 0);
}

function textOf(number: number): string {
  const bytes = [24, 16, 8, 0].map((shift) => Math.floor(number / 2 ** shift) % 256);
  return addressText(Uint8Array.from(bytes)) ?? '';
}

/** One network: an interface of each director. */
interface Network {
  readonly name: string;
  readonly interfaces: readonly string[];
  readonly firstAddress: number;
  readonly prefixLength: number;
}

function contains({ firstAddress, prefixLength }: Network, address: string): boolean {
  const at = numberOf(address) - firstAddress;
  return at >= 0 && at < 2 ** (32 - prefixLength);
}

/** The interfaces that belong together, with the virtual addresses on them; those of the virtual MAC addresses are the kernel's. */
function interfacePairs(views: readonly [DirectorConfig, DirectorConfig]): Map<string, [string, string[]]> {
  const pairs = new Map<string, [string, string[]]>();
  const add = (one: string, other: string, addresses: readonly string[]): void => {
    const [, known] = pairs.get(one) ?? [other, []];
    pairs.set(one, [other, [...known, ...addresses]]);
  };
  const [first, second] = views;
  for (const [index, instance] of first.instances.entries()) {
    const twin = second.instances[index];
    add(instance.interface, twin?.interface ?? instance.interface, []);
    for (const [at, one] of instance.addresses.entries()) {
      const other = twin?.addresses[at];
      const text = `${one.address}/${one.prefixLength}`;
      if (one.virtualMac === true) add(instance.interface, twin?.interface ?? instance.interface, [text]);
      else add(one.interface, other?.interface ?? one.interface, [text]);
    }
  }
  const syncs = views.map(({ connectionSync }) => connectionSync?.interface);
  if (syncs[0] !== undefined && syncs[1] !== undefined) add(syncs[0], syncs[1], []);
  return pairs;
}

/** The networks of the directors. Each is where its virtual addresses say, or around a director's own address. */
function networksOf(
  views: readonly [DirectorConfig, DirectorConfig],
  own: readonly [string, string],
): Network[] {
  const pairs = [...interfacePairs(views)];
  const subnetOf = (
    address: string,
    prefixLength: number,
  ): Pick<Network, 'firstAddress' | 'prefixLength'> => {
    const size = 2 ** (32 - prefixLength);
    return { firstAddress: Math.floor(numberOf(address) / size) * size, prefixLength };
  };
  const told = pairs.map(([, [, addresses]]) => {
    const wide = addresses.map((text) => text.split('/')).find(([, length]) => Number(length) < 31);
    return wide === undefined ? undefined : subnetOf(wide[0] ?? '', Number(wide[1]));
  });
  const isTold = told.some(
    (one) => one !== undefined && contains({ ...one, name: '', interfaces: [] }, own[0]),
  );
  const around = isTold ? -1 : told.indexOf(undefined);
  return pairs.map(([one, [other, addresses]], index) => {
    const single = addresses[0]?.split('/')[0];
    const subnet =
      told[index] ??
      (index === around
        ? subnetOf(own[0], USUAL_PREFIX_LENGTH)
        : // RFC 2544: nobody's addresses, for a link of which the file says nothing.
          subnetOf(single ?? `198.18.${index}.0`, USUAL_PREFIX_LENGTH));
    return { name: `n${index + 1}`, interfaces: [one, other], ...subnet };
  });
}

/** Deals out addresses of networks that nobody has. */
class Addresses {
  readonly #taken: Set<string>;

  constructor(taken: readonly string[]) {
    this.#taken = new Set(taken);
  }

  /** The highest one that is free, with prefix length. */
  free(network: Network): string {
    const { firstAddress, name, prefixLength } = network;
    for (let at = firstAddress + 2 ** (32 - prefixLength) - 2; at > firstAddress; at -= 1) {
      const address = textOf(at);
      if (!this.#taken.has(address)) {
        this.#taken.add(address);
        return `${address}/${prefixLength}`;
      }
    }
    throw cannot(`network ${name} has no free address`);
  }
}

interface Served {
  readonly address: string;
  readonly role: 'real-server' | 'sorry-server';
  readonly forwardings: Set<RealServer['forwarding']>;
  readonly vips: Set<string>;
  readonly http: Set<number>;
  readonly udp: Set<number>;
}

/** What each real server has to answer, in the order of the file; those of `drilled` come last, as the last one is to die. */
function servedBy(virtualServers: readonly VirtualServer[], drilled: VirtualServer): Served[] {
  const found = new Map<string, Served>();
  const others = virtualServers.filter((one) => one !== drilled);
  for (const server of [...others, drilled]) {
    const { healthChecks, service } = server;
    for (const check of healthChecks?.checks ?? []) {
      const { kind } = check;
      if (kind.type !== 'tcp' && (kind.type !== 'http' || kind.tls !== undefined)) {
        throw cannot(
          `${server.name}: its real servers answer checks of TCP and HTTP, not of this kind (${kind.type})`,
        );
      }
    }
    if ('fwmark' in service) throw cannot(`${server.name}: it is told by a firewall mark`);
    const sorry = server.sorryServer;
    for (const real of [...server.realServers, ...(sorry === undefined ? [] : [sorry])]) {
      const known = found.get(real.address);
      const role = real === sorry ? 'sorry-server' : 'real-server';
      const entry: Served = {
        address: real.address,
        role: known?.role === 'real-server' ? 'real-server' : role,
        forwardings: (known?.forwardings ?? new Set()).add(real.forwarding),
        vips: (known?.vips ?? new Set()).add(service.address),
        http: known?.http ?? new Set(),
        udp: known?.udp ?? new Set(),
      };
      const port = real.port === 0 ? service.port : real.port;
      (service.protocol === 'udp' ? entry.udp : entry.http).add(port);
      for (const check of healthChecks?.checks ?? []) entry.http.add(check.port ?? port);
      found.delete(real.address);
      found.set(real.address, entry);
    }
  }
  return [...found.values()];
}

function serverHost(
  served: Served,
  name: string,
  networks: readonly Network[],
  client: Network,
  dips: string[],
): Host {
  const network = networks.find((one) => contains(one, served.address));
  if (network === undefined) throw cannot(`real server ${served.address} is in no network of the directors`);
  const { forwardings, vips } = served;
  const gateway = dips.find((address) => contains(network, address));
  if (forwardings.has('nat') && (gateway === undefined || network === client)) {
    throw cannot(
      `real server ${served.address}, with nat, needs a virtual address as its gateway, in a network without the client`,
    );
  }
  const direct = forwardings.has('dr') || forwardings.has('tun');
  const on = forwardings.has('tun') ? 'tunl0' : 'lo';
  return {
    name,
    role: served.role,
    cables: [
      { interface: 'eth0', network: network.name, address: `${served.address}/${network.prefixLength}` },
    ],
    ...(forwardings.has('nat') && gateway !== undefined ? { gateway } : {}),
    ...(direct
      ? {
          sysctls: on === 'lo' ? SILENT_ARP : TUNNEL_SYSCTLS,
          extraAddresses: [...vips].map((vip) => ({ interface: on, address: `${vip}/32` })),
        }
      : {}),
    httpPorts: [...served.http],
    udpPorts: [...served.udp],
  };
}

/**
 * The lab of a configuration, as both of its directors see it. The client asks the first virtual server of TCP over IPv4.
 * Throws DrillError with the reason when the file has what the lab cannot be made from.
 *
 * @param configFile its absolute path
 */
export function ownTopology(views: readonly DirectorConfig[], configFile: string): Topology {
  const [first, second] = views;
  if (first === undefined || second === undefined || views.length !== 2) {
    throw cannot(`it has ${views.length} directors, and a pair has two`);
  }
  const vips = first.instances.flatMap(({ addresses }) => addresses.map(({ address }) => address));
  const reals = first.virtualServers.flatMap((one) => one.realServers.map(({ address }) => address));
  const ipv6 = [...vips, ...reals].find((address) => familyOf(address) === 'ipv6');
  if (ipv6 !== undefined) throw cannot(`it has IPv6 addresses (${ipv6})`);
  const commands = first.tracked.find(
    ({ kind }) => kind.type !== 'interface' && kind.type !== 'virtual-server',
  );
  if (commands !== undefined) throw cannot(`${commands.name} tracks what the lab does not have`);
  const drilled = first.virtualServers.find(
    ({ service }) => 'protocol' in service && service.protocol === 'tcp',
  );
  if (drilled === undefined || 'fwmark' in drilled.service) throw cannot('it has no virtual server of TCP');
  const { address: vip, port } = drilled.service;
  const own = [second.peers[0] ?? '', first.peers[0] ?? ''] as const;
  const networks = networksOf([first, second], own);
  const client = networks.find((one) => contains(one, vip));
  if (client === undefined) throw cannot(`${vip} is in no network of the directors`);
  const addresses = new Addresses([...vips, ...reals, ...own]);
  const directors = [first, second].map(({ director }, index): Host => {
    const cables = networks.map((network) => {
      const address = own[index] ?? '';
      return {
        interface: network.interfaces[index] ?? '',
        network: network.name,
        address: contains(network, address) ? `${address}/${network.prefixLength}` : addresses.free(network),
      };
    });
    return {
      name: director,
      label: `d${index + 1}`,
      role: 'director',
      cables,
      sysctls: { 'net.ipv4.ip_forward': '1' },
    };
  });
  const servers = servedBy(first.virtualServers, drilled).map((served, index) =>
    serverHost(served, `rs${index + 1}`, networks, client, vips),
  );
  const clientHost: Host = {
    name: 'client',
    role: 'client',
    cables: [{ interface: 'eth0', network: client.name, address: addresses.free(client) }],
  };
  const hosts = [clientHost, ...directors, ...servers];
  if (new Set(hosts.map(({ name }) => name)).size < hosts.length) {
    throw cannot('a director has the name of another host of the lab (client, rs1, ...)');
  }
  return { name: 'own', configFile, networks: networks.map(({ name }) => name), hosts, vip, port };
}
