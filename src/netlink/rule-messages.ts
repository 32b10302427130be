/** rtnetlink messages for rules of the routing policy (include/uapi/linux/fib_rules.h). Bytes in, values out. */
import type { RuleAction, VirtualRule } from '../config/model.js';
import { type AddressFamily, AF_INET, AF_INET6, knownAddressBytes } from '../util/ip-address.js';

import { AttributeWriter, decodeAttributes, optionalU32, u32Bytes } from './attributes.js';
import { encodeMessage, NLM_F_ACK, NLM_F_REQUEST } from './message.js';
import { ROUTE_PROTOCOL, RT_TABLE_UNSPEC } from './route-messages.js';

export const RTM_NEWRULE = 32;
export const RTM_DELRULE = 33;
export const RTM_GETRULE = 34;

/** Multicast groups by number (RTNLGRP_*). */
export const RTNLGRP_IPV4_RULE = 8;
export const RTNLGRP_IPV6_RULE = 19;

/** FRA_PROTOCOL of our rules, as ROUTE_PROTOCOL of our routes. Linux 4.17. */
const RULE_PROTOCOL = ROUTE_PROTOCOL;

/** FR_ACT_* by name. */
const FR_ACT_TO_TBL = 1;
const ACTION_NUMBERS: Readonly<Record<Extract<RuleAction, string>, number>> = {
  blackhole: 6,
  unreachable: 7,
  prohibit: 8,
};
const FIB_RULE_INVERT = 2;
const FRA_DST = 1;
const FRA_SRC = 2;
const FRA_IIFNAME = 3;
const FRA_PRIORITY = 6;
const FRA_FWMARK = 10;
const FRA_SUPPRESS_PREFIXLEN = 14;
const FRA_TABLE = 15;
const FRA_FWMASK = 16;
const FRA_OIFNAME = 17;
const FRA_PROTOCOL = 21;
const FRA_IP_PROTO = 22;
const FRA_SPORT_RANGE = 23;
const FRA_DPORT_RANGE = 24;
/** struct fib_rule_hdr. */
const HEADER_BYTES = 12;

/** What a rule of the kernel is told apart by here. */
export interface KernelRule {
  readonly family: AddressFamily;
  readonly priority: number;
  /** FRA_PROTOCOL is ours. */
  readonly own: boolean;
}

/** Payload of RTM_NEWRULE and RTM_DELRULE; they say the same, so that a deletion finds the rule and no other. */
export function rulePayload(rule: VirtualRule): Uint8Array {
  const { family, priority, action, invert, from, to, fwmark, iif, oif, ipProtocol } = rule;
  const header = new Uint8Array(HEADER_BYTES);
  header[0] = family === 'ipv4' ? AF_INET : AF_INET6;
  header[1] = to?.prefixLength ?? 0;
  header[2] = from?.prefixLength ?? 0;
  header[7] = typeof action === 'string' ? ACTION_NUMBERS[action] : FR_ACT_TO_TBL;
  if (invert) header.set(u32Bytes(FIB_RULE_INVERT), 8);
  const { sourcePorts, destinationPorts, suppressPrefixLength } = rule;
  const writer = new AttributeWriter(header)
    .u32(FRA_PRIORITY, priority)
    .u8(FRA_PROTOCOL, RULE_PROTOCOL)
    .u32(FRA_TABLE, typeof action === 'string' ? RT_TABLE_UNSPEC : action.table);
  if (to !== undefined) writer.bytes(FRA_DST, knownAddressBytes(to.address));
  if (from !== undefined) writer.bytes(FRA_SRC, knownAddressBytes(from.address));
  if (iif !== undefined) writer.string(FRA_IIFNAME, iif);
  if (oif !== undefined) writer.string(FRA_OIFNAME, oif);
  if (fwmark !== undefined) writer.u32(FRA_FWMARK, fwmark.mark).u32(FRA_FWMASK, fwmark.mask);
  if (ipProtocol !== undefined) writer.u8(FRA_IP_PROTO, ipProtocol);
  if (sourcePorts !== undefined) writer.u16s(FRA_SPORT_RANGE, [sourcePorts.first, sourcePorts.last]);
  if (destinationPorts !== undefined) {
    writer.u16s(FRA_DPORT_RANGE, [destinationPorts.first, destinationPorts.last]);
  }
  if (suppressPrefixLength !== undefined) writer.u32(FRA_SUPPRESS_PREFIXLEN, suppressPrefixLength);
  return writer.finish();
}

/** A whole RTM_DELRULE request, ready for `send` on a NETLINK_ROUTE socket: for the guardian. */
export function deleteRuleMessage(rule: VirtualRule, sequence = 1): Uint8Array {
  return encodeMessage(RTM_DELRULE, NLM_F_REQUEST | NLM_F_ACK, sequence, rulePayload(rule));
}

/** Payload of an RTM_GETRULE dump. */
export function ruleDumpPayload(family: number): Uint8Array {
  const payload = new Uint8Array(HEADER_BYTES);
  payload[0] = family;
  return payload;
}

/** Payload of RTM_NEWRULE or RTM_DELRULE as the kernel sends it; undefined when it is not understood. */
export function decodeRule(payload: Uint8Array): KernelRule | undefined {
  if (payload.length < HEADER_BYTES) return undefined;
  const family = payload[0];
  if (family !== AF_INET && family !== AF_INET6) return undefined;
  const attributes = decodeAttributes(payload, HEADER_BYTES);
  return {
    family: family === AF_INET ? 'ipv4' : 'ipv6',
    priority: optionalU32(attributes, FRA_PRIORITY) ?? 0,
    own: attributes.get(FRA_PROTOCOL)?.[0] === RULE_PROTOCOL,
  };
}
