/** IPVS generic netlink requests: `struct genlmsghdr` and attributes, without the netlink header. */

import { AttributeWriter, HOST_LITTLE_ENDIAN } from '../netlink/attributes.js';
import { AF_INET, AF_INET6, addressBytes, familyOf } from '../util/ip-address.js';
import type {
  Destination,
  ForwardingMethod,
  IpvsOp,
  IpvsTimeouts,
  Service,
  ServiceKey,
  SyncDaemon,
} from './model.js';
import {
  INET_ADDR_BYTES,
  IP_VS_STATE,
  IPVS_CMD,
  IPVS_CMD_ATTR,
  IPVS_DAEMON_ATTR,
  IPVS_DEST_ATTR,
  IPVS_GENL_VERSION,
  IPVS_SVC_ATTR,
  TUNNEL_FLAGS,
  TUNNEL_TYPES,
} from './uapi.js';

/** All bits of the flags are ours to set; the kernel puts IP_VS_SVC_F_HASHED back itself. */
const ALL_FLAGS = 0xffffffff;

/** IP_VS_CONN_F_MASQ and so on, by index. */
export const FORWARDING_METHODS: readonly ForwardingMethod[] = [
  'masq',
  'local',
  'tunnel',
  'droute',
  'bypass',
];

function message(command: number): AttributeWriter {
  return new AttributeWriter(Uint8Array.of(command, IPVS_GENL_VERSION, 0, 0));
}

/** `union nf_inet_addr`: IPv4 stands in the first four bytes. */
function inetAddress(address: string): Uint8Array {
  const bytes = addressBytes(address);
  if (bytes === undefined) throw new TypeError(`'${address}' is no IP address`);
  const padded = new Uint8Array(INET_ADDR_BYTES);
  padded.set(bytes);
  return padded;
}

/** IPVS_SVC_ATTR_NETMASK: an IPv4 mask in network order, an IPv6 prefix length in host order. */
function writeNetmask(writer: AttributeWriter, service: Service): void {
  if (service.key.family === 'ipv6') {
    const prefixLength = Number(service.netmask);
    if (!Number.isInteger(prefixLength) || prefixLength < 1 || prefixLength > 128) {
      throw new TypeError(`'${service.netmask}' is no IPv6 prefix length`);
    }
    writer.u32(IPVS_SVC_ATTR.NETMASK, prefixLength);
    return;
  }
  const mask = addressBytes(service.netmask);
  if (mask?.length !== 4) throw new TypeError(`'${service.netmask}' is no IPv4 netmask`);
  writer.bytes(IPVS_SVC_ATTR.NETMASK, mask);
}

function writeKey(writer: AttributeWriter, key: ServiceKey): void {
  writer.u16(IPVS_SVC_ATTR.AF, key.family === 'ipv6' ? AF_INET6 : AF_INET);
  if ('fwmark' in key) {
    writer.u32(IPVS_SVC_ATTR.FWMARK, key.fwmark);
    return;
  }
  writer
    .u16(IPVS_SVC_ATTR.PROTOCOL, key.protocol)
    .bytes(IPVS_SVC_ATTR.ADDR, inetAddress(key.address))
    .u16be(IPVS_SVC_ATTR.PORT, key.port);
}

function withKey(command: number, key: ServiceKey): AttributeWriter {
  return message(command).nested(IPVS_CMD_ATTR.SERVICE, (writer) => writeKey(writer, key));
}

function withService(command: number, service: Service): Uint8Array {
  return message(command)
    .nested(IPVS_CMD_ATTR.SERVICE, (writer) => {
      writeKey(writer, service.key);
      writer.string(IPVS_SVC_ATTR.SCHED_NAME, service.scheduler);
      if (service.persistenceEngine !== undefined) {
        writer.string(IPVS_SVC_ATTR.PE_NAME, service.persistenceEngine);
      }
      const flags = new Uint8Array(8);
      const view = new DataView(flags.buffer);
      view.setUint32(0, service.flags, HOST_LITTLE_ENDIAN);
      view.setUint32(4, ALL_FLAGS, HOST_LITTLE_ENDIAN);
      writer.bytes(IPVS_SVC_ATTR.FLAGS, flags).u32(IPVS_SVC_ATTR.TIMEOUT, service.timeoutSeconds);
      writeNetmask(writer, service);
    })
    .finish();
}

