/** rtnetlink messages for addresses and links (include/uapi/linux/if_addr.h, if_link.h). Bytes in, values out. */

import { hexText } from '../util/hex.js';
import { type AddressFamily, AF_INET, AF_INET6, addressText, knownAddressBytes } from '../util/ip-address.js';
import {
  AttributeWriter,
  decodeAttributes,
  HOST_LITTLE_ENDIAN,
  optionalText,
  optionalU32,
  u32Bytes,
} from './attributes.js';
import { encodeMessage, NLM_F_ACK, NLM_F_REQUEST } from './message.js';

export const RTM_NEWLINK = 16;
export const RTM_DELLINK = 17;
export const RTM_GETLINK = 18;
export const RTM_NEWADDR = 20;
export const RTM_DELADDR = 21;
export const RTM_GETADDR = 22;

/** Multicast groups by number (RTNLGRP_*). */
export const RTNLGRP_LINK = 1;
export const RTNLGRP_IPV4_IFADDR = 5;
export const RTNLGRP_IPV6_IFADDR = 9;

export const AF_UNSPEC = 0;

export const IFF_UP = 0x1;
export const IFF_RUNNING = 0x40;
export const IFF_LOWER_UP = 0x10000;
const LINK_UP = IFF_UP | IFF_RUNNING | IFF_LOWER_UP;

/** The address is one of several of its subnet and not the first (IFA_F_TEMPORARY under IPv6). */
export const IFA_F_SECONDARY = 0x01;
/** No duplicate address detection: a virtual address must answer at once. */
export const IFA_F_NODAD = 0x02;
/** RFC 4429: in use while duplicate address detection still goes on. */
export const IFA_F_OPTIMISTIC = 0x04;
/** Duplicate address detection found another host with this address. */
export const IFA_F_DADFAILED = 0x08;
/** Not preferred as a source (RFC 4862 section 5.5.4). */
export const IFA_F_DEPRECATED = 0x20;
/** Under duplicate address detection: not in use yet. */
export const IFA_F_TENTATIVE = 0x40;

const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;
const IFA_CACHEINFO = 6;
const IFA_FLAGS = 8;
const IFA_RT_PRIORITY = 9;
export const IFLA_ADDRESS = 1;
export const IFLA_IFNAME = 3;
const RT_SCOPE_UNIVERSE = 0;
/** INFINITY_LIFE_TIME of net/addrconf.h, in seconds. */
const INFINITY_LIFE_TIME = 0xffff_ffff;
const IFADDRMSG_BYTES = 8;
export const IFINFOMSG_BYTES = 16;

/** One address on one interface. */
export interface InterfaceAddress {
  readonly family: AddressFamily;
  /** Canonical text. */
  readonly address: string;
  readonly prefixLength: number;
  readonly interfaceIndex: number;
  /** IFA_FLAGS. */
  readonly flags: number;
}

/** One interface as RTM_NEWLINK or RTM_DELLINK tells of it. */
export interface LinkInfo {
  readonly index: number;
  readonly name: string;
  /** IFF_UP, IFF_RUNNING (operational state) and IFF_LOWER_UP (carrier, which falls before the state does). */
  readonly up: boolean;
  /** IFLA_ADDRESS as hexadecimal digits; empty where a device has none. */
  readonly hardwareAddress: string;
}

function broadcast(bytes: Uint8Array, prefixLength: number): Uint8Array {
  return bytes.map((byte, index) => {
    const networkBits = Math.min(8, Math.max(0, prefixLength - 8 * index));
    return byte | (0xff >> networkBits);
  });
}

/** What a new address is beside where it is. */
export interface NewAddress {
  /** An IPv6 address with a preferred lifetime of 0: in use, and no source of choice. */
  readonly deprecated?: boolean;
  /** Of the route to the address's subnet, which the kernel adds with it. */
  readonly routeMetric?: number | undefined;
  /** Whole seconds until the kernel removes it, unless it is told of it again (valid_lft of ip-address(8)); undefined: never. */
  readonly validSeconds?: number | undefined;
}

/**
 * Payload of RTM_NEWADDR and RTM_DELADDR: struct ifaddrmsg with IFA_LOCAL and IFA_ADDRESS; for `new` also the
 * broadcast address of an IPv4 prefix below 31 (RFC 3021 leaves none above), IFA_F_NODAD for IPv6, and what `how` says.
 */
