/**
 * IPVS generic netlink answers: `struct genlmsghdr` and attributes, without the netlink header. Nothing from the wire
 * is trusted: what cannot be read is a fault value.
 */

import type { Attributes, Decoded } from '../netlink/attributes.js';
import {
  attributesOf,
  decoding,
  fail,
  HOST_LITTLE_ENDIAN,
  required,
  textOf,
  u16Of,
  u32Of,
} from '../netlink/attributes.js';
import { type AddressFamily, AF_INET, AF_INET6, addressText } from '../util/ip-address.js';
import { FORWARDING_METHODS } from './encode.js';
import type {
  DestinationTunnel,
  DumpedDestination,
  DumpedService,
  DumpedSyncDaemon,
  IpvsTimeouts,
  ServiceKey,
} from './model.js';
import {
  FORWARDING_MASK,
  INET_ADDR_BYTES,
  IP_VS_STATE,
  IP_VS_SVC_F,
  IPVS_CMD_ATTR,
  IPVS_DAEMON_ATTR,
  IPVS_DEST_ATTR,
  IPVS_INFO_ATTR,
  IPVS_SVC_ATTR,
  TUNNEL_FLAGS,
  TUNNEL_TYPES,
} from './uapi.js';

/** `struct genlmsghdr`. */
const GENL_HEADER_BYTES = 4;

export function nestOf(payload: Uint8Array, type: number, field: string): Attributes {
  const outer = attributesOf(payload, GENL_HEADER_BYTES, 'message');
  const nest = outer.get(type);
  return nest === undefined ? fail('missing', field) : attributesOf(nest, 0, field);
}

export function familyFrom(number: number, field: string): AddressFamily {
  if (number === AF_INET) return 'ipv4';
  if (number === AF_INET6) return 'ipv6';
  return fail('bad-value', field);
}

function inetAddressOf(attributes: Attributes, type: number, family: AddressFamily, field: string): string {
  const view = required(attributes, type, INET_ADDR_BYTES, field);
  // union nf_inet_addr: an IPv4 address fills the first four bytes.
  const bytes = new Uint8Array(view.buffer, view.byteOffset, family === 'ipv4' ? 4 : INET_ADDR_BYTES);
  return addressText(bytes) ?? fail('bad-value', field);
}

export function keyOf(attributes: Attributes, family: AddressFamily): ServiceKey {
  const fwmark = u32Of(attributes, IPVS_SVC_ATTR.FWMARK, 'IPVS_SVC_ATTR_FWMARK', 0);
  if (fwmark !== 0) return { family, fwmark };
  return {
    family,
    protocol: u16Of(attributes, IPVS_SVC_ATTR.PROTOCOL, 'IPVS_SVC_ATTR_PROTOCOL'),
    address: inetAddressOf(attributes, IPVS_SVC_ATTR.ADDR, family, 'IPVS_SVC_ATTR_ADDR'),
    port: required(attributes, IPVS_SVC_ATTR.PORT, 2, 'IPVS_SVC_ATTR_PORT').getUint16(0, false),
  };
}

function netmaskOf(attributes: Attributes, family: AddressFamily): string {
  const view = required(attributes, IPVS_SVC_ATTR.NETMASK, 4, 'IPVS_SVC_ATTR_NETMASK');
  if (family === 'ipv6') return String(view.getUint32(0, HOST_LITTLE_ENDIAN));
  return (
    addressText(new Uint8Array(view.buffer, view.byteOffset, 4)) ?? fail('bad-value', 'IPVS_SVC_ATTR_NETMASK')
  );
}

/** A message of an IPVS_CMD_GET_SERVICE dump; its destinations come in dumps of their own. */
export function decodeService(payload: Uint8Array): Decoded<DumpedService> {
  return decoding(() => {
    const attributes = nestOf(payload, IPVS_CMD_ATTR.SERVICE, 'IPVS_CMD_ATTR_SERVICE');
    const af = u16Of(attributes, IPVS_SVC_ATTR.AF, 'IPVS_SVC_ATTR_AF');
    const family = familyFrom(af, 'IPVS_SVC_ATTR_AF');
    const flags = u32Of(attributes, IPVS_SVC_ATTR.FLAGS, 'IPVS_SVC_ATTR_FLAGS');
    return {
      key: keyOf(attributes, family),
      scheduler: textOf(attributes, IPVS_SVC_ATTR.SCHED_NAME, 'IPVS_SVC_ATTR_SCHED_NAME'),
      flags: (flags & ~IP_VS_SVC_F.HASHED) >>> 0,
      timeoutSeconds: u32Of(attributes, IPVS_SVC_ATTR.TIMEOUT, 'IPVS_SVC_ATTR_TIMEOUT'),
      netmask: netmaskOf(attributes, family),
      ...(attributes.has(IPVS_SVC_ATTR.PE_NAME)
        ? { persistenceEngine: textOf(attributes, IPVS_SVC_ATTR.PE_NAME, 'IPVS_SVC_ATTR_PE_NAME') }
        : {}),
      destinations: [],
    };
  });
}

