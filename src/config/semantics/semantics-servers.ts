/** Checks across the values of virtual servers: see semantics.ts. */
import { type Cursor, field, fields, items, numberOf, textOf } from '../cursor.js';
import { formatDuration, parseDuration } from '../duration.js';
import { suggestion } from '../nearest.js';
import { DEFAULT_CHECK_INTERVAL, DEFAULT_CHECK_TIMEOUT, DEFAULT_PROTOCOL } from '../schema/schema.js';
import { quote } from '../yaml.js';
import { addressOf, checkUnique, type Report } from './report.js';

const CHECK_KEYS: ReadonlySet<string> = new Set(['interval', 'timeout', 'rise', 'fall']);

export function checkVirtualServers(
  servers: readonly Cursor[],
  instances: readonly Cursor[],
  report: Report,
): void {
  checkUnique(
    servers.map((server) => field(server, 'name')),
    'a virtual server named',
    report,
  );
  const instanceNames = new Set(instances.map((instance) => textOf(field(instance, 'name')) ?? ''));
  const held = heldAddresses(instances);
  const taken = new Map<string, string>();
  for (const server of servers) {
    checkTaken(server, taken, report);
    checkInstance(server, instanceNames, held, report);
    checkRealServers(server, report);
    checkHealthCheck(field(server, 'health_check'), report);
  }
}

/** The addresses of all instances; undefined when there are no instances, or one whose addresses cannot be read. */
function heldAddresses(instances: readonly Cursor[]): ReadonlySet<string> | undefined {
  const held = new Set<string>();
  for (const instance of instances) {
    const entries = items(field(instance, 'addresses'));
    if (entries.length === 0) return undefined;
    for (const entry of entries) {
      const address = addressOf(entry);
      if (address === undefined) return undefined;
      held.add(address);
    }
  }
  return instances.length === 0 ? undefined : held;
}

/** The kernel keys a service by protocol, address and port (`ip_vs_svc_hashkey`). */
function checkTaken(server: Cursor, taken: Map<string, string>, report: Report): void {
  const address = textOf(field(server, 'address'));
  const port = numberOf(field(server, 'port'));
  const protocolField = field(server, 'protocol');
  const protocol = protocolField === undefined ? DEFAULT_PROTOCOL : textOf(protocolField);
  if (address === undefined || port === undefined || protocol === undefined) return;
  const key = `${protocol} ${address}:${port}`;
  const other = taken.get(key);
  if (other === undefined) taken.set(key, textOf(field(server, 'name')) ?? '');
  else report(server, () => `${key} is already the virtual server ${quote(other)}`);
}

function checkInstance(
  server: Cursor,
  instanceNames: ReadonlySet<string>,
  held: ReadonlySet<string> | undefined,
  report: Report,
): void {
  const place = field(server, 'vrrp_instance');
  const name = textOf(place);
  if (place === undefined || name === undefined) return;
  if (!instanceNames.has(name)) {
    report(place, () => `no instance is named ${quote(name)}${suggestion(name, instanceNames)}`);
  }
  const vip = field(server, 'address');
  const address = textOf(vip);
  if (vip !== undefined && address !== undefined && held !== undefined && !held.has(address)) {
    report(
      vip,
      () => `${quote(address)} is an address of no instance, so no master would receive its traffic`,
    );
  }
}

function checkRealServers(server: Cursor, report: Report): void {
  const servicePort = numberOf(field(server, 'port'));
  const forwarding = textOf(field(server, 'forwarding'));
  const seen = new Set<string>();
  for (const real of items(field(server, 'real_servers'))) {
    const address = textOf(field(real, 'address'));
    const portField = field(real, 'port');
    const port = portField === undefined ? servicePort : numberOf(portField);
    if (address !== undefined && port !== undefined) {
      const key = `${address}:${port}`;
      if (seen.has(key)) report(real, () => `${key} is already a real server of this virtual server`);
      seen.add(key);
    }
    // Under dr and tun the packet reaches the real server with its port unchanged.
    const keepsPort = forwarding === 'dr' || forwarding === 'tun';
    if (
      keepsPort &&
      portField !== undefined &&
      port !== undefined &&
      servicePort !== undefined &&
      port !== servicePort
    ) {
      report(
        portField,
        () =>
          `forwarding ${quote(forwarding)} maps no ports: expected the virtual server's port ${servicePort}`,
      );
    }
  }
}

function checkHealthCheck(check: Cursor | undefined, report: Report): void {
  if (check?.node.kind !== 'mapping') return;
  const tcp = field(check, 'tcp');
  const http = field(check, 'http');
  // An unknown key is told as such, and most likely is the kind, mistyped.
  const hasUnknown = fields(check).some(({ key }) => !CHECK_KEYS.has(key));
  if (tcp === undefined && http === undefined && !hasUnknown) {
    report(check, () => 'names no check: expected tcp: {} or http: {}');
  }
  if (tcp !== undefined && http !== undefined) {
    const later = tcp.keyOffset > http.keyOffset ? tcp : http;
    report(
      { path: later.path, offset: later.keyOffset },
      () => 'a health check is either tcp or http, not both',
    );
  }
  const interval = field(check, 'interval');
  const timeout = field(check, 'timeout');
  const intervalMs = interval === undefined ? parseDuration(DEFAULT_CHECK_INTERVAL) : durationOf(interval);
  const timeoutMs = timeout === undefined ? parseDuration(DEFAULT_CHECK_TIMEOUT) : durationOf(timeout);
  if (intervalMs === undefined || timeoutMs === undefined || timeoutMs <= intervalMs) return;
  const byDefault = timeout === undefined ? ' (the default)' : '';
  report(
    timeout ?? interval ?? check,
    () =>
      `the timeout ${formatDuration(timeoutMs)}${byDefault} is longer than the interval ${formatDuration(intervalMs)}: ` +
      'expected at most the interval',
  );
}

function durationOf(place: Cursor): number | undefined {
  const text = textOf(place);
  return text === undefined ? undefined : parseDuration(text);
}
