/** VRRP instances and sync groups: see semantics.ts. */
import { familyOf } from '../../util/ip-address.js';
import { familyName } from '../address.js';
import { formatDuration } from '../duration.js';
import { MAX_HELD } from '../model.js';
import {
  DEFAULT_AWAIT_SYNC_MS,
  type FileInstance,
  type FileVrrp,
  MAX_INSTANCES,
} from '../schema/schema-vrrp.js';
import type { Key, Section } from '../section.js';
import { virtualMacName } from '../virtual-mac-name.js';
import { quote } from '../yaml.js';
import { checkKnown, checkUnique, nameOf, namesOf, type Report } from './report.js';
import { advertisedCount, advertisedFamily, checkAddresses, checkHeldOnce } from './semantics-addresses.js';
import { checkDirectorKeys, checkEach, type Directors, interfaceOf } from './semantics-directors.js';
import { checkRoutes, checkRules } from './semantics-routing.js';

/** RFC 9568 section 5.2.7: 12 bits of centiseconds. */
const MAX_V3_INTERVAL_MS = 40_950;
/**
 * What the farewells of all instances may take of the guardian's orders (MAX_BODY of native/orders.h), which have to have
 * room for the removal of MAX_HELD addresses, routes and rules as well.
 */
const MAX_FAREWELL_BYTES = 500_000;
/** Of one instance, and of each destination: what stands around the addresses, rounded up. */
const FAREWELL_BYTES = 80;
const DESTINATION_BYTES = 48;
const ADDRESS_BYTES = { ipv4: 4, ipv6: 16 } as const;

export function checkInstances(
  vrrp: Section<FileVrrp> | undefined,
  directors: Directors,
  report: Report,
): void {
  // schema-vrrp.ts has told of it; every check is done for each director and each instance.
  if (vrrp === undefined || (vrrp.value.instances?.length ?? 0) > MAX_INSTANCES) return;
  const instances = vrrp.each('instances');
  checkUnique(
    instances.map((instance) => instance.part('name')),
    'an instance named',
    report,
  );
  let held = 0;
  let farewellBytes = 0;
  for (const instance of instances) {
    checkEach(instance.part('interface'), 'interface', directors, report);
    const priorities = instance.part('priority');
    if (priorities !== undefined) checkDirectorKeys(priorities, directors, report);
    checkInterface(instance, directors, report);
    checkAddresses(instance, directors, report);
    checkRoutes(instance, directors, report);
    checkVersion(instance, report);
    checkPreempt(instance, report);
    checkTransport(instance, directors, report);
    checkVirtualMac(instance, report);
    checkRepeat(instance, report);
    for (const key of ['addresses', 'routes', 'rules'] as const) held += instance.value[key]?.length ?? 0;
    farewellBytes += farewellBytesOf(instance, directors);
  }
  if (held > MAX_HELD) {
    report(
      [...vrrp.path, 'instances'],
      () => `hold ${held} addresses, routes and rules in all: one director holds at most ${MAX_HELD}`,
    );
  }
  if (farewellBytes > MAX_FAREWELL_BYTES) {
    report(
      [...vrrp.path, 'instances'],
      () =>
        `have farewells of ${farewellBytes} bytes for all the other directors, and the guardian takes ${MAX_FAREWELL_BYTES}: ` +
        'speak to them by multicast, or name fewer directors, instances or addresses',
    );
  }
  checkHeldOnce(instances, directors, report);
  checkRules(instances, directors, report);
  checkVirtualRouterIds(instances, directors, report);
  checkDeviceNames(instances, directors, report);
  checkUdpPorts(instances, directors, report);
}

function checkInterface(instance: Section<FileInstance>, directors: Directors, report: Report): void {
  const own = instance.part('interface');
  if (own === undefined || ![...directors.keys()].some((name) => interfaceOf(own, name) === 'lo')) return;
  report(own.path, () => "'lo' reaches no other host: every director would be master");
}

function farewellBytesOf(instance: Section<FileInstance>, directors: Directors): number {
  const { transport } = instance.value;
  const destinations = transport === undefined || transport === 'multicast' ? 1 : directors.size - 1;
  const each =
    DESTINATION_BYTES + ADDRESS_BYTES[advertisedFamily(instance) ?? 'ipv4'] * advertisedCount(instance);
  return FAREWELL_BYTES + destinations * each;
}

