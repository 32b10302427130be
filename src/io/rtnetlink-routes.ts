/** rtnetlink messages for routes (include/uapi/linux/rtnetlink.h). Bytes in, values out. */
import type { VirtualRoute } from '../config/model.js';
import { addressText, knownAddressBytes } from '../ip-address.js';
import {
  decodeAttributes,
  encodeAttribute,
  encodeMessage,
  HOST_LITTLE_ENDIAN,
  NLM_F_ACK,
  NLM_F_REQUEST,
} from './netlink-message.js';
import { AF_INET, AF_INET6, uint32 } from './rtnetlink-messages.js';

export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;
export const RTM_GETROUTE = 26;

/** Multicast groups by number (RTNLGRP_*). */
export const RTNLGRP_IPV4_ROUTE = 7;
export const RTNLGRP_IPV6_ROUTE = 11;

/**
 * rtm_protocol of our routes: says whose they are, to `ip route show proto 112` as to ourselves. RTPROT_* assigns
 * neither this number nor one near it; it is VRRP's IP protocol number. Not RTPROT_KEEPALIVED (18): a keepalived on
 * the same host removes what bears its number when it starts.
 */
export const ROUTE_PROTOCOL = 112;

const RT_TABLE_MAIN = 254;
const RTN_UNICAST = 1;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
/** In a request to delete: of any scope. */
const RT_SCOPE_NOWHERE = 255;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_TABLE = 15;
const RTMSG_BYTES = 12;
const TABLE_OFFSET = 4;
const PROTOCOL_OFFSET = 5;
/** rtm_flags: a copy of a route for one destination (RTM_F_CLONED), not a route of the table. */
const RTM_F_CLONED = 0x200;

/** One of our routes as the kernel tells of it. */
export interface KernelRoute {
  /** Canonical text, `0.0.0.0` or `::` for a default route. */
  readonly destination: string;
  readonly prefixLength: number;
  readonly interfaceIndex: number;
  /** RTA_PRIORITY; IPv4 tells none for 0. */
  readonly metric: number;
}

/**
 * Payload of RTM_NEWROUTE and RTM_DELROUTE for a unicast route of the main table. A deletion names our protocol, so
 * that a like route of someone else stays.
 */
export function routePayload(
  purpose: 'new' | 'delete',
  route: VirtualRoute,
  interfaceIndex: number,
): Uint8Array {
  const destination = knownAddressBytes(route.destination);
  const bits = destination.length * 8;
  if (!Number.isInteger(route.prefixLength) || route.prefixLength < 0 || route.prefixLength > bits) {
    throw new RangeError(
      `prefix length ${route.prefixLength} of ${route.destination} is not within 0 to ${bits}`,
    );
  }
  const ofFamily = (text: string): Uint8Array => {
    const bytes = knownAddressBytes(text);
    if (bytes.length === destination.length) return bytes;
    throw new RangeError(`${text} is not of the address family of ${route.destination}`);
  };
  const newScope = route.via === undefined && bits === 32 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  const header = new Uint8Array(RTMSG_BYTES);
  header[0] = bits === 32 ? AF_INET : AF_INET6;
  header[1] = route.prefixLength;
  header[TABLE_OFFSET] = RT_TABLE_MAIN;
  header[PROTOCOL_OFFSET] = ROUTE_PROTOCOL;
  header[6] = purpose === 'new' ? newScope : RT_SCOPE_NOWHERE;
  header[7] = RTN_UNICAST;
  const parts = [header, encodeAttribute(RTA_OIF, uint32(interfaceIndex))];
  if (route.prefixLength > 0) parts.push(encodeAttribute(RTA_DST, destination));
  if (route.via !== undefined) parts.push(encodeAttribute(RTA_GATEWAY, ofFamily(route.via)));
  if (route.metric !== undefined) parts.push(encodeAttribute(RTA_PRIORITY, uint32(route.metric)));
  // The kernel forgets a preferred source whose address is gone, and then would not find the route by it.
  if (route.source !== undefined && purpose === 'new') {
    parts.push(encodeAttribute(RTA_PREFSRC, ofFamily(route.source)));
  }
  return new Uint8Array(Buffer.concat(parts));
}

/** A whole RTM_DELROUTE request, ready for `send` on a NETLINK_ROUTE socket: for the guardian. */
export function deleteRouteMessage(route: VirtualRoute, interfaceIndex: number, sequence = 1): Uint8Array {
  const payload = routePayload('delete', route, interfaceIndex);
  return encodeMessage(RTM_DELROUTE, NLM_F_REQUEST | NLM_F_ACK, sequence, payload);
}

/** Payload of an RTM_GETROUTE dump of our routes, where NETLINK_GET_STRICT_CHK is on; of all routes where it is not. */
export function routeDumpPayload(family: number): Uint8Array {
  const payload = new Uint8Array(RTMSG_BYTES);
  payload[0] = family;
  payload[TABLE_OFFSET] = RT_TABLE_MAIN;
  payload[PROTOCOL_OFFSET] = ROUTE_PROTOCOL;
  return payload;
}

/**
 * Payload of RTM_NEWROUTE or RTM_DELROUTE as the kernel sends it; undefined for a route that is not ours or not in
 * the main table. That is seen from the header alone: a router's whole table may pass by here.
 */
export function decodeOwnRoute(payload: Uint8Array): KernelRoute | undefined {
  if (payload.length < RTMSG_BYTES || payload[PROTOCOL_OFFSET] !== ROUTE_PROTOCOL) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const family = view.getUint8(0);
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  if ((view.getUint32(8, HOST_LITTLE_ENDIAN) & RTM_F_CLONED) !== 0) return undefined;
  const attributes = decodeAttributes(payload.subarray(RTMSG_BYTES));
  const table = numberOf(attributes.get(RTA_TABLE)) ?? view.getUint8(TABLE_OFFSET);
  const destination = addressText(attributes.get(RTA_DST) ?? new Uint8Array(family === AF_INET ? 4 : 16));
  const interfaceIndex = numberOf(attributes.get(RTA_OIF));
  if (table !== RT_TABLE_MAIN || destination === undefined || interfaceIndex === undefined) return undefined;
  const metric = numberOf(attributes.get(RTA_PRIORITY)) ?? 0;
  return { destination, prefixLength: view.getUint8(1), interfaceIndex, metric };
}

function numberOf(bytes: Uint8Array | undefined): number | undefined {
  if (bytes?.length !== 4) return undefined;
  return new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, HOST_LITTLE_ENDIAN);
}
