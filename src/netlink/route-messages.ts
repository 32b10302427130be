/** rtnetlink messages for routes (include/uapi/linux/rtnetlink.h). Bytes in, values out. */
import type { RouteType, VirtualRoute } from '../config/model.js';
import { AF_INET, AF_INET6, addressText, knownAddressBytes } from '../util/ip-address.js';

import {
  AttributeWriter,
  decodeAttributes,
  HOST_LITTLE_ENDIAN,
  optionalU32,
  u32Bytes,
} from './attributes.js';
import { encodeMessage, NLM_F_ACK, NLM_F_REQUEST } from './message.js';

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

/** RTN_* by name. */
const TYPE_NUMBERS: Readonly<Record<RouteType, number>> = {
  unicast: 1,
  local: 2,
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
  throw: 9,
};
export const RT_TABLE_UNSPEC = 0;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
const RT_SCOPE_HOST = 254;
/** In a request to delete: of any scope. */
const RT_SCOPE_NOWHERE = 255;
const RTNH_F_ONLINK = 4;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RTA_METRICS = 8;
const RTA_TABLE = 15;
const RTAX_MTU = 2;
const RTMSG_BYTES = 12;
const TABLE_OFFSET = 4;
const PROTOCOL_OFFSET = 5;
const FLAGS_OFFSET = 8;
/** rtm_flags: a copy of a route for one destination (RTM_F_CLONED), not a route of the table. */
const RTM_F_CLONED = 0x200;

/** Where a route stands: no two of one family can be in the same place, but for IPv4 those that were put before others. */
export interface RoutePlace {
  readonly table: number;
  /** Canonical text, `0.0.0.0` or `::` for a default route. */
  readonly destination: string;
  readonly prefixLength: number;
  /** RTA_PRIORITY; IPv4 tells none for 0. */
  readonly metric: number;
}

/** A route as the kernel tells of it. */
export interface KernelRoute extends RoutePlace {
  /** Undefined where it leads nowhere. */
  readonly interfaceIndex: number | undefined;
  /** rtm_protocol is ours. */
  readonly own: boolean;
}

/** IP6_RT_PRIO_USER: what the kernel makes of an IPv6 route without a metric. */
const DEFAULT_IPV6_METRIC = 1024;

export function placeOf({ table, destination, prefixLength, metric }: VirtualRoute): RoutePlace {
  const ipv6 = destination.includes(':');
  return {
    table,
    destination,
    prefixLength,
    metric: ipv6 ? metric || DEFAULT_IPV6_METRIC : (metric ?? 0),
  };
}

export function placeKey({ table, destination, prefixLength, metric }: RoutePlace): string {
  return `${table} ${destination}/${prefixLength} ${metric}`;
}

/** As ip-route(8) chooses it (iproute_modify). */
function defaultScope({ type, via }: VirtualRoute, ipv4: boolean): number {
  if (!ipv4) return RT_SCOPE_UNIVERSE;
  if (type === 'local') return RT_SCOPE_HOST;
  return type === 'unicast' && via === undefined ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
}

/**
 * Payload of RTM_NEWROUTE and RTM_DELROUTE. A deletion names our protocol, so that a like route of someone else stays.
 *
 * @param interfaceIndex undefined for a route without an interface
 */
export function routePayload(
  purpose: 'new' | 'delete',
  route: VirtualRoute,
  interfaceIndex: number | undefined,
): Uint8Array {
  const destination = knownAddressBytes(route.destination);
  const bits = destination.length * 8;
  const ipv4 = bits === 32;
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
  const header = new Uint8Array(RTMSG_BYTES);
  header[0] = ipv4 ? AF_INET : AF_INET6;
  header[1] = route.prefixLength;
  // rtm_table is a byte; RTA_TABLE counts.
  header[TABLE_OFFSET] = RT_TABLE_UNSPEC;
  header[PROTOCOL_OFFSET] = ROUTE_PROTOCOL;
  header[6] = purpose === 'new' ? (route.scope ?? defaultScope(route, ipv4)) : RT_SCOPE_NOWHERE;
  header[7] = TYPE_NUMBERS[route.type];
  if (route.onLink) header.set(u32Bytes(RTNH_F_ONLINK), FLAGS_OFFSET);
  const writer = new AttributeWriter(header).u32(RTA_TABLE, route.table);
  if (interfaceIndex !== undefined) writer.u32(RTA_OIF, interfaceIndex);
  if (route.prefixLength > 0) writer.bytes(RTA_DST, destination);
  if (route.via !== undefined) writer.bytes(RTA_GATEWAY, ofFamily(route.via));
  if (route.metric !== undefined) writer.u32(RTA_PRIORITY, route.metric);
  // The kernel forgets a preferred source whose address is gone, and then would not find the route by it.
  if (route.source !== undefined && purpose === 'new') {
    writer.bytes(RTA_PREFSRC, ofFamily(route.source));
  }
  const { mtu } = route;
  if (mtu !== undefined && purpose === 'new') writer.nested(RTA_METRICS, () => writer.u32(RTAX_MTU, mtu));
  return writer.finish();
}

/** A whole RTM_DELROUTE request, ready for `send` on a NETLINK_ROUTE socket: for the guardian. */
export function deleteRouteMessage(
  route: VirtualRoute,
  interfaceIndex: number | undefined,
  sequence = 1,
): Uint8Array {
  const payload = routePayload('delete', route, interfaceIndex);
  return encodeMessage(RTM_DELROUTE, NLM_F_REQUEST | NLM_F_ACK, sequence, payload);
}

/**
 * Payload of an RTM_GETROUTE dump of our routes of all tables, where NETLINK_GET_STRICT_CHK is on; of all routes where
 * it is not.
 */
export function routeDumpPayload(family: number): Uint8Array {
  const payload = new Uint8Array(RTMSG_BYTES);
  payload[0] = family;
  payload[TABLE_OFFSET] = RT_TABLE_UNSPEC;
  payload[PROTOCOL_OFFSET] = ROUTE_PROTOCOL;
  return payload;
}

/** Whether a payload of RTM_NEWROUTE or RTM_DELROUTE is about one of ours: a router's whole table may pass by here. */
export function isOwnRoute(payload: Uint8Array): boolean {
  return payload[PROTOCOL_OFFSET] === ROUTE_PROTOCOL;
}

/** Payload of RTM_NEWROUTE or RTM_DELROUTE as the kernel sends it; undefined when it is not understood. */
export function decodeRoute(payload: Uint8Array): KernelRoute | undefined {
  if (payload.length < RTMSG_BYTES) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const family = view.getUint8(0);
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  if ((view.getUint32(FLAGS_OFFSET, HOST_LITTLE_ENDIAN) & RTM_F_CLONED) !== 0) return undefined;
  const attributes = decodeAttributes(payload, RTMSG_BYTES);
  const destination = addressText(attributes.get(RTA_DST) ?? new Uint8Array(family === AF_INET ? 4 : 16));
  if (destination === undefined) return undefined;
  return {
    table: optionalU32(attributes, RTA_TABLE) ?? view.getUint8(TABLE_OFFSET),
    destination,
    prefixLength: view.getUint8(1),
    interfaceIndex: optionalU32(attributes, RTA_OIF),
    metric: optionalU32(attributes, RTA_PRIORITY) ?? 0,
    own: isOwnRoute(payload),
  };
}
