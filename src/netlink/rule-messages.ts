/** rtnetlink messages for rules of the routing policy (include/uapi/linux/fib_rules.h). Bytes in, values out. */
import type { PortRange, RuleAction, VirtualRule } from '../config/model.js';
import { knownAddressBytes } from '../util/ip-address.js';
import { AF_INET, AF_INET6, uint32 } from './address-messages.js';
import { decodeAttributes, encodeAttribute, encodeMessage, NLM_F_ACK, NLM_F_REQUEST } from './message.js';
import { numberOf, ROUTE_PROTOCOL } from './route-messages.js';

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
const RT_TABLE_UNSPEC = 0;
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
  readonly family: 'ipv4' | 'ipv6';
  readonly priority: number;
  /** FRA_PROTOCOL is ours. */
  readonly own: boolean;
}

function text(name: string): Uint8Array {
  return new TextEncoder().encode(`${name}\0`);
}

function ports({ first, last }: PortRange): Uint8Array {
  return new Uint8Array(new Uint16Array([first, last]).buffer);
}

/** Payload of RTM_NEWRULE and RTM_DELRULE; they say the same, so that a deletion finds the rule and no other. */
export function rulePayload(rule: VirtualRule): Uint8Array {
  const { family, priority, action, invert, from, to, fwmark, iif, oif, ipProtocol } = rule;
  const header = new Uint8Array(HEADER_BYTES);
  header[0] = family === 'ipv4' ? AF_INET : AF_INET6;
  header[1] = to?.prefixLength ?? 0;
  header[2] = from?.prefixLength ?? 0;
  header[7] = typeof action === 'string' ? ACTION_NUMBERS[action] : FR_ACT_TO_TBL;
  if (invert) header.set(uint32(FIB_RULE_INVERT), 8);
  const parts: Uint8Array[] = [header, encodeAttribute(FRA_PRIORITY, uint32(priority))];
  parts.push(encodeAttribute(FRA_PROTOCOL, new Uint8Array([RULE_PROTOCOL])));
  const table = typeof action === 'string' ? RT_TABLE_UNSPEC : action.table;
  parts.push(encodeAttribute(FRA_TABLE, uint32(table)));
  if (to !== undefined) parts.push(encodeAttribute(FRA_DST, knownAddressBytes(to.address)));
  if (from !== undefined) parts.push(encodeAttribute(FRA_SRC, knownAddressBytes(from.address)));
  if (iif !== undefined) parts.push(encodeAttribute(FRA_IIFNAME, text(iif)));
  if (oif !== undefined) parts.push(encodeAttribute(FRA_OIFNAME, text(oif)));
  if (fwmark !== undefined) {
    parts.push(encodeAttribute(FRA_FWMARK, uint32(fwmark.mark)));
    parts.push(encodeAttribute(FRA_FWMASK, uint32(fwmark.mask)));
  }
  if (ipProtocol !== undefined) parts.push(encodeAttribute(FRA_IP_PROTO, new Uint8Array([ipProtocol])));
  if (rule.sourcePorts !== undefined) parts.push(encodeAttribute(FRA_SPORT_RANGE, ports(rule.sourcePorts)));
  if (rule.destinationPorts !== undefined) {
    parts.push(encodeAttribute(FRA_DPORT_RANGE, ports(rule.destinationPorts)));
  }
  if (rule.suppressPrefixLength !== undefined) {
    parts.push(encodeAttribute(FRA_SUPPRESS_PREFIXLEN, uint32(rule.suppressPrefixLength)));
  }
  return new Uint8Array(Buffer.concat(parts));
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
  const attributes = decodeAttributes(payload.subarray(HEADER_BYTES));
  return {
    family: family === AF_INET ? 'ipv4' : 'ipv6',
    priority: numberOf(attributes.get(FRA_PRIORITY)) ?? 0,
    own: attributes.get(FRA_PROTOCOL)?.[0] === RULE_PROTOCOL,
  };
}
