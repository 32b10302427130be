/** Virtual servers as the kernel has them: one for each address and port. */
import { familyOf } from '../../util/ip-address.js';
import type {
  BodyRules,
  CheckKind,
  CheckWay,
  HealthCheck,
  HealthChecks,
  Persistence,
  Quorum,
  RealServer,
  ServiceAddress,
  TlsCheck,
  Tunnel,
  VirtualServer,
} from '../model-servers.js';
import { parseStatusRange } from '../ranges.js';
import type { FileHealthCheck } from '../schema/schema-checks.js';
import type {
  FileRealServer,
  FileSorryServer,
  FileTunnel,
  FileVirtualServer,
} from '../schema/schema-servers.js';
import { familyOfService, serves, servicesOf } from '../service-addresses.js';
import { hexOf, protocolKind, tlsOf } from './resolve-protocols.js';

/** One real server of any weight. */
const DEFAULT_QUORUM: Quorum = { up: 1, hysteresis: 0 };

type FileHttp = NonNullable<FileHealthCheck['http']>;
type FilePersistence = NonNullable<FileVirtualServer['persistence']>;

export function resolveVirtualServer(server: FileVirtualServer, director: string): readonly VirtualServer[] {
  const services = servicesOf(server) ?? [];
  const families = {
    services: new Set(services.map(familyOfService)),
    realServers: new Set(server.real_servers.map(({ address }) => familyOf(address))),
  };
  const healthChecks = resolveHealthChecks(server, director);
  return services.map((service) => ({
    name: server.name,
    service,
    scheduler: server.scheduler,
    schedulerFlags: server.scheduler_flags,
    onePacket: server.one_packet,
    forwarding: server.forwarding,
    persistence: server.persistence && resolvePersistence(server.persistence, service),
    healthChecks,
    vrrpInstance: server.vrrp_instance,
    snatAddress: server.snat_address,
    sorryServer: sorryServerOf(server, service),
    quorum: server.quorum ?? DEFAULT_QUORUM,
    panicThreshold: server.panic_threshold ?? 0,
    slowStartMs: server.slow_start,
    onFailure: server.on_failure,
    drainMs: server.drain,
    realServers: server.real_servers
      .map((real) => resolveRealServer(real, server, service))
      .filter(({ address, forwarding }) =>
        serves(familyOfService(service), { family: familyOf(address), forwarding }, families),
      ),
  }));
}

function resolveRealServer(
  real: FileSorryServer & Partial<Pick<FileRealServer, 'weight' | 'thresholds'>>,
  server: FileVirtualServer,
  service: ServiceAddress,
): RealServer {
  const forwarding = real.forwarding ?? server.forwarding;
  const tunnel = forwarding === 'tun' ? (real.tunnel ?? server.tunnel) : undefined;
  return {
    address: real.address,
    port: real.port ?? ('port' in service ? service.port : 0),
    weight: real.weight ?? 1,
    forwarding,
    tunnel: tunnel && resolveTunnel(tunnel),
    upperThreshold: real.thresholds?.upper ?? 0,
    lowerThreshold: real.thresholds?.lower ?? 0,
  };
}

/** Of the addresses of its family. */
function sorryServerOf(server: FileVirtualServer, service: ServiceAddress): RealServer | undefined {
  const { sorry_server: sorry } = server;
  if (sorry === undefined || familyOf(sorry.address) !== familyOfService(service)) return undefined;
  return resolveRealServer(sorry, server, service);
}

/** Undefined for what the kernel does by itself. */
function resolveTunnel({ type, port, checksum }: FileTunnel): Tunnel | undefined {
  return type === 'ipip' ? undefined : { type, port: port ?? 0, checksum };
}

function resolvePersistence(persistence: FilePersistence, service: ServiceAddress): Persistence {
  const { timeout, netmask, prefix_length: prefixLength, engine } = persistence;
  return {
    timeoutMs: timeout,
    netmask: familyOfService(service) === 'ipv4' ? netmask : String(prefixLength),
    engine,
  };
}

function resolveHealthChecks(
  { health_check: only, health_checks: several }: FileVirtualServer,
  director: string,
): HealthChecks | undefined {
  if (several === undefined) return only && { needs: 'all', checks: [resolveHealthCheck(only, director)] };
  const { any_of: any, all_of: all = [] } = several;
  return {
    needs: any ? 'any' : 'all',
    checks: (any ?? all).map((check) => resolveHealthCheck(check, director)),
  };
}

function resolveHealthCheck(check: FileHealthCheck, director: string): HealthCheck {
  const { port, interval, timeout, rise, fall, retry, delay_before_retry: delayBeforeRetryMs } = check;
  return {
    kind: { ...kindOf(check), ...wayOf(check, director) },
    port,
    intervalMs: interval,
    timeoutMs: timeout,
    rise,
    fall,
    retry,
    delayBeforeRetryMs,
  };
}

function kindOf(check: FileHealthCheck): CheckKind {
  const { http, https, udp, dns, icmp, command, user, exit_status_weight: exitStatusWeight } = check;
  if (https) return resolveHttp(https, tlsOf(https));
  if (http) return resolveHttp(http, undefined);
  if (udp) return { type: 'udp', send: hexOf(udp.send), expect: udp.expect && hexOf(udp.expect) };
  if (dns) return { type: 'dns', name: dns.name, recordType: dns.type };
  if (icmp) return { type: 'icmp' };
  if (command) return { type: 'command', command, user, exitStatusWeight };
  return protocolKind(check) ?? { type: 'tcp' };
}

function wayOf({ address: to, source_address: source }: FileHealthCheck, director: string): CheckWay {
  const from = typeof source === 'object' ? source[director] : source;
  return { ...(from !== undefined && { from }), ...(to !== undefined && { to }) };
}

function resolveHttp(http: FileHttp, tls: TlsCheck | undefined): CheckKind {
  const { method, path, status, host, headers } = http;
  const ranges = Array.isArray(status) ? status : [status];
  return {
    type: 'http',
    tls,
    method,
    paths: typeof path === 'string' ? [path] : path,
    status: ranges.map((range) => (typeof range === 'number' ? [range, range] : endsOf(range))),
    host,
    headers: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
    body: bodyOf(http),
  };
}

function bodyOf({ body: text, body_matches: pattern, digest }: FileHttp): BodyRules | undefined {
  if (text === undefined && pattern === undefined && digest === undefined) return undefined;
  return { text, pattern, digest: digest && digestOf(digest) };
}

function digestOf({ sha256, md5 = '' }: NonNullable<FileHttp['digest']>): BodyRules['digest'] {
  return sha256 === undefined
    ? { algorithm: 'md5', hex: md5.toLowerCase() }
    : { algorithm: 'sha256', hex: sha256.toLowerCase() };
}

function endsOf(range: string): readonly [number, number] {
  const parsed = parseStatusRange(range);
  if (!parsed.ok) throw new RangeError(`'${range}' ${parsed.reason}`);
  return parsed.ends;
}
