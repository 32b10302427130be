/** Checks across the values of virtual servers and their real servers: see semantics.ts. */
import { familyOf, isLinkLocal } from '../../util/ip-address.js';
import { familyName } from '../address.js';
import { formatDuration } from '../duration.js';
import type { ServiceAddress } from '../model-servers.js';
import type { FileHealthCheck } from '../schema/schema-checks.js';
import { protocols } from '../schema/schema-protocols.js';
import type {
  FileRealServer,
  FileSorryServer,
  FileTunnel,
  FileVirtualServer,
} from '../schema/schema-servers.js';
import type { FileInstance } from '../schema/schema-vrrp.js';
import type { Section } from '../section.js';
import { addressesOfServer, familyOfService, serves, servicesOf } from '../service-addresses.js';
import { quote } from '../yaml.js';
import { checkCommand, checkKnown, checkUnique, namesOf, type Report } from './report.js';
import { addressesOf } from './semantics-addresses.js';
import type { Directors } from './semantics-directors.js';
import { checkPool } from './semantics-pool.js';
import { checkProtocols, checkWay } from './semantics-protocols.js';
import { checkScheduling, checkServices, type Taken } from './semantics-services.js';

type Server = Section<FileVirtualServer>;
type Real = Section<FileRealServer>;
type Check = Section<FileHealthCheck>;
/** What a real server and a sorry server have in common. */
type Target = Section<FileSorryServer>;

const OF_COMMANDS = ['user', 'exit_status_weight'] as const;

const CHECK_KEYS: ReadonlySet<string> = new Set([
  ...OF_COMMANDS,
  'address',
  'port',
  'source_address',
  'interval',
  'timeout',
  'rise',
  'fall',
  'retry',
  'delay_before_retry',
]);

const CHECK_KINDS: ReadonlySet<string> = new Set([
  ...Object.keys(protocols),
  'http',
  'https',
  'udp',
  'dns',
  'icmp',
  'command',
]);

/** What else of the file the checks look at. */
export interface Around {
  readonly directors: Directors;
  readonly instances: readonly Section<FileInstance>[];
  /** Whether the file says `connection_sync`. */
  readonly syncs: boolean;
}

export function checkVirtualServers(servers: readonly Server[], around: Around, report: Report): void {
  checkUnique(
    servers.map((server) => server.part('name')),
    'a virtual server named',
    report,
  );
  const { instances } = around;
  const instanceNames = namesOf(instances);
  const held = heldAddresses(instances);
  const taken: Taken = new Map();
  for (const server of servers) {
    const services = servicesOf(server.value);
    checkServices(server, services, taken, report);
    checkScheduling(server, report);
    checkKnown(server.part('vrrp_instance'), 'instance', instanceNames, report);
    checkHeld(server, held, report);
    checkTunnel(server.part('tunnel'), report);
    checkRealServers(server, services, around, report);
    checkPool(server, services, report);
    checkHealthChecks(server, around, report);
  }
}

/** The addresses of all instances; undefined when there are no instances, or one whose addresses cannot be read. */
function heldAddresses(instances: readonly Section<FileInstance>[]): ReadonlySet<string> | undefined {
  const held = new Set<string>();
  for (const instance of instances) {
    const addresses = addressesOf(instance);
    if (addresses === undefined) return undefined;
    for (const address of addresses) held.add(address);
  }
  return instances.length === 0 ? undefined : held;
}

/** Those of a server that goes with an instance. */
function checkHeld(server: Server, held: ReadonlySet<string> | undefined, report: Report): void {
  const { vrrp_instance: instance, fwmark } = server.value;
  if (instance === undefined || held === undefined || fwmark !== undefined) return;
  const stranger = addressesOfServer(server.value)?.find((address) => !held.has(address));
  if (stranger === undefined) return;
  report(
    [...server.path, server.has('address') ? 'address' : 'addresses'],
    () => `${quote(stranger)} is an address of no instance, so no master would receive its traffic`,
  );
}

function checkTunnel(tunnel: Section<FileTunnel> | undefined, report: Report): void {
  if (tunnel === undefined) return;
  const { type, checksum } = tunnel.value;
  if (type === undefined) return;
  if (type === 'gue' && !tunnel.has('port')) {
    report(
      [...tunnel.path, 'port'],
      () => 'is missing: expected the UDP port of the gue tunnel, such as 6080',
    );
  }
  if (type !== 'gue' && tunnel.has('port')) {
    report([...tunnel.path, 'port'], () => `${quote(type)} has no port: gue alone has one`);
  }
  const taken = { ipip: ['none'], gre: ['none', 'csum'], gue: ['none', 'csum', 'remcsum'] }[type];
  if (checksum === undefined || taken.includes(checksum)) return;
  report(
    [...tunnel.path, 'checksum'],
    () => `${quote(type)} has no ${quote(checksum)}: expected ${taken.join(' or ')}`,
  );
}

