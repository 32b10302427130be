/** What a configuration asks of the kernel besides addresses and the IPVS table. Pure. */

import { splitPrefix } from '../config/address.js';
import type { DirectorConfig, IpvsSettings } from '../config/model.js';
import type { Forwarding } from '../config/model-servers.js';
import type { SyncDaemon } from '../ipvs/model.js';
import { familyOf } from '../util/ip-address.js';

const PROMOTE_SECONDARIES = 'promote_secondaries';

/**
 * When the kernel tells the peer of a connection (ip_vs_sync_conn_needed). By packet count, as `3 50` does by
 * default, a connection that is idle since its handshake is never told, and one whose SYN was repeated misses
 * the count. Period 0 with a refresh period goes by time instead: at the first packet of an established
 * connection, again when the peer's timer is off by the refresh period, and repeated since datagrams get lost.
 */
const SYNC_BY_TIME: readonly (readonly [key: string, value: string])[] = [
  ['net.ipv4.vs.sync_version', '1'],
  ['net.ipv4.vs.sync_refresh_period', '10'],
  ['net.ipv4.vs.sync_retries', '3'],
  ['net.ipv4.vs.sync_threshold', '2 0'],
];

/**
 * Bytes of the sync daemons' sockets, when they are started; the kernel caps it at net.core.rmem_max and wmem_max and takes twice
 * that. A replay comes in thousands of messages, and the receiving thread does not always have a processor.
 */
const SYNC_SOCKET_BYTES: readonly [key: string, value: string] = ['net.ipv4.vs.sync_sock_size', '8388608'];

/**
 * What becomes of the clients of a server that is gone. Without the first, a connection whose server was removed is
 * dropped packet by packet, UDP from one port for ever; with it, its next packet is scheduled anew (UDP) or reset
 * (TCP). Without the second, a persistent client's new connections go on to a server of weight 0.
 */
const LEAVE_DEAD_SERVERS: readonly string[] = [
  'net.ipv4.vs.expire_nodest_conn',
  'net.ipv4.vs.expire_quiescent_template',
];

const ROUTING = { ipv4: 'net.ipv4.ip_forward', ipv6: 'net.ipv6.conf.all.forwarding' } as const;

const VS = 'net.ipv4.vs.';

/** Interface names in sysctl keys: sysctl(8) writes the dot of `eth0.100` as a slash. */
function keyOfInterface(name: string): string {
  return name.replaceAll('.', '/');
}

/** Sysctls by dotted key with the values the director needs, in the order in which they are to be set. */
export function requiredSysctls(config: DirectorConfig): ReadonlyMap<string, string> {
  const wanted = new Map<string, string>();
  const methods = new Set<Forwarding>();
  for (const { realServers, sorryServer } of config.virtualServers) {
    for (const { forwarding, address } of [...realServers, ...(sorryServer ? [sorryServer] : [])]) {
      methods.add(forwarding);
      // Real servers answer through the director, so it has to route.
      if (forwarding === 'nat' || forwarding === 'fullnat') wanted.set(ROUTING[familyOf(address)], '1');
    }
  }
  // Or the translation of the source never sees the packets that IPVS sends.
  if (methods.has('fullnat')) wanted.set(`${VS}conntrack`, '1');
  for (const { source } of config.masquerades)
    wanted.set(ROUTING[familyOf(splitPrefix(source).address)], '1');
  if (methods.has('nat') || methods.has('dr') || methods.has('fullnat')) {
    // A redirect would tell real servers or clients the way around the director. The kernel ORs `all` with
    // the interface's own value, so both have to be off.
    const interfaces = config.instances.flatMap((instance) => [
      instance.interface,
      ...instance.addresses.map((address) => address.interface),
    ]);
    const devices = virtualMacDevices(config);
    const lasting = interfaces.filter((name) => !devices.has(name));
    for (const name of ['all', ...new Set(lasting)]) {
      wanted.set(`net.ipv4.conf.${keyOfInterface(name)}.send_redirects`, '0');
    }
  }
  for (const { interface: parent, virtualMacInterface, family } of config.instances) {
    if (virtualMacInterface === undefined || family !== 'ipv4') continue;
    // The addresses are on a device of their own on top of this one. With the defaults, this one would answer for
    // them too, and ask neighbours in their name, both with the wrong MAC address.
    wanted.set(`net.ipv4.conf.${keyOfInterface(parent)}.arp_ignore`, '1');
    wanted.set(`net.ipv4.conf.${keyOfInterface(parent)}.arp_announce`, '2');
  }
  for (const name of ipv4AddressInterfaces(config)) {
    // Or a virtual address that goes would take the host's own of the same subnet along (SecondaryAddresses).
    wanted.set(`net.ipv4.conf.${keyOfInterface(name)}.${PROMOTE_SECONDARIES}`, '1');
  }
  if (config.virtualServers.length > 0) {
    for (const key of LEAVE_DEAD_SERVERS) wanted.set(key, '1');
  }
  if (config.connectionSync !== undefined) {
    for (const [key, value] of [...SYNC_BY_TIME, SYNC_SOCKET_BYTES]) wanted.set(key, value);
  }
  // The operator's own words count more.
  for (const [name, value] of Object.entries(config.ipvs.sysctls)) wanted.set(`${VS}${name}`, value);
  return wanted;
}

/** They come later, with settings of their own, and go with their addresses. */
function virtualMacDevices({ instances }: DirectorConfig): ReadonlySet<string> {
  return new Set(instances.flatMap(({ virtualMacInterface }) => virtualMacInterface ?? []));
}

function ipv4AddressInterfaces(config: DirectorConfig): ReadonlySet<string> {
  const devices = virtualMacDevices(config);
  return new Set(
    config.instances
      .flatMap(({ addresses }) => addresses)
      .filter(({ address, interface: name }) => familyOf(address) === 'ipv4' && !devices.has(name))
      .map(({ interface: name }) => name),
  );
}

/**
 * Whether the director can do without: plain VRRP runs in containers, where /proc/sys cannot be written. Removals of
 * addresses see to their neighbours themselves then. Nor does a kernel that refuses a setting of IPVS stop the rest.
 */
export function dispensableSysctl(key: string, { ipvs }: Pick<DirectorConfig, 'ipvs'>): boolean {
  const isOwnWish = key.startsWith(VS) && Object.hasOwn(ipvs.sysctls, key.slice(VS.length));
  return isOwnWish || key.endsWith(`.${PROMOTE_SECONDARIES}`);
}

/** Whether the file says anything of the kernel's IPVS as a whole. */
export function hasIpvsSettings({ timeouts, sysctls, exclusive }: IpvsSettings): boolean {
  return (
    exclusive || Object.keys(sysctls).length > 0 || Object.values(timeouts).some((seconds) => seconds > 0)
  );
}

/**
 * Both kernel sync daemons run on both directors all the time: the sender has nothing to say while no packet
 * is forwarded, and a failover then needs no switch during which messages would be lost.
 */
export function requiredSyncDaemons(config: DirectorConfig): readonly SyncDaemon[] {
  if (config.connectionSync === undefined) return [];
  const { interface: name, id } = config.connectionSync;
  return [
    { state: 'master', interface: name, syncid: id },
    { state: 'backup', interface: name, syncid: id },
  ];
}
