/** Routes and rules of an instance: see semantics.ts. */
import { type AddressFamily, familyOf } from '../../util/ip-address.js';
import { familyName } from '../address.js';
import type { FileInstance } from '../schema/schema-vrrp.js';
import type { Key, Section } from '../section.js';
import { quote } from '../yaml.js';
import { nameOf, type Report } from './report.js';
import { advertisedFamily } from './semantics-addresses.js';
import { checkEach, type Directors } from './semantics-directors.js';

type FileRoute = FileInstance['routes'][number];
type FileRule = FileInstance['rules'][number];

/** Keys of a route that say where packets go. */
const FORWARDING_KEYS = ['via', 'interface', 'source', 'on_link', 'mtu'] as const;

export function checkRoutes(instance: Section<FileInstance>, directors: Directors, report: Report): void {
  const seen = new Set<string>();
  const ofInstance = advertisedFamily(instance);
  for (const route of instance.each('routes')) {
    checkEach(route.part('interface'), 'interface', directors, report);
    checkFamilies([route.part('to'), route.part('via'), route.part('source')], 'route', report);
    checkType(route, report);
    const { to, via, source, metric, table } = route.value;
    if (to === undefined) continue;
    const hint = via ?? source;
    const family = hint === undefined ? ofInstance : familyOf(hint);
    // The kernel keeps routes apart by table, destination and metric.
    const key = `${to === 'default' ? `default ${family}` : to} ${metric} ${table}`;
    if (seen.has(key)) report(route.path, () => `there is already a route to ${quote(to)} of this metric`);
    seen.add(key);
  }
}

/** What forwards nothing has no next hop; on the link is a next hop alone. */
function checkType(route: Section<FileRoute>, report: Report): void {
  const { type, on_link: onLink } = route.value;
  if (type === undefined) return;
  const forwards = type === 'unicast' || type === 'local';
  for (const key of FORWARDING_KEYS) {
    if (forwards || !route.has(key)) continue;
    report([...route.path, key], () => `a route of type ${type} forwards nothing: leave '${key}' out`);
  }
  if (forwards && onLink === true && !route.has('via')) {
    report([...route.path, 'on_link'], () => "says something of the next hop: it needs 'via'");
  }
}

/** These addresses and networks are of one family, which is returned where it can be told. */
function checkFamilies(
  sections: readonly (Section<string> | undefined)[],
  what: string,
  report: Report,
): AddressFamily | undefined {
  let family: AddressFamily | undefined;
  for (const section of sections) {
    if (section === undefined || section.value === 'default') continue;
    const own = familyOf(section.value);
    const other = family ?? own;
    if (own !== other) {
      const { path, said } = section;
      report(path, () => `${said} is ${familyName(own)}, and this is an ${familyName(other)} ${what}`);
    }
    family ??= own;
  }
  return family;
}

/** Their priority tells rules apart, across all instances: whoever deletes one by it must not hit another. */
export function checkRules(
  instances: readonly Section<FileInstance>[],
  directors: Directors,
  report: Report,
): void {
  const seen = new Map<string, string>();
  for (const instance of instances) {
    for (const rule of instance.each('rules')) {
      const family = checkRule(rule, directors, report) ?? advertisedFamily(instance);
      const { priority } = rule.value;
      if (priority === undefined || family === undefined) continue;
      const key = `${family} ${priority}`;
      const other = seen.get(key);
      if (other !== undefined) {
        report(
          rule.path,
          () =>
            `there is already an ${familyName(family)} rule of priority ${priority}, of instance ${quote(other)}`,
        );
      }
      seen.set(key, nameOf(instance));
    }
  }
}

/** Returns its family where it says it. */
function checkRule(rule: Section<FileRule>, directors: Directors, report: Report): AddressFamily | undefined {
  const at = (key: Key<FileRule>) => [...rule.path, key];
  for (const key of ['iif', 'oif'] as const) checkEach(rule.part(key), 'interface', directors, report);
  const ofNetworks = checkFamilies([rule.part('from'), rule.part('to')], 'rule', report);
  const said = rule.value.family;
  if (ofNetworks !== undefined && said !== undefined && said !== ofNetworks) {
    report(at('family'), () => `its networks are ${familyName(ofNetworks)}`);
  }
  if (rule.has('table') === rule.has('action')) {
    report(rule.has('action') ? at('action') : rule.path, () => "needs one of 'table' and 'action'");
  }
  if (rule.has('suppress_prefix_length') && !rule.has('table')) {
    report(at('suppress_prefix_length'), () => "says something of the routes of a table: it needs 'table'");
  }
  for (const key of ['source_port', 'destination_port'] as const) {
    if (!rule.has(key) || rule.has('ip_protocol')) continue;
    report(at(key), () => "needs 'ip_protocol': tcp, udp or sctp");
  }
  return said ?? ofNetworks;
}
