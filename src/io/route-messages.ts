/** rtnetlink messages for routes of the main table (include/uapi/linux/rtnetlink.h). Values in, bytes out. */
import type { VirtualRoute } from '../config/model.js';
import { knownAddressBytes } from '../ip-address.js';
import {
  encodeAttribute,
  encodeMessage,
  HOST_LITTLE_ENDIAN,
  NLM_F_ACK,
  NLM_F_REQUEST,
} from './netlink-message.js';
import { AF_INET, AF_INET6 } from './socket-constants.js';

export const RTM_NEWROUTE = 24;
export const RTM_DELROUTE = 25;

const RTMSG_BYTES = 12;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_PREFSRC = 7;
const RT_TABLE_MAIN = 254;
const RTPROT_STATIC = 4;
const RTN_UNICAST = 1;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
/** In a deletion: whatever scope it has. */
const RT_SCOPE_NOWHERE = 255;

function uint32(value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setUint32(0, value, HOST_LITTLE_ENDIAN);
  return bytes;
}

/**
 * Payload of RTM_NEWROUTE and RTM_DELROUTE: struct rtmsg with the destination (none for a default route), the
 * next hop, the interface, and where given metric and preferred source. A deletion takes the route whoever
 * added it (protocol, type and scope are open).
 *
 * @param interfaceIndex as of if_nametoindex(3)
 * @throws {RangeError} for a prefix length beyond the address
 */
export function routePayload(
  purpose: 'new' | 'delete',
  route: VirtualRoute,
  interfaceIndex: number,
): Uint8Array {
  const { destination, prefixLength, via, source, metric } = route;
  const network = knownAddressBytes(destination);
  const bits = network.length * 8;
  if (!Number.isInteger(prefixLength) || prefixLength < 0 || prefixLength > bits) {
    throw new RangeError(`prefix length ${prefixLength} of ${destination} is not within 0 to ${bits}`);
  }
  const scope = via === undefined && bits === 32 ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  const [protocol, scopeByte, type] =
    purpose === 'new' ? [RTPROT_STATIC, scope, RTN_UNICAST] : [0, RT_SCOPE_NOWHERE, 0];
  const head = new Uint8Array(RTMSG_BYTES);
  head.set([bits === 32 ? AF_INET : AF_INET6, prefixLength, 0, 0, RT_TABLE_MAIN, protocol, scopeByte, type]);
  const parts = [head, encodeAttribute(RTA_OIF, uint32(interfaceIndex))];
  if (prefixLength > 0) parts.push(encodeAttribute(RTA_DST, network));
  if (via !== undefined) parts.push(encodeAttribute(RTA_GATEWAY, knownAddressBytes(via)));
  if (source !== undefined) parts.push(encodeAttribute(RTA_PREFSRC, knownAddressBytes(source)));
  if (metric !== undefined) parts.push(encodeAttribute(RTA_PRIORITY, uint32(metric)));
  return new Uint8Array(Buffer.concat(parts));
}

/** A whole RTM_DELROUTE request, ready for `send` on a NETLINK_ROUTE socket: for the guardian. */
export function deleteRouteMessage(route: VirtualRoute, interfaceIndex: number, sequence = 1): Uint8Array {
  const payload = routePayload('delete', route, interfaceIndex);
  return encodeMessage(RTM_DELROUTE, NLM_F_REQUEST | NLM_F_ACK, sequence, payload);
}
