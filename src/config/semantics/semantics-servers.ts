/** Checks across the values of virtual servers: see semantics.ts. */
import { formatDuration } from '../duration.js';
import type { FileVirtualServer } from '../schema/schema.js';
import type { FileInstance } from '../schema/schema-vrrp.js';
import type { Section } from '../section.js';
import { quote } from '../yaml.js';
import { checkKnown, checkUnique, nameOf, namesOf, type Report } from './report.js';
import { addressesOf } from './semantics-addresses.js';

type Server = Section<FileVirtualServer>;

const CHECK_KEYS: ReadonlySet<string> = new Set(['interval', 'timeout', 'rise', 'fall']);

export function checkVirtualServers(
  servers: readonly Server[],
  instances: readonly Section<FileInstance>[],
  report: Report,
): void {
  checkUnique(
    servers.map((server) => server.part('name')),
    'a virtual server named',
    report,
  );
  const instanceNames = namesOf(instances);
  const held = heldAddresses(instances);
  const taken = new Map<string, string>();
  for (const server of servers) {
    checkTaken(server, taken, report);
    checkKnown(server.part('vrrp_instance'), 'instance', instanceNames, report);
    checkHeld(server, held, report);
    checkRealServers(server, report);
    checkHealthCheck(server, report);
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

/** The kernel keys a service by protocol, address and port (`ip_vs_svc_hashkey`). */
function checkTaken(server: Server, taken: Map<string, string>, report: Report): void {
  const { address, port, protocol } = server.value;
  if (address === undefined || port === undefined || protocol === undefined) return;
  const key = `${protocol} ${address}:${port}`;
  const other = taken.get(key);
  if (other === undefined) taken.set(key, nameOf(server));
  else report(server.path, () => `${key} is already the virtual server ${quote(other)}`);
}

/** That of a server that goes with an instance. */
function checkHeld(server: Server, held: ReadonlySet<string> | undefined, report: Report): void {
  const { vrrp_instance: instance, address } = server.value;
  if (instance === undefined || address === undefined || held === undefined || held.has(address)) return;
  report(
    [...server.path, 'address'],
    () => `${quote(address)} is an address of no instance, so no master would receive its traffic`,
  );
}

function checkRealServers(server: Server, report: Report): void {
  const { port: servicePort, forwarding } = server.value;
  // Under dr and tun the packet reaches the real server with its port unchanged.
  const keepsPort = forwarding === 'dr' || forwarding === 'tun';
  const seen = new Set<string>();
  for (const real of server.each('real_servers')) {
    const { address } = real.value;
    const port = real.has('port') ? real.value.port : servicePort;
    if (port === undefined) continue;
    if (address !== undefined) {
      const key = `${address}:${port}`;
      if (seen.has(key)) report(real.path, () => `${key} is already a real server of this virtual server`);
      seen.add(key);
    }
    if (!keepsPort || servicePort === undefined || port === servicePort) continue;
    report(
      [...real.path, 'port'],
      () =>
        `forwarding ${quote(forwarding)} maps no ports: expected the virtual server's port ${servicePort}`,
    );
  }
}

function checkHealthCheck(server: Server, report: Report): void {
  const check = server.part('health_check');
  if (check === undefined) return;
  // An unknown key is told as such, and most likely is the kind, mistyped.
  const kinds = check.keys.filter((key) => !CHECK_KEYS.has(key));
  if (kinds.length === 0) report(check.path, () => 'names no check: expected tcp: {} or http: {}');
  const [, later] = kinds.filter((key) => key === 'tcp' || key === 'http');
  if (later !== undefined) {
    report([...check.path, later], () => 'a health check is either tcp or http, not both', 'key');
  }
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