/**
 * A message of an IPVS_CMD_GET_DEST dump. `serviceFamily` counts where the kernel (before 3.18) names no address
 * family of the destination's own.
 */
export function decodeDestination(
  payload: Uint8Array,
  serviceFamily: AddressFamily,
): Decoded<DumpedDestination> {
  return decoding(() => {
    const attributes = nestOf(payload, IPVS_CMD_ATTR.DEST, 'IPVS_CMD_ATTR_DEST');
    const family = attributes.has(IPVS_DEST_ATTR.ADDR_FAMILY)
      ? familyFrom(
          u16Of(attributes, IPVS_DEST_ATTR.ADDR_FAMILY, 'IPVS_DEST_ATTR_ADDR_FAMILY'),
          'IPVS_DEST_ATTR_ADDR_FAMILY',
        )
      : serviceFamily;
    const method =
      u32Of(attributes, IPVS_DEST_ATTR.FWD_METHOD, 'IPVS_DEST_ATTR_FWD_METHOD') & FORWARDING_MASK;
    return {
      address: inetAddressOf(attributes, IPVS_DEST_ATTR.ADDR, family, 'IPVS_DEST_ATTR_ADDR'),
      port: required(attributes, IPVS_DEST_ATTR.PORT, 2, 'IPVS_DEST_ATTR_PORT').getUint16(0, false),
      forwarding: FORWARDING_METHODS[method] ?? fail('bad-value', 'IPVS_DEST_ATTR_FWD_METHOD'),
      weight: u32Of(attributes, IPVS_DEST_ATTR.WEIGHT, 'IPVS_DEST_ATTR_WEIGHT'),
      upperThreshold: u32Of(attributes, IPVS_DEST_ATTR.U_THRESH, 'IPVS_DEST_ATTR_U_THRESH'),
      lowerThreshold: u32Of(attributes, IPVS_DEST_ATTR.L_THRESH, 'IPVS_DEST_ATTR_L_THRESH'),
      ...tunnelOf(attributes),
      activeConnections: u32Of(attributes, IPVS_DEST_ATTR.ACTIVE_CONNS, 'IPVS_DEST_ATTR_ACTIVE_CONNS', 0),
      inactiveConnections: u32Of(attributes, IPVS_DEST_ATTR.INACT_CONNS, 'IPVS_DEST_ATTR_INACT_CONNS', 0),
      persistentConnections: u32Of(
        attributes,
        IPVS_DEST_ATTR.PERSIST_CONNS,
        'IPVS_DEST_ATTR_PERSIST_CONNS',
        0,
      ),
    };
  });
}

/** Nothing for ipip without a checksum, which is all that there is before Linux 5.3. */
function tunnelOf(attributes: Attributes): { tunnel?: DestinationTunnel } {
  const { TUN_TYPE, TUN_PORT, TUN_FLAGS } = IPVS_DEST_ATTR;
  const number = optionalOf(attributes, TUN_TYPE, 1, 'IPVS_DEST_ATTR_TUN_TYPE') ?? 0;
  const flags = optionalOf(attributes, TUN_FLAGS, 2, 'IPVS_DEST_ATTR_TUN_FLAGS') ?? 0;
  if (number === 0 && flags === 0) return {};
  const type = TUNNEL_TYPES[number] ?? fail('bad-value', 'IPVS_DEST_ATTR_TUN_TYPE');
  const checksum = (['none', 'csum', 'remcsum'] as const).find((name) => TUNNEL_FLAGS[name] === flags);
  return {
    tunnel: {
      type,
      port: attributes.has(TUN_PORT)
        ? required(attributes, TUN_PORT, 2, 'IPVS_DEST_ATTR_TUN_PORT').getUint16(0, false)
        : 0,
      checksum: checksum ?? fail('bad-value', 'IPVS_DEST_ATTR_TUN_FLAGS'),
    },
  };
}

