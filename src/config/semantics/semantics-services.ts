/** Which traffic a virtual server is for, and what goes with it: see semantics.ts. */
import { endpointText, isLinkLocal } from '../../util/ip-address.js';
import { familyName } from '../address.js';
import type { SchedulerFlag, ServiceAddress } from '../model-servers.js';
import type { FileVirtualServer } from '../schema/schema-servers.js';
import type { Key, Section } from '../section.js';
import { addressesOfServer, familyOfService, MAX_SERVICES, portsOfServer } from '../service-addresses.js';
import { quote } from '../yaml.js';
import { nameOf, type Report } from './report.js';

type Server = Section<FileVirtualServer>;

/** Who has a service of the kernel already. */
export type Taken = Map<string, Server>;

const ADDRESS_KEYS = ['address', 'addresses'] as const;
const PORT_KEYS = ['port', 'ports'] as const;

/** As `ipvsadm` would be told: `tcp 192.0.2.1:80`, `fwmark 7 (IPv6)`. */
function serviceText(service: ServiceAddress): string {
  if ('fwmark' in service) return `fwmark ${service.fwmark} (${familyName(service.family)})`;
  const { protocol, address, port } = service;
  return `${protocol} ${endpointText(address, port)}`;
}

/** `services`: those of the server; undefined when they cannot be told. */
export function checkServices(
  server: Server,
  services: readonly ServiceAddress[] | undefined,
  taken: Taken,
  report: Report,
): void {
  checkKeys(server, report);
  if (services === undefined) {
    checkCount(server, report);
    return;
  }
  checkLinkLocal(server, report);
  checkTaken(server, services, taken, report);
  checkAllPorts(server, report);
  checkPersistence(server, services, report);
}

/** One way to say it, and all of it. */
function checkKeys(server: Server, report: Report): void {
  const has = (key: Key<FileVirtualServer>): boolean => server.has(key);
  for (const keys of [ADDRESS_KEYS, PORT_KEYS]) {
    const [first, second] = keys;
    if (!has(first) || !has(second)) continue;
    report([...server.path, second], () => `${quote(first)} is there already: expected one of the two`, {
      at: 'key',
    });
  }
  if (!has('fwmark')) {
    if (!ADDRESS_KEYS.some(has)) {
      report([...server.path, 'address'], () => "is missing: expected 'address', 'addresses' or 'fwmark'");
    }
    if (!PORT_KEYS.some(has))
      report([...server.path, 'port'], () => "is missing: expected 'port' or 'ports'");
    if (has('family')) {
      report([...server.path, 'family'], () => "goes with 'fwmark': an address has its family", {
        at: 'key',
      });
    }
    return;
  }
  for (const key of [...ADDRESS_KEYS, ...PORT_KEYS, 'protocol'] as const) {
    if (!has(key)) continue;
    report(
      [...server.path, key],
      () => "goes not with 'fwmark': the firewall's rule says which traffic is meant",
      {
        at: 'key',
      },
    );
  }
}

/** The kernel's table has no interface beside an address. */
function checkLinkLocal(server: Server, report: Report): void {
  const linkLocal = addressesOfServer(server.value)?.find(isLinkLocal);
  if (linkLocal === undefined) return;
  report(
    [...server.path, server.has('address') ? 'address' : 'addresses'],
    () => `${quote(linkLocal)} is link-local, and IPVS tells no interfaces apart: expected another address`,
  );
}

function checkCount(server: Server, report: Report): void {
  const addresses = addressesOfServer(server.value)?.length ?? 0;
  const ports = portsOfServer(server.value)?.length ?? 0;
  if (addresses * ports <= MAX_SERVICES) return;
  report(
    server.path,
    () =>
      `${addresses} addresses with ${ports} ports are ${addresses * ports} services: at most ${MAX_SERVICES}`,
  );
}

/** The kernel keys a service by protocol, address and port, or by family and mark (`ip_vs_svc_hashkey`). */
function checkTaken(server: Server, services: readonly ServiceAddress[], taken: Taken, report: Report): void {
  // Of all that two entries have in common the first is told.
  const told = new Set<Server>();
  for (const service of services) {
    const text = serviceText(service);
    const other = taken.get(text);
    if (other === undefined) taken.set(text, server);
    if (other === undefined || told.has(other)) continue;
    told.add(other);
    if (other === server) report(server.path, () => `${text} is in it twice`);
    else {
      report(server.path, () => `${text} is already the virtual server ${quote(nameOf(other))}`, {
        other: other.path,
      });
    }
  }
}

/** `ipvsadm`: "Zero port specified for non-persistent service". */
function checkAllPorts(server: Server, report: Report): void {
  if (server.value.port !== 0 || server.has('persistence')) return;
  report([...server.path, 'port'], () => "port 0, all ports, needs 'persistence'");
}

function checkPersistence(server: Server, services: readonly ServiceAddress[], report: Report): void {
  const persistence = server.part('persistence');
  if (persistence === undefined) return;
  const families = new Set(services.map(familyOfService));
  for (const [key, family] of [
    ['netmask', 'ipv4'],
    ['prefix_length', 'ipv6'],
  ] as const) {
    if (!persistence.has(key) || families.has(family)) continue;
    const meant = key === 'netmask' ? 'prefix_length' : 'netmask';
    report(
      [...persistence.path, key],
      () => `is for ${familyName(family)}, and this virtual server has none: expected ${quote(meant)}`,
      { at: 'key' },
    );
  }
  if (persistence.value.engine !== undefined && !isUdp(services)) {
    report([...persistence.path, 'engine'], () => "the engine 'sip' reads UDP: expected protocol: udp");
  }
}

/** Or may be: what carries a mark is of any protocol. */
function isUdp(services: readonly ServiceAddress[]): boolean {
  return services.every((service) => 'fwmark' in service || service.protocol === 'udp');
}

export function checkScheduling(server: Server, report: Report): void {
  const { scheduler, one_packet: onePacket, fwmark, protocol } = server.value;
  for (const flag of server.each('scheduler_flags')) {
    const meant = schedulerOf(flag.value);
    if (scheduler === undefined || scheduler === meant) continue;
    report(flag.path, () => `is for the scheduler ${quote(meant)}, not for ${quote(scheduler)}`);
  }
  if (onePacket === true && fwmark === undefined && protocol !== undefined && protocol !== 'udp') {
    report([...server.path, 'one_packet'], () => 'schedules each UDP packet alone: expected protocol: udp');
  }
}

function schedulerOf(flag: SchedulerFlag): string {
  return flag.slice(0, flag.indexOf('-'));
}
