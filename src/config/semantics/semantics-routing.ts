/** Routes and rules of an instance: see semantics.ts. */
import { addressFamily, canonicalPrefix, nameOf, refuseNetwork } from '../address.js';
import { booleanOf, type Cursor, field, items, numberOf, textOf } from '../cursor.js';
import type { AddressFamily } from '../model.js';
import { quote } from '../yaml.js';
import type { Report } from './report.js';
import { familyOf } from './semantics-addresses.js';
import { checkEach, type Directors, familyOfText } from './semantics-directors.js';

/** Keys of a route that say where packets go. */
const FORWARDING_KEYS = ['via', 'interface', 'source', 'on_link', 'mtu'];

export function checkRoutes(instance: Cursor, directors: Directors, report: Report): void {
  const seen = new Set<string>();
  const ofInstance = familyOf(instance);
  for (const route of items(field(instance, 'routes'))) {
    checkEach(field(route, 'interface'), 'interface', directors, report);
    checkFamilies(route, 'route', ['to', 'via', 'source'], report);
    checkType(route, report);
    const to = field(route, 'to');
    const text = textOf(to);
    if (to === undefined || text === undefined) continue;
    const family = familyOfText(textOf(field(route, 'via')) ?? textOf(field(route, 'source')));
    // The kernel keeps routes apart by table, destination and metric.
    const destination = text === 'default' ? `default ${family ?? ofInstance}` : canonicalPrefix(text);
    const key = `${destination} ${numberOf(field(route, 'metric'))} ${tableText(route)}`;
    if (seen.has(key)) report(route, () => `there is already a route to ${quote(text)} of this metric`);
    seen.add(key);
  }
}

function tableText(place: Cursor): string {
  const table = field(place, 'table');
  return String(numberOf(table) ?? textOf(table) ?? 'main');
}

/** What forwards nothing has no next hop; on the link is a next hop alone. */
function checkType(route: Cursor, report: Report): void {
  const type = textOf(field(route, 'type')) ?? 'unicast';
  const forwards = type === 'unicast' || type === 'local';
  for (const key of FORWARDING_KEYS) {
    const place = field(route, key);
    if (place === undefined || forwards) continue;
    report(place, () => `a route of type ${type} forwards nothing: leave '${key}' out`);
  }
  const onLink = field(route, 'on_link');
  if (forwards && booleanOf(onLink) === true && onLink !== undefined && field(route, 'via') === undefined) {
    report(onLink, () => "says something of the next hop: it needs 'via'");
  }
}

/** Addresses and networks under `keys` are of one family. */
function checkFamilies(
  place: Cursor,
  what: string,
  keys: readonly string[],
  report: Report,
): AddressFamily | undefined {
  let family: AddressFamily | undefined;
  for (const key of keys) {
    const value = field(place, key);
    const text = textOf(value);
    if (value === undefined || text === undefined) continue;
    const own =
      text.includes('/') && refuseNetwork(text) === undefined ? addressFamily(text) : familyOfText(text);
    const other = family;
    if (own !== undefined && other !== undefined && own !== other) {
      report(value, () => `${quote(text)} is ${nameOf(own)}, and this is an ${nameOf(other)} ${what}`);
    }
    family ??= own;
  }
  return family;
}

/** Their priority tells rules apart, across all instances: whoever deletes one by it must not hit another. */
export function checkRules(instances: readonly Cursor[], directors: Directors, report: Report): void {
  const seen = new Map<string, string>();
  for (const instance of instances) {
    const owner = textOf(field(instance, 'name')) ?? '';
    for (const rule of items(field(instance, 'rules'))) {
      const family = checkRule(rule, directors, report) ?? familyOf(instance);
      const priority = numberOf(field(rule, 'priority'));
      if (priority === undefined || family === undefined) continue;
      const key = `${family} ${priority}`;
      const other = seen.get(key);
      if (other !== undefined) {
        report(
          rule,
          () =>
            `there is already an ${nameOf(family)} rule of priority ${priority}, of instance ${quote(other)}`,
        );
      }
      seen.set(key, owner);
    }
  }
}

/** Returns its family where it says it. */
function checkRule(rule: Cursor, directors: Directors, report: Report): AddressFamily | undefined {
  for (const key of ['iif', 'oif']) checkEach(field(rule, key), 'interface', directors, report);
  const family = checkFamilies(rule, 'rule', ['from', 'to'], report);
  const place = field(rule, 'family');
  const said = textOf(place);
  if (
    place !== undefined &&
    family !== undefined &&
    (said === 'ipv4' || said === 'ipv6') &&
    said !== family
  ) {
    report(place, () => `its networks are ${nameOf(family)}`);
  }
  const [table, action] = [field(rule, 'table'), field(rule, 'action')];
  if ((table === undefined) === (action === undefined)) {
    report(action ?? rule, () => "needs one of 'table' and 'action'");
  }
  const suppress = field(rule, 'suppress_prefix_length');
  if (suppress !== undefined && table === undefined) {
    report(suppress, () => "says something of the routes of a table: it needs 'table'");
  }
  const protocol = field(rule, 'ip_protocol');
  for (const key of ['source_port', 'destination_port']) {
    const port = field(rule, key);
    if (port !== undefined && protocol === undefined) {
      report(port, () => "needs 'ip_protocol': tcp, udp or sctp");
    }
  }
  return said === 'ipv4' || said === 'ipv6' ? said : family;
}
