/** Virtual servers for tests, with the defaults of the configuration. */
import type {
  CheckKind,
  HealthCheck,
  HealthChecks,
  RealServer,
  TlsCheck,
  VirtualServer,
} from '../../../src/config/model-servers.js';

export function realServer(address: string, overrides: Partial<RealServer> = {}): RealServer {
  return {
    address,
    port: 80,
    weight: 1,
    forwarding: 'nat',
    tunnel: undefined,
    upperThreshold: 0,
    lowerThreshold: 0,
    ...overrides,
  };
}

/** TCP port 80 of 192.0.2.51 by `rr`, but for `overrides`. */
export function virtualServer(overrides: Partial<VirtualServer> = {}): VirtualServer {
  return {
    name: 'web',
    service: { protocol: 'tcp', address: '192.0.2.51', port: 80 },
    scheduler: 'rr',
    schedulerFlags: [],
    onePacket: false,
    forwarding: 'nat',
    persistence: undefined,
    healthChecks: undefined,
    vrrpInstance: undefined,
    realServers: [],
    snatAddress: undefined,
    sorryServer: undefined,
    quorum: { up: 1, hysteresis: 0 },
    panicThreshold: 0,
    slowStartMs: 0,
    onFailure: 'remove',
    drainMs: 30_000,
    ...overrides,
  };
}

/** The same on another port. */
export function onPort(server: VirtualServer, port: number): VirtualServer {
  return { ...server, service: { ...server.service, port } };
}

export function tcpCheck(overrides: Partial<HealthCheck> = {}): HealthCheck {
  return {
    kind: { type: 'tcp' },
    port: undefined,
    intervalMs: 2000,
    timeoutMs: 1000,
    rise: 2,
    fall: 3,
    retry: 0,
    delayBeforeRetryMs: 1000,
    ...overrides,
  };
}

export function oneCheck(check: HealthCheck): HealthChecks {
  return { needs: 'all', checks: [check] };
}

export function httpCheck(overrides: Partial<CheckKind & { type: 'http' }> = {}): CheckKind {
  return {
    type: 'http',
    tls: undefined,
    method: 'GET',
    paths: ['/'],
    status: [[200, 200]],
    host: undefined,
    headers: {},
    body: undefined,
    ...overrides,
  };
}

/** With the defaults of the configuration. */
export function tlsCheck(overrides: Partial<TlsCheck> = {}): TlsCheck {
  return {
    serverName: undefined,
    verify: true,
    caFile: undefined,
    minVersion: undefined,
    maxVersion: undefined,
    ...overrides,
  };
}
