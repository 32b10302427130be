/** Virtual and real servers: their health, and what the kernel has counted. */
import type { CountedDestination, DestinationCounts, TrafficStats } from '../../ipvs/model.js';
import {
  known,
  type Metric,
  REAL_SERVER_LABELS,
  type RealServerSeries,
  type Sample,
  type Scrape,
  seconds,
  VIRTUAL_SERVER_LABELS,
  type VirtualServerSeries,
} from './metric.js';

const TRAFFIC: readonly (readonly [
  name: string,
  type: Metric['type'],
  help: string,
  field: keyof TrafficStats,
])[] = [
  ['connections_total', 'counter', 'Connections scheduled', 'connections'],
  ['incoming_packets_total', 'counter', 'Packets from clients', 'incomingPackets'],
  ['outgoing_packets_total', 'counter', 'Packets to clients (nat alone)', 'outgoingPackets'],
  ['incoming_bytes_total', 'counter', 'Bytes from clients', 'incomingBytes'],
  ['outgoing_bytes_total', 'counter', 'Bytes to clients (nat alone)', 'outgoingBytes'],
  [
    'connections_per_second',
    'gauge',
    'Connections a second as the kernel estimates them',
    'connectionsPerSecond',
  ],
  [
    'incoming_packets_per_second',
    'gauge',
    'Packets a second from clients as the kernel estimates them',
    'incomingPacketsPerSecond',
  ],
  [
    'outgoing_packets_per_second',
    'gauge',
    'Packets a second to clients as the kernel estimates them',
    'outgoingPacketsPerSecond',
  ],
  [
    'incoming_bytes_per_second',
    'gauge',
    'Bytes a second from clients as the kernel estimates them',
    'incomingBytesPerSecond',
  ],
  [
    'outgoing_bytes_per_second',
    'gauge',
    'Bytes a second to clients as the kernel estimates them',
    'outgoingBytesPerSecond',
  ],
];

const PERSISTENT = 'persistent_connections';
const CONNECTIONS: readonly (readonly [name: string, help: string, field: keyof DestinationCounts])[] = [
  ['active_connections', 'Connections that are established (ActiveConn of ipvsadm)', 'activeConnections'],
  ['inactive_connections', 'Connections in any other state (InActConn of ipvsadm)', 'inactiveConnections'],
  [PERSISTENT, 'Persistence templates (PersistConn of ipvsadm)', 'persistentConnections'],
];

/** Undefined: there is no sample. */
function ofVirtualServer(
  name: string,
  type: Metric['type'],
  help: string,
  value: (series: VirtualServerSeries) => number | undefined,
): Metric {
  return {
    name: `lvs_director_virtual_server_${name}`,
    type,
    help,
    labels: VIRTUAL_SERVER_LABELS,
    samples: ({ virtualServers }) => samplesOf(virtualServers, value),
  };
}

function ofRealServer(
  name: string,
  type: Metric['type'],
  help: string,
  value: (series: RealServerSeries) => number | undefined,
): Metric {
  return {
    name: `lvs_director_real_server_${name}`,
    type,
    help,
    labels: REAL_SERVER_LABELS,
    samples: ({ realServers }) => samplesOf(realServers, value),
  };
}

function* samplesOf<Series extends VirtualServerSeries | RealServerSeries>(
  all: readonly Series[],
  value: (series: Series) => number | undefined,
): Iterable<Sample> {
  for (const series of all) {
    const number = value(series);
    if (number !== undefined) yield { sharedLabels: series.labels, value: number };
  }
}

const CHECKED = ['up', 'down', 'unknown'] as const;
const UNCHECKED = ['unchecked'] as const;
const HEALTH_LABELS = {
  up: { health: 'up' },
  down: { health: 'down' },
  unknown: { health: 'unknown' },
  unchecked: { health: 'unchecked' },
} as const;

function* healthSamples({ virtualServers }: Scrape): Iterable<Sample> {
  for (const { report, labels } of virtualServers) {
    for (const health of report.isChecked ? CHECKED : UNCHECKED) {
      let value = 0;
      for (const one of report.realServers) if (one.health === health) value += 1;
      yield { labels: HEALTH_LABELS[health], sharedLabels: labels, value };
    }
  }
}

/** Seconds since the real server that was heard of longest ago was heard of; undefined while one never was. */
function oldestAnswer({ report }: VirtualServerSeries): number | undefined {
  if (!report.isChecked) return undefined;
  let oldestMs = 0;
  for (const { heardMs } of report.realServers) {
    if (heardMs === undefined) return undefined;
    oldestMs = Math.max(oldestMs, heardMs);
  }
  return seconds(oldestMs);
}