/** Version 2 is RFC 3768: IPv4, an interval of one byte in seconds, and one way to make the checksum. */
function checkVersion(instance: Section<FileInstance>, report: Report): void {
  const at = (key: Key<FileInstance>) => [...instance.path, key];
  const isV2 = instance.value.version === 2;
  const isIpv6 = advertisedFamily(instance) === 'ipv6';
  if (isV2 && isIpv6) {
    report(at('version'), () => "VRRP version 2 is for IPv4 alone (RFC 3768): leave 'version: 2' out");
  }
  const interval = instance.part('advertisement_interval');
  if (interval !== undefined && isV2 && interval.value % 1000 !== 0) {
    report(
      interval.path,
      () => `VRRP version 2 counts whole seconds: expected a duration from 1s to 255s, not ${interval.said}`,
    );
  }
  if (interval !== undefined && !isV2 && interval.value > MAX_V3_INTERVAL_MS) {
    const range = `from 10ms to ${formatDuration(MAX_V3_INTERVAL_MS)} in whole centiseconds`;
    report(interval.path, () => `expected a duration ${range}, not ${interval.said}`);
  }
  if (!instance.has('checksum') || (!isV2 && !isIpv6)) return;
  const what = isV2 ? 'VRRP version 2' : 'VRRP over IPv6';
  report(at('checksum'), () => `${what} has one checksum alone: leave 'checksum' out`, { at: 'key' });
}

/** Both waits begin together, and the longer of the two counts. */
function checkPreempt(instance: Section<FileInstance>, report: Report): void {
  const preempt = instance.part('preempt');
  const atMost = preempt?.part('at_most');
  if (preempt === undefined || typeof preempt.value === 'boolean') return;
  if (!preempt.has('after')) {
    if (!preempt.has('at_most')) return;
    const what = "'at_most' goes with 'after: synced': it is how long the connection table is waited for";
    return report([...preempt.path, 'at_most'], () => what, { at: 'key' });
  }
  const { delay = 0, at_most: atMostMs = DEFAULT_AWAIT_SYNC_MS } = preempt.value;
  if (delay < atMostMs) return;
  report(
    (atMost ?? preempt).path,
    () =>
      `the connection table is waited for ${formatDuration(atMostMs)} at most, and the delay is ${formatDuration(delay)}: ` +
      "make 'at_most' longer, or leave 'after' out",
  );
}

type FileTransport = FileInstance['transport'];
type Endpoints = Readonly<Record<string, string>>;
type Located = Pick<Section<unknown>, 'path'>;

function checkTransport(instance: Section<FileInstance>, directors: Directors, report: Report): void {
  const transport = instance.part('transport');
  if (transport === undefined) return;
  if (transport.value === 'unicast') checkOwnAddresses(instance, transport, directors, report);
  if (typeof transport.value === 'string' || !areKindsRight(transport, report)) return;
  const peers = transport.part('unicast') ?? transport.part('udp')?.part('peers');
  if (peers === undefined) return;
  if (peers.keys.length === 0) checkOwnAddresses(instance, peers, directors, report);
  else checkEndpoints(instance, peers, directors, report);
}

/** A mapping names one transport, and what goes with it. */
function areKindsRight(transport: Section<FileTransport>, report: Report): boolean {
  const at = (key: Key<FileTransport>) => [...transport.path, key];
  const [isUnicast, isUdp] = [transport.has('unicast'), transport.has('udp')];
  if (!isUnicast && !isUdp) {
    // An unknown key is told as such, and most likely is the one meant.
    if (transport.keys.some((key) => key !== 'min_ttl')) return false;
    report(transport.path, () => 'names no transport: expected unicast: { ... } or udp: { ... }');
    return false;
  }
  if (isUnicast && isUdp) {
    report(at('udp'), () => 'a transport is unicast or udp, not both', { at: 'key' });
    return false;
  }
  if (transport.has('min_ttl') && !isUnicast) {
    report(at('min_ttl'), () => 'the TTL is looked at under unicast alone: UDP does not tell it', {
      at: 'key',
    });
  }
  return true;
}

function checkIsPair({ path }: Located, directors: Directors, report: Report): void {
  if (directors.size === 1) report(path, () => 'unicast needs a second director to speak to');
}

/** The addresses under `directors` serve: they are of the instance's family. */
function checkOwnAddresses(
  instance: Section<FileInstance>,
  place: Located,
  directors: Directors,
  report: Report,
): void {
  checkIsPair(place, directors, report);
  const family = advertisedFamily(instance);
  for (const [name, director] of directors) {
    const address = director?.value.address;
    if (address === undefined || family === undefined) continue;
    const own = familyOf(address);
    if (own === family) continue;
    report(
      place.path,
      () =>
        `the address of director ${quote(name)} is ${familyName(own)}, and the instance ${familyName(family)}: ` +
        'name an address for each director here',
    );
  }
}

/** One address of the instance's family for each director. */
function checkEndpoints(
  instance: Section<FileInstance>,
  peers: Section<Endpoints>,
  directors: Directors,
  report: Report,
): void {
  checkIsPair(peers, directors, report);
  checkEach(peers, 'address', directors, report);
  const addresses = peers.keys.flatMap((key) => peers.part(key) ?? []);
  checkUnique(addresses, 'a director with the address', report);
  const family = advertisedFamily(instance);
  for (const { value, path, said } of addresses) {
    const own = familyOf(value);
    if (family === undefined || own === family) continue;
    report(path, () => `${said} is ${familyName(own)}, and the instance ${familyName(family)}`);
  }
}

