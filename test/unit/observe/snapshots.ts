/** Snapshots for metrics, made up. */

import type {
  CountedDestination,
  CountedService,
  ServiceKey,
  TrafficStats,
} from '../../../src/ipvs/model.js';
import { serviceKeyText } from '../../../src/ipvs/plan.js';
import { DISCARD_REASONS } from '../../../src/peer/wire.js';
import type { ElectionReport, InstanceReport } from '../../../src/runtime/election-report.js';
import type { PeerChannelStatus } from '../../../src/runtime/peer-status.js';
import type { MetricsSnapshot, ServicesReport } from '../../../src/runtime/services/metrics-snapshot.js';
import type {
  RealServerReport,
  VirtualServerReport,
} from '../../../src/runtime/services/virtual-server-report.js';
import { WorkCounts } from '../../../src/runtime/services/work-counts.js';

export function instanceReport(overrides: Partial<InstanceReport> = {}): InstanceReport {
  return {
    name: 'outside',
    interface: 'eth0',
    state: 'master',
    sinceMs: 12_500,
    priority: 150,
    effectivePriority: 120,
    faults: 0,
    isIncomplete: false,
    awaitsSync: false,
    isSourceTaken: false,
    maintenance: 'off',
    counters: { became_master: 2, advertisements_sent: 77, discarded_own: 3 },
    ...overrides,
  };
}

export function electionReport(overrides: Partial<ElectionReport> = {}): ElectionReport {
  return {
    sha256: 'abc123',
    started: '2026-01-01T00:00:00.500Z',
    instances: [instanceReport()],
    bfd: [
      {
        interface: 'eth0',
        peer: '192.0.2.12',
        isUp: true,
        detectionMs: 45,
        counters: { packets_sent: 9, packets_received: 8, expirations: 1, downs: 2, discarded_bad_length: 3 },
      },
    ],
    discards: { eth0: { discarded_bad_ttl: 4 } },
    restarts: 1,
    eventLoop: { max_ms: 12, p99_ms: 3 },
    log: { lines_lost: 5, failed_writes: 6, error: null },
    lateness: { bounds: [0.5, 1, 20], counts: [10, 3, 2, 1], sum: 64.5 },
    ...overrides,
  };
}

export function servicesReport(overrides: Partial<ServicesReport> = {}): ServicesReport {
  return {
    virtualServers: [],
    work: new WorkCounts().report(0),
    sync: undefined,
    peerChannel: undefined,
    eventLoop: { max_ms: 250, p99_ms: 40 },
    log: { lines_lost: 0, failed_writes: 0, error: null },
    ...overrides,
  };
}

export function peerChannel(overrides: Partial<PeerChannelStatus> = {}): PeerChannelStatus {
  const discards = Object.fromEntries(DISCARD_REASONS.map((reason) => [reason, 0]));
  return {
    address: '10.7.0.11',
    port: 8113,
    authenticated: true,
    faults: [],
    peers: [
      {
        name: 'lb2',
        address: '10.7.0.12',
        condition: 'up',
        text: 'is up',
        since_s: 60,
        version: '0.1.0',
        differing_sections: ['vrrp'],
        clock_offset_ms: -12,
        round_trip_ms: 0.25,
        connections: 995,
        complete: true,
        coverage: { of: 'lb2', percent: 99.5, age_s: 2 },
      },
    ],
    table: { complete: true, text: 'the table was kept', connections: 1000 },
    gateway: 'answers',
    discards: { ...discards, 'bad-mac': 3 } as PeerChannelStatus['discards'],
    ...overrides,
  };
}

export function snapshot(overrides: Partial<MetricsSnapshot> = {}): MetricsSnapshot {
  return {
    election: { ...electionReport(), ageMs: 250 },
    services: servicesReport(),
    table: undefined,
    tableFailures: 0,
    realServers: false,
    ...overrides,
  };
}

export function realServerReport(overrides: Partial<RealServerReport> = {}): RealServerReport {
  return { address: '10.0.0.2', port: 80, health: 'up', verdictMs: 60_000, heardMs: 1500, ...overrides };
}

export const WEB: ServiceKey = { family: 'ipv4', protocol: 6, address: '192.0.2.51', port: 80 };

export function virtualServerReport(overrides: Partial<VirtualServerReport> = {}): VirtualServerReport {
  return {
    name: 'web',
    service: serviceKeyText(WEB),
    isChecked: true,
    isPersistent: false,
    realServers: [realServerReport()],
    isSorry: undefined,
    isInPanic: undefined,
    draining: 0,
    ...overrides,
  };
}

/** `first`, and one more for each figure after it. */
export function stats(first: number): TrafficStats {
  return {
    connections: first,
    incomingPackets: first + 1,
    outgoingPackets: first + 2,
    incomingBytes: first + 3,
    outgoingBytes: first + 4,
    connectionsPerSecond: first + 5,
    incomingPacketsPerSecond: first + 6,
    outgoingPacketsPerSecond: first + 7,
    incomingBytesPerSecond: first + 8,
    outgoingBytesPerSecond: first + 9,
  };
}

const COUNTED_DESTINATION: CountedDestination = {
  address: '10.0.0.2',
  port: 80,
  weight: 3,
  activeConnections: 5,
  inactiveConnections: 7,
  persistentConnections: 9,
  stats: stats(100),
};

export function countedService(overrides: Partial<CountedService> = {}): CountedService {
  return {
    key: WEB,
    stats: stats(1000),
    destinations: [COUNTED_DESTINATION],
    ...overrides,
  };
}

/** `count` virtual servers with two real servers each, as they are reported and as a kernel would have them. */
export function manyServices(count: number): Pick<MetricsSnapshot, 'services' | 'table'> {
  const numbers = Array.from({ length: count }, (_, number) => number);
  const keyOf = (number: number): ServiceKey => ({
    family: 'ipv4',
    protocol: number % 2 === 0 ? 6 : 17,
    address: `192.0.2.${number % 250}`,
    port: 1 + Math.floor(number / 250),
  });
  const addresses = ['10.0.0.2', '10.0.0.3'];
  return {
    services: servicesReport({
      virtualServers: numbers.map((number) =>
        virtualServerReport({
          name: `web-${number}`,
          service: serviceKeyText(keyOf(number)),
          realServers: addresses.map((address) => realServerReport({ address })),
        }),
      ),
    }),
    table: {
      services: numbers.map((number) => {
        return countedService({
          key: keyOf(number),
          stats: stats(number * 1000),
          destinations: addresses.map((address) => ({ ...COUNTED_DESTINATION, address })),
        });
      }),
      ageMs: 10,
      tookMs: 90,
    },
  };
}