function checkRealServers(
  server: Server,
  services: readonly ServiceAddress[] | undefined,
  around: Around,
  report: Report,
): void {
  const reals = server.each('real_servers');
  const ports = services && new Set(services.map((service) => ('port' in service ? service.port : 0)));
  const seen = new Set<string>();
  for (const real of reals) {
    checkThresholds(real, report);
    checkTunnel(real.part('tunnel'), report);
    checkForwarding(real, server, report);
    checkLinkLocal(real, report);
    if (ports !== undefined) checkPorts(real, server, ports, seen, report);
  }
  if (services !== undefined) checkFamilies(server, reals, services, around, report);
  checkFullnat(server, reals, report);
  const sorry = server.part('sorry_server');
  if (sorry === undefined) return;
  checkTunnel(sorry.part('tunnel'), report);
  checkForwarding(sorry, server, report);
  checkLinkLocal(sorry, report);
  if (ports !== undefined) checkPorts(sorry, server, ports, seen, report);
  if (services !== undefined) checkSorryFamily(sorry, services, report);
}

/** Whose source is translated, and to what. */
function checkFullnat(server: Server, reals: readonly Real[], report: Report): void {
  const sorry = server.part('sorry_server');
  const targets: readonly Target[] = sorry === undefined ? reals : [...reals, sorry];
  const translated = targets.filter((target) => forwardingOf(target, server) === 'fullnat');
  const { snat_address: to, one_packet: onePacket } = server.value;
  if (onePacket === true && translated.length > 0) {
    report(
      [...server.path, 'one_packet'],
      () => "schedules each packet alone, and forwarding 'fullnat' translates connections",
    );
  }
  if (to === undefined) return;
  const families = translated.flatMap(({ value: { address } }) =>
    address === undefined ? [] : [familyOf(address)],
  );
  const path = [...server.path, 'snat_address'];
  if (translated.length === 0) report(path, () => "goes with forwarding 'fullnat'", { at: 'key' });
  else if (families.length === translated.length && !families.includes(familyOf(to))) {
    const family = familyName(familyOf(to));
    report(path, () => `${quote(to)} is ${family}, and no real server with forwarding 'fullnat' is`);
  }
}

/** What `ip_vs_add_dest` answers with ERANGE. */
function checkThresholds(real: Real, report: Report): void {
  const thresholds = real.part('thresholds');
  if (thresholds === undefined) return;
  const { upper, lower } = thresholds.value;
  if (upper === undefined || lower === undefined || lower <= upper) return;
  report([...thresholds.path, 'lower'], () => `is above the upper threshold ${upper}`);
}

function checkLinkLocal(target: Target, report: Report): void {
  const { address } = target.value;
  if (address === undefined || !isLinkLocal(address)) return;
  const at = [...target.path, 'address'];
  report(at, () => 'is link-local, and IPVS tells no interfaces apart: expected another address');
}

function forwardingOf(real: Target, server: Server) {
  return real.has('forwarding') ? real.value.forwarding : server.value.forwarding;
}

function checkForwarding(real: Target, server: Server, report: Report): void {
  const forwarding = forwardingOf(real, server);
  if (forwarding === undefined || forwarding === 'tun' || !real.has('tunnel')) return;
  report([...real.path, 'tunnel'], () => `goes with forwarding 'tun', and this is ${quote(forwarding)}`, {
    at: 'key',
  });
}

/** Each address and port once in a service, and no other port than the service's where none is mapped. */
function checkPorts(
  real: Target,
  server: Server,
  own: ReadonlySet<number>,
  seen: Set<string>,
  report: Report,
): void {
  const { address, port } = real.value;
  if (real.has('port') && port === undefined) return;
  if (address !== undefined) {
    let twice: string | undefined;
    for (const one of port === undefined ? own : [port]) {
      const key = `${address}:${one}`;
      if (seen.has(key)) twice ??= key;
      seen.add(key);
    }
    if (twice !== undefined)
      report(real.path, () => `${twice} is already a real server of this virtual server`);
  }
  const forwarding = forwardingOf(real, server);
  // Under dr and tun the packet reaches the real server with its port unchanged.
  if (forwarding !== 'dr' && forwarding !== 'tun') return;
  if (port === undefined) return;
  if (own.size === 1 && own.has(port)) return;
  report([...real.path, 'port'], () => `forwarding ${quote(forwarding)} maps no ports: ${expectedPort(own)}`);
}

function expectedPort(own: ReadonlySet<number>): string {
  const [port, ...others] = own;
  if (port === 0 || others.length > 0) return "leave it out; 'health_check.port' says where a check goes";
  return `expected the virtual server's port ${port}`;
}

/** It serves the addresses of its family. */
function checkSorryFamily(sorry: Target, services: readonly ServiceAddress[], report: Report): void {
  const { address } = sorry.value;
  if (address === undefined) return;
  const family = familyOf(address);
  if (services.some((service) => familyOfService(service) === family)) return;
  report(
    [...sorry.path, 'address'],
    () => `${quote(address)} is ${familyName(family)}, and no address of the virtual server is`,
  );
}