/** Instances with the same peers share a socket; one with others would find the port taken. */
function checkUdpPorts(
  instances: readonly Section<FileInstance>[],
  directors: Directors,
  report: Report,
): void {
  const taken = new Map<string, { readonly instance: string; readonly peers: string }>();
  for (const instance of instances) {
    const transport = instance.part('transport');
    const udp = transport?.part('udp');
    const named = udp?.part('peers');
    if (transport === undefined || udp?.value.port === undefined || named === undefined) continue;
    for (const name of directors.keys()) {
      const addressOf = (one: string) =>
        named.keys.length === 0 ? directors.get(one)?.value.address : named.value[one];
      const own = addressOf(name);
      const peers = JSON.stringify([...directors.keys()].map(addressOf));
      const key = `${name}\n${own} ${udp.value.port}`;
      const other = taken.get(key);
      if (other === undefined) {
        taken.set(key, { instance: nameOf(instance), peers });
        continue;
      }
      if (own === undefined || other.peers === peers) continue;
      report(
        transport.path,
        () =>
          `from ${own} port ${udp.value.port} director ${quote(name)} speaks to other peers for instance ${quote(other.instance)}: ` +
          'give one of the two another port',
      );
      break;
    }
  }
}

/** Peers that are named are found by their own MAC addresses, so a virtual one would serve nobody. */
function checkVirtualMac(instance: Section<FileInstance>, report: Report): void {
  const { virtual_mac: isVirtual, transport } = instance.value;
  if (isVirtual !== true || transport === undefined || transport === 'multicast') return;
  report(
    [...instance.path, 'virtual_mac'],
    () => "a virtual MAC address goes with multicast alone: leave it or 'transport' out",
  );
}

function checkRepeat(instance: Section<FileInstance>, report: Report): void {
  let last = 0;
  for (const { value, path } of instance.part('announce')?.each('repeat') ?? []) {
    if (value <= last) {
      const before = formatDuration(last);
      report(path, () => `expected more than ${before} before it: all count from the first announcement`);
    }
    last = Math.max(last, value);
  }
}

/** RFC 9568 section 5.2.3: the VRID tells the virtual routers of one family on one link apart. */
function checkVirtualRouterIds(
  instances: readonly Section<FileInstance>[],
  directors: Directors,
  report: Report,
): void {
  const taken = new Map<string, string>();
  for (const instance of instances) {
    const id = instance.part('virtual_router_id');
    if (id === undefined) continue;
    const family = advertisedFamily(instance);
    for (const director of directors.keys()) {
      const own = interfaceOf(instance.part('interface'), director);
      if (own === undefined) continue;
      const key = `${director}\n${own}\n${family}\n${id.value}`;
      const other = taken.get(key);
      if (other === undefined) {
        taken.set(key, nameOf(instance));
        continue;
      }
      report(
        id.path,
        () => `VRID ${id.value} is already that of instance ${quote(other)} on interface ${quote(own)}`,
      );
      break;
    }
  }
}

/** Where an interface's name is too long, digits drawn from it stand in a device's name: two may be alike. */
function checkDeviceNames(
  instances: readonly Section<FileInstance>[],
  directors: Directors,
  report: Report,
): void {
  const taken = new Map<string, { readonly instance: string; readonly parent: string }>();
  for (const instance of instances) {
    const { virtual_mac: isVirtual, virtual_router_id: id } = instance.value;
    const family = advertisedFamily(instance);
    if (isVirtual !== true || id === undefined || family === undefined) continue;
    for (const director of directors.keys()) {
      const parent = interfaceOf(instance.part('interface'), director);
      if (parent === undefined) continue;
      const device = virtualMacName(family, id, parent);
      const other = taken.get(`${director}\n${device}`);
      if (other === undefined) {
        taken.set(`${director}\n${device}`, { instance: nameOf(instance), parent });
        continue;
      }
      // The same VRID twice on one interface is told as such.
      if (other.parent === parent) continue;
      report(
        [...instance.path, 'virtual_mac'],
        () =>
          `its device on ${quote(director)} would be ${quote(device)}, as that of instance ${quote(other.instance)}: ` +
          'choose another VRID for one of them',
      );
      break;
    }
  }
}

export function checkSyncGroups(vrrp: Section<FileVrrp> | undefined, report: Report): void {
  if (vrrp === undefined) return;
  const groups = vrrp.each('sync_groups');
  checkUnique(
    groups.map((group) => group.part('name')),
    'a sync group named',
    report,
  );
  const known = namesOf(vrrp.each('instances'));
  const memberOf = new Map<string, string>();
  for (const group of groups) {
    for (const member of group.each('instances')) {
      const name = member.value;
      const other = memberOf.get(name);
      checkKnown(member, 'instance', known, report);
      if (known.has(name) && other !== undefined) {
        report(
          member.path,
          () => `instance ${quote(name)} is already in sync group ${quote(other)}: it can be in one`,
        );
      }
      memberOf.set(name, nameOf(group));
    }
  }
}