function withDestination(command: number, key: ServiceKey, destination: Destination): Uint8Array {
  return withKey(command, key)
    .nested(IPVS_CMD_ATTR.DEST, (writer) => {
      writer
        .u16(IPVS_DEST_ATTR.ADDR_FAMILY, familyOf(destination.address) === 'ipv6' ? AF_INET6 : AF_INET)
        .bytes(IPVS_DEST_ATTR.ADDR, inetAddress(destination.address))
        .u16be(IPVS_DEST_ATTR.PORT, destination.port);
      // A delete is by address and port alone; the kernel wants the rest for NEW and SET only.
      if (command === IPVS_CMD.DEL_DEST) return;
      writer
        .u32(IPVS_DEST_ATTR.FWD_METHOD, FORWARDING_METHODS.indexOf(destination.forwarding))
        .u32(IPVS_DEST_ATTR.WEIGHT, destination.weight)
        .u32(IPVS_DEST_ATTR.U_THRESH, destination.upperThreshold)
        .u32(IPVS_DEST_ATTR.L_THRESH, destination.lowerThreshold);
      const { tunnel } = destination;
      // Without them the kernel takes ipip, as those before 5.3 always do.
      if (tunnel === undefined) return;
      writer
        .u8(IPVS_DEST_ATTR.TUN_TYPE, TUNNEL_TYPES.indexOf(tunnel.type))
        .u16be(IPVS_DEST_ATTR.TUN_PORT, tunnel.port)
        .u16(IPVS_DEST_ATTR.TUN_FLAGS, TUNNEL_FLAGS[tunnel.checksum]);
    })
    .finish();
}

/**
 * The request for one change of the table. Throws TypeError when an address or netmask is none: the configuration
 * was checked before, so this is a broken invariant.
 */
export function encodeOp(op: IpvsOp): Uint8Array {
  switch (op.op) {
    case 'add-service':
      return withService(IPVS_CMD.NEW_SERVICE, op.service);
    case 'edit-service':
      return withService(IPVS_CMD.SET_SERVICE, op.service);
    case 'delete-service':
      return withKey(IPVS_CMD.DEL_SERVICE, op.key).finish();
    case 'add-destination':
      return withDestination(IPVS_CMD.NEW_DEST, op.key, op.destination);
    case 'edit-destination':
      return withDestination(IPVS_CMD.SET_DEST, op.key, op.destination);
    case 'delete-destination':
      return withDestination(IPVS_CMD.DEL_DEST, op.key, op.destination);
  }
}

/** A dump of all services (NLM_F_DUMP). */
export function encodeGetServices(): Uint8Array {
  return message(IPVS_CMD.GET_SERVICE).finish();
}

/** One service by its key, without NLM_F_DUMP. */
export function encodeGetService(key: ServiceKey): Uint8Array {
  return withKey(IPVS_CMD.GET_SERVICE, key).finish();
}

/** A dump of a service's destinations (NLM_F_DUMP); empty, without an error, when there is no such service. */
export function encodeGetDestinations(key: ServiceKey): Uint8Array {
  return withKey(IPVS_CMD.GET_DEST, key).finish();
}

export function encodeGetInfo(): Uint8Array {
  return message(IPVS_CMD.GET_INFO).finish();
}

/** A dump of the running sync daemons (NLM_F_DUMP). */
export function encodeGetDaemons(): Uint8Array {
  return message(IPVS_CMD.GET_DAEMON).finish();
}

function withDaemon(command: number, daemon: SyncDaemon): Uint8Array {
  return message(command)
    .nested(IPVS_CMD_ATTR.DAEMON, (writer) =>
      writer
        .u32(IPVS_DAEMON_ATTR.STATE, IP_VS_STATE[daemon.state])
        .string(IPVS_DAEMON_ATTR.MCAST_IFN, daemon.interface)
        .u32(IPVS_DAEMON_ATTR.SYNC_ID, daemon.syncid),
    )
    .finish();
}

export function encodeNewDaemon(daemon: SyncDaemon): Uint8Array {
  return withDaemon(IPVS_CMD.NEW_DAEMON, daemon);
}

/** The kernel stops by state alone; interface and syncid tell a reader of the wire which one was meant. */
export function encodeDelDaemon(daemon: SyncDaemon): Uint8Array {
  return withDaemon(IPVS_CMD.DEL_DAEMON, daemon);
}

export function encodeGetConfig(): Uint8Array {
  return message(IPVS_CMD.GET_CONFIG).finish();
}

export function encodeSetConfig(timeouts: IpvsTimeouts): Uint8Array {
  return message(IPVS_CMD.SET_CONFIG)
    .u32(IPVS_CMD_ATTR.TIMEOUT_TCP, timeouts.tcpSeconds)
    .u32(IPVS_CMD_ATTR.TIMEOUT_TCP_FIN, timeouts.tcpFinSeconds)
    .u32(IPVS_CMD_ATTR.TIMEOUT_UDP, timeouts.udpSeconds)
    .finish();
}

/** Zeroes the counters of one service, or of all. */
export function encodeZero(key?: ServiceKey): Uint8Array {
  return key === undefined ? message(IPVS_CMD.ZERO).finish() : withKey(IPVS_CMD.ZERO, key).finish();
}

/** Removes every service of the namespace, whoever added it. */
export function encodeFlush(): Uint8Array {
  return message(IPVS_CMD.FLUSH).finish();
}