function sumOf(destinations: readonly CountedDestination[], field: keyof DestinationCounts): number {
  return destinations.reduce((sum, destination) => sum + destination[field], 0);
}

function secondsOf(ms: number | undefined): number | undefined {
  return ms === undefined ? undefined : seconds(ms);
}

function tableSamples({ snapshot, virtualServers }: Scrape): readonly Sample[] {
  if (snapshot.table === undefined) return [];
  const ours = virtualServers.filter(({ counted }) => counted !== undefined).length;
  return [
    { labels: { owner: 'configuration' }, value: ours },
    { labels: { owner: 'other' }, value: snapshot.table.services.length - ours },
  ];
}

export const TABLE_METRICS: readonly Metric[] = [
  {
    name: 'lvs_director_ipvs_services',
    type: 'gauge',
    help: 'Services in the IPVS table, those of the configuration and those of others.',
    labels: ['owner'],
    samples: tableSamples,
  },
  {
    name: 'lvs_director_ipvs_read_age_seconds',
    type: 'gauge',
    help: 'How long ago the counters of the kernel were read.',
    labels: [],
    samples: ({ snapshot }) => known(secondsOf(snapshot.table?.ageMs)),
  },
  {
    name: 'lvs_director_ipvs_read_duration_seconds',
    type: 'gauge',
    help: 'How long it took to read the counters of the kernel.',
    labels: [],
    samples: ({ snapshot }) => known(secondsOf(snapshot.table?.tookMs)),
  },
  {
    name: 'lvs_director_ipvs_read_failures_total',
    type: 'counter',
    help: 'Times that the counters of the kernel could not be read.',
    labels: [],
    samples: ({ snapshot }) => [{ value: snapshot.tableFailures }],
  },
  ofVirtualServer(
    'present',
    'gauge',
    '1 when the kernel has the virtual server, 0 when not.',
    ({ counted }) => (counted === undefined ? 0 : 1),
  ),
  {
    name: 'lvs_director_virtual_server_real_servers',
    type: 'gauge',
    help: 'Real servers of a virtual server by their health.',
    labels: [...VIRTUAL_SERVER_LABELS, 'health'],
    samples: healthSamples,
  },
  ofVirtualServer(
    'health_age_seconds',
    'gauge',
    'How long ago the outcome of a probe came in, for the real server where that is longest ago.',
    oldestAnswer,
  ),
  ofVirtualServer(
    'draining_real_servers',
    'gauge',
    'Real servers that left the configuration and keep their connections for a while; only while some do.',
    ({ report }) => (report.draining === 0 ? undefined : report.draining),
  ),
  ofVirtualServer(
    'sorry_server_in_use',
    'gauge',
    '1 while the sorry server has the traffic; only where there is one.',
    ({ report }) => (report.isSorry === undefined ? undefined : Number(report.isSorry)),
  ),
  ofVirtualServer(
    'in_panic',
    'gauge',
    '1 while so few real servers are healthy that all get traffic; only where there is a panic threshold.',
    ({ report }) => (report.isInPanic === undefined ? undefined : Number(report.isInPanic)),
  ),
  ...TRAFFIC.map(([name, type, help, field]) =>
    ofVirtualServer(name, type, `${help}.`, ({ counted }) => counted?.stats[field]),
  ),
  ...CONNECTIONS.map(([name, help, field]) =>
    ofVirtualServer(name, 'gauge', `${help}, of all real servers together.`, ({ report, counted }) =>
      counted === undefined || (name === PERSISTENT && !report.isPersistent)
        ? undefined
        : sumOf(counted.destinations, field),
    ),
  ),
  ofRealServer(
    'up',
    'gauge',
    '1 when a real server is up or not checked, 0 when it is down or not known yet.',
    ({ report }) =>
      report === undefined ? undefined : Number(report.health === 'up' || report.health === 'unchecked'),
  ),
  ofRealServer('health_age_seconds', 'gauge', 'How long ago the outcome of a probe came in.', ({ report }) =>
    secondsOf(report?.heardMs),
  ),
  ofRealServer('verdict_age_seconds', 'gauge', 'How long a real server has been up or down.', ({ report }) =>
    secondsOf(report?.verdictMs),
  ),
  ofRealServer('weight', 'gauge', 'The weight that the kernel has.', ({ counted }) => counted?.weight),
  ...TRAFFIC.map(([name, type, help, field]) =>
    ofRealServer(name, type, `${help}.`, ({ counted }) => counted?.stats[field]),
  ),
  ...CONNECTIONS.map(([name, help, field]) =>
    ofRealServer(name, 'gauge', `${help}.`, ({ counted }) => counted?.[field]),
  ),
];