/** IPVS_DAEMON_ATTR_MCAST_GROUP or, for IPv6, IPVS_DAEMON_ATTR_MCAST_GROUP6. */
function multicastGroupOf(attributes: Attributes): string | undefined {
  const { MCAST_GROUP, MCAST_GROUP6 } = IPVS_DAEMON_ATTR;
  const value = attributes.get(MCAST_GROUP) ?? attributes.get(MCAST_GROUP6);
  if (value === undefined) return undefined;
  return addressText(value) ?? fail('bad-value', 'IPVS_DAEMON_ATTR_MCAST_GROUP');
}

/** An attribute of `bytes` bytes in host order, which older kernels leave out. */
function optionalOf(attributes: Attributes, type: number, bytes: 1 | 2, field: string): number | undefined {
  if (!attributes.has(type)) return undefined;
  const view = required(attributes, type, bytes, field);
  return bytes === 1 ? view.getUint8(0) : view.getUint16(0, HOST_LITTLE_ENDIAN);
}

/** A message of an IPVS_CMD_GET_DAEMON dump. */
export function decodeDaemon(payload: Uint8Array): Decoded<DumpedSyncDaemon> {
  return decoding(() => {
    const attributes = nestOf(payload, IPVS_CMD_ATTR.DAEMON, 'IPVS_CMD_ATTR_DAEMON');
    const number = u32Of(attributes, IPVS_DAEMON_ATTR.STATE, 'IPVS_DAEMON_ATTR_STATE');
    const state = (['master', 'backup'] as const).find((name) => IP_VS_STATE[name] === number);
    return {
      state: state ?? fail('bad-value', 'IPVS_DAEMON_ATTR_STATE'),
      interface: textOf(attributes, IPVS_DAEMON_ATTR.MCAST_IFN, 'IPVS_DAEMON_ATTR_MCAST_IFN'),
      syncid: u32Of(attributes, IPVS_DAEMON_ATTR.SYNC_ID, 'IPVS_DAEMON_ATTR_SYNC_ID'),
      maxLength: optionalOf(attributes, IPVS_DAEMON_ATTR.SYNC_MAXLEN, 2, 'IPVS_DAEMON_ATTR_SYNC_MAXLEN'),
      group: multicastGroupOf(attributes),
      port: optionalOf(attributes, IPVS_DAEMON_ATTR.MCAST_PORT, 2, 'IPVS_DAEMON_ATTR_MCAST_PORT'),
      ttl: optionalOf(attributes, IPVS_DAEMON_ATTR.MCAST_TTL, 1, 'IPVS_DAEMON_ATTR_MCAST_TTL'),
    };
  });
}

/** The answer to IPVS_CMD_GET_INFO: the version as `1.2.1` (NVERSION) and the connection hash size. */
export function decodeInfo(payload: Uint8Array): Decoded<{ version: string; connectionTableSize: number }> {
  return decoding(() => {
    const attributes = attributesOf(payload, GENL_HEADER_BYTES, 'message');
    const code = u32Of(attributes, IPVS_INFO_ATTR.VERSION, 'IPVS_INFO_ATTR_VERSION');
    return {
      version: `${(code >>> 16) & 0xff}.${(code >>> 8) & 0xff}.${code & 0xff}`,
      connectionTableSize: u32Of(attributes, IPVS_INFO_ATTR.CONN_TAB_SIZE, 'IPVS_INFO_ATTR_CONN_TAB_SIZE'),
    };
  });
}

/** The answer to IPVS_CMD_GET_CONFIG; a protocol that the kernel was built without has 0. */
export function decodeConfig(payload: Uint8Array): Decoded<IpvsTimeouts> {
  return decoding(() => {
    const attributes = attributesOf(payload, GENL_HEADER_BYTES, 'message');
    return {
      tcpSeconds: u32Of(attributes, IPVS_CMD_ATTR.TIMEOUT_TCP, 'IPVS_CMD_ATTR_TIMEOUT_TCP', 0),
      tcpFinSeconds: u32Of(attributes, IPVS_CMD_ATTR.TIMEOUT_TCP_FIN, 'IPVS_CMD_ATTR_TIMEOUT_TCP_FIN', 0),
      udpSeconds: u32Of(attributes, IPVS_CMD_ATTR.TIMEOUT_UDP, 'IPVS_CMD_ATTR_TIMEOUT_UDP', 0),
    };
  });
}