/** Who serves which addresses: nobody in vain, and no address without anybody. */
function checkFamilies(
  server: Server,
  sections: readonly Real[],
  services: readonly ServiceAddress[],
  { syncs }: Around,
  report: Report,
): void {
  const own = new Set(services.map(familyOfService));
  const [family] = own;
  // As nearly everywhere.
  if (own.size === 1 && sections.every(({ value }) => value.address && familyOf(value.address) === family))
    return;
  const reals = sections.flatMap((real) => {
    const { address } = real.value;
    const forwarding = forwardingOf(real, server);
    if (address === undefined || forwarding === undefined) return [];
    return [{ path: [...real.path, 'address'], address, family: familyOf(address), forwarding }];
  });
  // Of one that cannot be read nobody knows whom it serves.
  if (reals.length < (server.value.real_servers?.length ?? 0)) return;
  const families = {
    services: own,
    realServers: new Set(reals.map(({ family }) => family)),
  };
  for (const real of reals) {
    const { path, address, family } = real;
    const [other] = [...own].filter((one) => one !== family);
    if (other === undefined) continue;
    const mixed = () =>
      `${quote(address)} is ${familyName(family)}, and the virtual server ${familyName(other)}`;
    if (![...own].some((one) => serves(one, real, families))) {
      report(path, () => `${mixed()}: forwarding 'tun' alone goes from one to the other`);
    } else if (syncs && serves(other, real, families)) {
      report(
        path,
        () =>
          `${mixed()}: the kernel refuses that beside its connection sync, whose messages cannot tell of it`,
      );
    }
  }
  for (const service of own) {
    if (reals.some((real) => serves(service, real, families))) continue;
    // One that serves nothing at all is told above.
    if (own.size < 2) continue;
    report([...server.path, 'real_servers'], () => `has none for the ${familyName(service)} addresses`);
  }
}

function checkHealthChecks(server: Server, around: Around, report: Report): void {
  const only = server.part('health_check');
  if (only !== undefined) checkHealthCheck(server, only, around, report);
  const several = server.part('health_checks');
  if (several === undefined) return;
  for (const check of [...several.each('any_of'), ...several.each('all_of')])
    checkHealthCheck(server, check, around, report);
  if (server.has('health_check')) {
    report(several.path, () => "goes not with 'health_check': expected one check there, or several here", {
      at: 'key',
    });
  }
  // An unknown key is told as such, and most likely is one of the two, mistyped.
  if (several.keys.length === 0 || (several.has('any_of') && several.has('all_of')))
    report(several.path, () => 'expected either any_of or all_of, with a list of checks');
}

function checkHealthCheck(server: Server, check: Check, { directors }: Around, report: Report): void {
  // An unknown key is told as such, and most likely is the kind, mistyped.
  const kinds = check.keys.filter((key) => !CHECK_KEYS.has(key));
  if (kinds.length === 0)
    report(
      check.path,
      () => `names no check: expected one of ${[...CHECK_KINDS].join(', ')}, such as tcp: {}`,
    );
  const [first, later] = kinds.filter((key) => CHECK_KINDS.has(key));
  if (first !== undefined && later !== undefined) {
    report([...check.path, later], () => `a health check is either ${first} or ${later}, not both`, {
      at: 'key',
    });
  }
  checkProtocols(check, report);
  checkCommand(check.each('command'), report);
  for (const key of OF_COMMANDS) {
    if (!check.has(key) || check.has('command')) continue;
    report([...check.path, key], () => "goes with 'command'", { at: 'key' });
  }
  if (check.has('delay_before_retry') && !check.has('retry')) {
    report([...check.path, 'delay_before_retry'], () => "goes with 'retry'", { at: 'key' });
  }
  checkTarget(server, check, report);
  checkWay(server, check, directors, report);
  const { interval, timeout } = check.value;
  if (interval === undefined || timeout === undefined || timeout <= interval) return;
  const byDefault = check.has('timeout') ? '' : ' (the default)';
  const key = check.has('timeout') ? 'timeout' : 'interval';
  report(
    [...check.path, key],
    () =>
      `the timeout ${formatDuration(timeout)}${byDefault} is longer than the interval ${formatDuration(interval)}: ` +
      'expected at most the interval',
  );
}

/** With all ports, or a mark, a real server has no port of its own that could be asked. */
function checkTarget(server: Server, check: Check, report: Report): void {
  const { port, fwmark } = server.value;
  if (check.has('port') && check.has('icmp')) {
    report([...check.path, 'port'], () => "goes not with 'icmp', which has no ports", { at: 'key' });
  }
  if (check.has('port') || check.has('command') || check.has('icmp') || (port !== 0 && fwmark === undefined))
    return;
  if (server.each('real_servers').every((real) => real.has('port'))) return;
  report([...check.path, 'port'], () => 'is missing: real servers without a port of their own need it');
}
