/** VRRP instances and sync groups: see semantics.ts. */
import { canonicalAddress, nameOf } from '../address.js';
import { booleanOf, type Cursor, type Field, field, fields, items, numberOf, textOf } from '../cursor.js';
import { formatDuration, parseDuration } from '../duration.js';
import { MAX_HELD, MAX_INSTANCES } from '../schema/schema-vrrp.js';
import { virtualMacName } from '../virtual-mac-name.js';
import { quote } from '../yaml.js';
import { checkKnown, checkUnique, namesOf, type Report } from './report.js';
import { checkAddresses, checkHeldOnce, familyOf } from './semantics-addresses.js';
import {
  checkDirectorKeys,
  checkEach,
  type Directors,
  familyOfText,
  interfaceOf,
} from './semantics-directors.js';
import { checkRoutes, checkRules } from './semantics-routing.js';

/** RFC 9568 section 5.2.7: 12 bits of centiseconds. */
const MAX_V3_INTERVAL_MS = 40_950;

export function checkInstances(vrrp: Cursor | undefined, directors: Directors, report: Report): void {
  const list = field(vrrp, 'instances');
  const instances = items(list);
  // schema-vrrp.ts has told of it; every check is done for each director and each instance.
  if (instances.length > MAX_INSTANCES) return;
  checkUnique(
    instances.map((instance) => field(instance, 'name')),
    'an instance named',
    report,
  );
  let held = 0;
  for (const instance of instances) {
    checkEach(field(instance, 'interface'), 'interface', directors, report);
    checkDirectorKeys(fields(field(instance, 'priority')), directors, report);
    checkAddresses(instance, directors, report);
    checkRoutes(instance, directors, report);
    checkVersion(instance, report);
    checkTransport(instance, directors, report);
    checkVirtualMac(instance, report);
    checkRepeat(items(field(field(instance, 'announce'), 'repeat')), report);
    for (const key of ['addresses', 'routes', 'rules']) held += items(field(instance, key)).length;
  }
  if (list !== undefined && held > MAX_HELD) {
    report(
      list,
      () => `hold ${held} addresses, routes and rules in all: one director holds at most ${MAX_HELD}`,
    );
  }
  checkHeldOnce(instances, directors, report);
  checkRules(instances, directors, report);
  checkVirtualRouterIds(instances, directors, report);
  checkDeviceNames(instances, directors, report);
}

/** Version 2 is RFC 3768: IPv4, an interval of one byte in seconds, and one way to make the checksum. */
function checkVersion(instance: Cursor, report: Report): void {
  const version = field(instance, 'version');
  const interval = field(instance, 'advertisement_interval');
  const checksum = field(instance, 'checksum');
  const family = familyOf(instance);
  const ms = parseDuration(textOf(interval) ?? '');
  const isV2 = numberOf(version) === 2;
  if (isV2 && version !== undefined && family === 'ipv6') {
    report(version, () => "VRRP version 2 is for IPv4 alone (RFC 3768): leave 'version: 2' out");
  }
  if (interval !== undefined && ms !== undefined) {
    const text = textOf(interval) ?? '';
    if (isV2 && ms % 1000 !== 0) {
      report(
        interval,
        () => `VRRP version 2 counts whole seconds: expected a duration from 1s to 255s, not ${quote(text)}`,
      );
    }
    if (!isV2 && ms > MAX_V3_INTERVAL_MS && ms <= 255_000 && ms % 10 === 0) {
      const range = `from 10ms to ${formatDuration(MAX_V3_INTERVAL_MS)} in whole centiseconds`;
      report(interval, () => `expected a duration ${range}, not ${quote(text)}`);
    }
  }
  if (checksum === undefined || (!isV2 && family !== 'ipv6')) return;
  const what = isV2 ? 'VRRP version 2' : 'VRRP over IPv6';
  report(
    { path: checksum.path, offset: checksum.keyOffset },
    () => `${what} has one checksum alone: leave 'checksum' out`,
  );
}

function checkTransport(instance: Cursor, directors: Directors, report: Report): void {
  const place = field(instance, 'transport');
  if (place === undefined) return;
  const unicast = field(place, 'unicast');
  const udp = field(place, 'udp');
  const minTtl = field(place, 'min_ttl');
  if (place.node.kind === 'mapping') {
    if (unicast === undefined && udp === undefined) {
      // An unknown key is told as such, and most likely is the one meant.
      if (fields(place).some(({ key }) => key !== 'min_ttl')) return;
      report(place, () => 'names no transport: expected unicast: { ... } or udp: { ... }');
      return;
    }
    if (unicast !== undefined && udp !== undefined) {
      report({ path: udp.path, offset: udp.keyOffset }, () => 'a transport is unicast or udp, not both');
      return;
    }
    if (minTtl !== undefined && unicast === undefined) {
      report(
        { path: minTtl.path, offset: minTtl.keyOffset },
        () => 'the TTL is looked at under unicast alone: UDP does not tell it',
      );
    }
  }
  const peers = unicast ?? field(udp, 'peers');
  if (peers !== undefined ? peers.node.kind === 'mapping' : textOf(place) === 'unicast') {
    checkEndpoints(instance, peers ?? place, directors, report);
  }
}