export function addressPayload(
  purpose: 'new' | 'delete',
  address: string,
  prefixLength: number,
  interfaceIndex: number,
  { deprecated = false, routeMetric, validSeconds = INFINITY_LIFE_TIME }: NewAddress = {},
): Uint8Array {
  const bytes = knownAddressBytes(address);
  const bits = bytes.length * 8;
  if (!Number.isInteger(prefixLength) || prefixLength < 0 || prefixLength > bits) {
    throw new RangeError(`prefix length ${prefixLength} of ${address} is not within 0 to ${bits}`);
  }
  const ipv4 = bits === 32;
  const flags = purpose === 'new' && !ipv4 ? IFA_F_NODAD : 0;
  const header = new Uint8Array(IFADDRMSG_BYTES);
  header.set([ipv4 ? AF_INET : AF_INET6, prefixLength, flags, RT_SCOPE_UNIVERSE]);
  header.set(u32Bytes(interfaceIndex), 4);
  const writer = new AttributeWriter(header).bytes(IFA_LOCAL, bytes).bytes(IFA_ADDRESS, bytes);
  if (purpose === 'new' && ipv4 && prefixLength < 31) {
    writer.bytes(IFA_BROADCAST, broadcast(bytes, prefixLength));
  }
  if (flags !== 0) writer.u32(IFA_FLAGS, flags);
  const preferredSeconds = deprecated && !ipv4 ? 0 : validSeconds;
  if (purpose === 'new' && preferredSeconds !== INFINITY_LIFE_TIME) {
    // struct ifa_cacheinfo: preferred, valid, and two times that the kernel fills in.
    const times = new Uint32Array([preferredSeconds, validSeconds, 0, 0]);
    writer.bytes(IFA_CACHEINFO, new Uint8Array(times.buffer));
  }
  if (purpose === 'new' && routeMetric !== undefined) {
    writer.u32(IFA_RT_PRIORITY, routeMetric);
  }
  return writer.finish();
}

/**
 * A whole RTM_DELADDR request, ready for `send` on a bound NETLINK_ROUTE socket: for the guardian, which knows no
 * protocol. `address` and `prefixLength` as they were added; `interfaceIndex` as of if_nametoindex(3).
 */
export function deleteAddressMessage(
  address: string,
  prefixLength: number,
  interfaceIndex: number,
  sequence = 1,
): Uint8Array {
  const payload = addressPayload('delete', address, prefixLength, interfaceIndex);
  return encodeMessage(RTM_DELADDR, NLM_F_REQUEST | NLM_F_ACK, sequence, payload);
}

/** A whole RTM_NEWLINK request that sets a device down, ready to send as `deleteAddressMessage` is. */
export function setDownMessage(interfaceIndex: number, sequence = 1): Uint8Array {
  const header = new Uint8Array(IFINFOMSG_BYTES);
  header.set(u32Bytes(interfaceIndex), 4);
  // ifi_flags has it not, and ifi_change says that this flag alone is meant.
  header.set(u32Bytes(IFF_UP), 12);
  return encodeMessage(RTM_NEWLINK, NLM_F_REQUEST | NLM_F_ACK, sequence, header);
}

/** Payload of an RTM_GETADDR dump. */
export function addressDumpPayload(family: number): Uint8Array {
  const payload = new Uint8Array(IFADDRMSG_BYTES);
  payload[0] = family;
  return payload;
}

/** Payload of an RTM_GETLINK dump. */
export function linkDumpPayload(): Uint8Array {
  return new Uint8Array(IFINFOMSG_BYTES);
}

/** Payload of an RTM_GETLINK request for one interface by name. */
export function linkByNamePayload(name: string): Uint8Array {
  return new AttributeWriter(linkDumpPayload()).string(IFLA_IFNAME, name).finish();
}

/** Payload of RTM_NEWADDR or RTM_DELADDR as the kernel sends it; undefined when it is not understood. */
export function decodeAddress(payload: Uint8Array): InterfaceAddress | undefined {
  if (payload.length < IFADDRMSG_BYTES) {
    return undefined;
  }
  const header = new DataView(payload.buffer, payload.byteOffset, IFADDRMSG_BYTES);
  const family = header.getUint8(0);
  if (family !== AF_INET && family !== AF_INET6) {
    return undefined;
  }
  const attributes = decodeAttributes(payload, IFADDRMSG_BYTES);
  // Under IPv4 IFA_ADDRESS is the peer of a point-to-point link; IPv6 sends IFA_LOCAL only where there is a peer.
  const bytes = attributes.get(IFA_LOCAL) ?? attributes.get(IFA_ADDRESS);
  const address = bytes?.length === (family === AF_INET ? 4 : 16) ? addressText(bytes) : undefined;
  if (address === undefined) {
    return undefined;
  }
  return {
    family: family === AF_INET ? 'ipv4' : 'ipv6',
    address,
    prefixLength: header.getUint8(1),
    interfaceIndex: header.getUint32(4, HOST_LITTLE_ENDIAN),
    flags: optionalU32(attributes, IFA_FLAGS) ?? header.getUint8(2),
  };
}

/**
 * Payload of RTM_NEWLINK or RTM_DELLINK; undefined when it is not understood, or not about the device itself: with
 * ifi_family AF_BRIDGE the same messages tell of a bridge's ports, and RTM_DELLINK is a port that left its bridge
 * (br_ifinfo_notify).
 */
export function decodeLink(payload: Uint8Array): LinkInfo | undefined {
  if (payload.length < IFINFOMSG_BYTES) {
    return undefined;
  }
  const header = new DataView(payload.buffer, payload.byteOffset, IFINFOMSG_BYTES);
  if (header.getUint8(0) !== AF_UNSPEC) return undefined;
  const attributes = decodeAttributes(payload, IFINFOMSG_BYTES);
  const name = optionalText(attributes, IFLA_IFNAME);
  if (name === undefined) {
    return undefined;
  }
  const flags = header.getUint32(8, HOST_LITTLE_ENDIAN);
  return {
    index: header.getInt32(4, HOST_LITTLE_ENDIAN),
    name,
    up: (flags & LINK_UP) === LINK_UP,
    hardwareAddress: hexText(attributes.get(IFLA_ADDRESS) ?? new Uint8Array(0)),
  };
}
