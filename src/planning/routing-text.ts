/** Routes and rules as ip-route(8) and ip-rule(8) write them. Pure. */
import {
  MAIN_TABLE,
  type Network,
  type PortRange,
  type VirtualRoute,
  type VirtualRule,
} from '../config/model.js';

/** As `ip route add` takes it. */
export function routeText(route: VirtualRoute): string {
  const { type, destination, prefixLength, table } = route;
  const words: (readonly [name: string, value: string | number | undefined])[] = [
    ['via', route.via],
    ['dev', route.interface],
    ['src', route.source],
    ['table', table === MAIN_TABLE ? undefined : table],
    ['metric', route.metric],
    ['scope', route.scope],
    ['mtu', route.mtu],
  ];
  return [
    ...(type === 'unicast' ? [] : [type]),
    prefixLength === 0 ? 'default' : `${destination}/${prefixLength}`,
    ...pairs(words),
    ...(route.onLink ? ['onlink'] : []),
  ].join(' ');
}

/** As `ip rule add` takes it, or `ip -6 rule add`. */
export function ruleText(rule: VirtualRule): string {
  const { action, fwmark } = rule;
  const words: (readonly [name: string, value: string | number | undefined])[] = [
    ['priority', rule.priority],
    ['from', networkText(rule.from) ?? (rule.to === undefined ? 'all' : undefined)],
    ['to', networkText(rule.to)],
    ['fwmark', fwmark && `0x${fwmark.mark.toString(16)}/0x${fwmark.mask.toString(16)}`],
    ['iif', rule.iif],
    ['oif', rule.oif],
    ['ipproto', rule.ipProtocol],
    ['sport', rangeText(rule.sourcePorts)],
    ['dport', rangeText(rule.destinationPorts)],
    ['table', typeof action === 'string' ? undefined : action.table],
    ['suppress_prefixlength', rule.suppressPrefixLength],
  ];
  return [
    ...(rule.family === 'ipv6' ? ['-6'] : []),
    ...(rule.invert ? ['not'] : []),
    ...pairs(words),
    ...(typeof action === 'string' ? [action] : []),
  ].join(' ');
}

function pairs(words: readonly (readonly [string, string | number | undefined])[]): string[] {
  return words.flatMap(([name, value]) => (value === undefined ? [] : [name, String(value)]));
}

function networkText(network: Network | undefined): string | undefined {
  return network && `${network.address}/${network.prefixLength}`;
}

function rangeText(range: PortRange | undefined): string | undefined {
  if (range === undefined) return undefined;
  return range.first === range.last ? String(range.first) : `${range.first}-${range.last}`;
}