/** One address of the instance's family for each director, those under `directors` where the mapping is empty. */
function checkEndpoints(instance: Cursor, place: Field, directors: Directors, report: Report): void {
  if (directors.size === 1) report(place, () => 'unicast needs a second director to speak to');
  const family = familyOf(instance);
  const entries = fields(place);
  if (entries.length === 0) {
    for (const [name, director] of directors) {
      const own = familyOfText(textOf(field(director, 'address')));
      if (own === undefined || family === undefined || own === family) continue;
      report(
        place,
        () =>
          `the address of director ${quote(name)} is ${nameOf(own)}, and the instance ${nameOf(family)}: ` +
          'name an address for each director here',
      );
    }
    return;
  }
  checkEach(place, 'address', directors, report);
  checkUnique(entries, 'a director with the address', report, canonicalAddress);
  for (const entry of entries) {
    const own = familyOfText(textOf(entry));
    if (own === undefined || family === undefined || own === family) continue;
    report(
      entry,
      () => `${quote(textOf(entry) ?? '')} is ${nameOf(own)}, and the instance ${nameOf(family)}`,
    );
  }
}

/** Peers that are named are found by their own MAC addresses, so a virtual one would serve nobody. */
function checkVirtualMac(instance: Cursor, report: Report): void {
  const place = field(instance, 'virtual_mac');
  const transport = field(instance, 'transport');
  if (place === undefined || booleanOf(place) !== true) return;
  if (transport === undefined || textOf(transport) === 'multicast') return;
  report(place, () => "a virtual MAC address goes with multicast alone: leave it or 'transport' out");
}

function checkRepeat(times: readonly Cursor[], report: Report): void {
  let last = 0;
  for (const place of times) {
    const ms = parseDuration(textOf(place) ?? '');
    if (ms === undefined) continue;
    if (ms <= last) {
      const before = formatDuration(last);
      report(place, () => `expected more than ${before} before it: all count from the first announcement`);
    }
    last = Math.max(last, ms);
  }
}

/** RFC 9568 section 5.2.3: the VRID tells the virtual routers of one family on one link apart. */
function checkVirtualRouterIds(instances: readonly Cursor[], directors: Directors, report: Report): void {
  const taken = new Map<string, string>();
  for (const instance of instances) {
    const id = field(instance, 'virtual_router_id');
    const number = numberOf(id);
    if (id === undefined || number === undefined) continue;
    const name = textOf(field(instance, 'name')) ?? '';
    const family = familyOf(instance);
    for (const director of directors.keys()) {
      const own = interfaceOf(field(instance, 'interface'), director);
      if (own === undefined) continue;
      const key = `${director}\n${own}\n${family}\n${number}`;
      const other = taken.get(key);
      if (other === undefined) {
        taken.set(key, name);
        continue;
      }
      report(
        id,
        () => `VRID ${number} is already that of instance ${quote(other)} on interface ${quote(own)}`,
      );
      break;
    }
  }
}

/** Where an interface's name is too long, digits drawn from it stand in a device's name: two may be alike. */
function checkDeviceNames(instances: readonly Cursor[], directors: Directors, report: Report): void {
  const taken = new Map<string, { readonly instance: string; readonly parent: string }>();
  for (const instance of instances) {
    const place = field(instance, 'virtual_mac');
    const id = numberOf(field(instance, 'virtual_router_id'));
    const family = familyOf(instance);
    if (place === undefined || booleanOf(place) !== true || id === undefined || family === undefined)
      continue;
    for (const director of directors.keys()) {
      const parent = interfaceOf(field(instance, 'interface'), director);
      if (parent === undefined) continue;
      const device = virtualMacName(family, id, parent);
      const other = taken.get(`${director}\n${device}`);
      if (other === undefined) {
        taken.set(`${director}\n${device}`, { instance: textOf(field(instance, 'name')) ?? '', parent });
        continue;
      }
      // The same VRID twice on one interface is told as such.
      if (other.parent === parent) continue;
      report(
        place,
        () =>
          `its device on ${quote(director)} would be ${quote(device)}, as that of instance ${quote(other.instance)}: ` +
          'choose another VRID for one of them',
      );
      break;
    }
  }
}

export function checkSyncGroups(vrrp: Cursor | undefined, report: Report): void {
  const groups = items(field(vrrp, 'sync_groups'));
  checkUnique(
    groups.map((group) => field(group, 'name')),
    'a sync group named',
    report,
  );
  const known = namesOf(items(field(vrrp, 'instances')));
  const memberOf = new Map<string, string>();
  for (const group of groups) {
    const groupName = textOf(field(group, 'name')) ?? '';
    for (const member of items(field(group, 'instances'))) {
      const name = textOf(member);
      if (name === undefined) continue;
      const other = memberOf.get(name);
      checkKnown(member, 'instance', known, report);
      if (known.has(name) && other !== undefined) {
        report(
          member,
          () => `instance ${quote(name)} is already in sync group ${quote(other)}: it can be in one`,
        );
      }
      memberOf.set(name, groupName);
    }
  }
}
