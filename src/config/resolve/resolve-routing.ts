/** An instance's routes and rules as one director sees them. */
import { type AddressFamily, familyOf } from '../../util/ip-address.js';
import { splitPrefix } from '../address.js';
import { interfaceFor } from '../interface-for.js';
import { MAIN_TABLE, type VirtualRoute, type VirtualRule } from '../model.js';
import type { FileInstance } from '../schema/schema-vrrp.js';

/** `device`: of the instance's addresses. */
export function resolveRoute(
  route: FileInstance['routes'][number],
  instanceFamily: AddressFamily,
  device: string,
  director: string,
): VirtualRoute {
  const hint = route.via ?? route.source;
  const family = hint === undefined ? instanceFamily : familyOf(hint);
  const everything = family === 'ipv4' ? '0.0.0.0/0' : '::/0';
  const { address, prefixLength } = splitPrefix(route.to === 'default' ? everything : route.to);
  const forwards = route.type === 'unicast' || route.type === 'local';
  const own = route.interface === undefined ? device : interfaceFor(route.interface, director);
  return {
    type: route.type,
    table: route.table,
    destination: address,
    prefixLength,
    via: route.via,
    interface: forwards ? own : undefined,
    source: route.source,
    metric: route.metric,
    scope: route.scope,
    onLink: route.on_link,
    mtu: route.mtu,
  };
}

export function resolveRule(
  rule: FileInstance['rules'][number],
  instanceFamily: AddressFamily,
  director: string,
): VirtualRule {
  const hint = rule.from ?? rule.to;
  const device = (of: typeof rule.iif) => (of === undefined ? undefined : interfaceFor(of, director));
  return {
    family: rule.family ?? (hint === undefined ? instanceFamily : familyOf(hint)),
    priority: rule.priority,
    action: rule.action ?? { table: rule.table ?? MAIN_TABLE },
    invert: rule.not,
    from: rule.from === undefined ? undefined : splitPrefix(rule.from),
    to: rule.to === undefined ? undefined : splitPrefix(rule.to),
    fwmark: rule.fwmark,
    iif: device(rule.iif),
    oif: device(rule.oif),
    ipProtocol: rule.ip_protocol,
    sourcePorts: rule.source_port,
    destinationPorts: rule.destination_port,
    suppressPrefixLength: rule.suppress_prefix_length,
  };
}
