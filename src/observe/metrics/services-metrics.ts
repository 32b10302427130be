/** What the services process knows of itself: the table's keeping, health checks, sync daemons, event loops. */

import type { WorkReport } from '../../runtime/services/work-counts.js';
import type { EventLoopStatus, LogStatus } from '../../runtime/status.js';
import { histogramSamples, known, type Metric, type Sample, type Scrape, seconds } from './metric.js';

type Of<T> = (work: WorkReport) => T;

function total(name: string, help: string, value: Of<number>): Metric {
  return {
    name: `lvs_director_${name}`,
    type: 'counter',
    help,
    labels: [],
    samples: ({ snapshot }) => [{ value: value(snapshot.services.work) }],
  };
}

function totals(
  name: string,
  help: string,
  label: string,
  values: Of<Readonly<Record<string, number>>>,
): Metric {
  return {
    name: `lvs_director_${name}`,
    type: 'counter',
    help,
    labels: [label],
    samples: ({ snapshot }) =>
      Object.entries(values(snapshot.services.work)).map(([key, value]) => ({
        labels: { [label]: key.replaceAll('-', '_') },
        value,
      })),
  };
}

interface ProcessStatus {
  readonly eventLoop: EventLoopStatus;
  readonly log: LogStatus;
}

/** A figure of both processes. */
function ofProcess(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  value: (status: ProcessStatus) => number,
): Metric {
  return {
    name: `lvs_director_${name}`,
    type,
    help,
    labels: ['process'],
    samples: ({ snapshot: { election, services } }) => [
      { labels: { process: 'services' }, value: value(services) },
      ...(election === undefined ? [] : [{ labels: { process: 'vrrp' }, value: value(election) }]),
    ],
  };
}

function syncSamples({ snapshot }: Scrape): readonly Sample[] {
  const { sync } = snapshot.services;
  if (sync === undefined) return [];
  return (['master', 'backup'] as const).map((daemon) => ({
    labels: { daemon },
    value: sync.daemons.includes(daemon) ? 1 : 0,
  }));
}

const RECONCILE = 'lvs_director_reconcile_duration_seconds';

export const SERVICES_METRICS: readonly Metric[] = [
  {
    name: 'lvs_director_build_info',
    type: 'gauge',
    help: 'The version of the director and of Node.js; always 1.',
    labels: ['version', 'node_version'],
    samples: ({ build }) => [
      { labels: { version: build.version, node_version: build.nodeVersion }, value: 1 },
    ],
  },
  ofProcess(
    'event_loop_delay_max_seconds',
    'gauge',
    'How late the event loop of a process was at most, over the last minute or two.',
    ({ eventLoop }) => seconds(eventLoop.max_ms),
  ),
  ofProcess(
    'event_loop_delay_p99_seconds',
    'gauge',
    'The 99th percentile of how late the event loop of a process was, over the last minute or two.',
    ({ eventLoop }) => seconds(eventLoop.p99_ms),
  ),
  ofProcess(
    'log_lines_lost_total',
    'counter',
    'Lines of the log that were lost.',
    ({ log }) => log.lines_lost,
  ),
  ofProcess(
    'log_write_failures_total',
    'counter',
    'Writes to the log that failed.',
    ({ log }) => log.failed_writes,
  ),
  totals(
    'reconciles_total',
    'Comparisons of the IPVS table with what is wanted.',
    'result',
    (work) => work.reconciles,
  ),
  {
    name: RECONCILE,
    type: 'histogram',
    help: 'How long a comparison of the IPVS table took, with the changes that it led to.',
    labels: ['le'],
    samples: ({ snapshot }) => histogramSamples(RECONCILE, snapshot.services.work.reconcileMs),
  },
  {
    name: 'lvs_director_reconcile_age_seconds',
    type: 'gauge',
    help: 'How long ago the IPVS table was last compared and put right without a failure.',
    labels: [],
    samples: ({ snapshot }) => {
      const { sinceReconciledMs } = snapshot.services.work;
      return known(sinceReconciledMs === undefined ? undefined : seconds(sinceReconciledMs));
    },
  },
  totals(
    'ipvs_changes_total',
    'Changes of the IPVS table that the kernel took.',
    'operation',
    (work) => work.changes,
  ),
  total(
    'ipvs_change_failures_total',
    'Changes of the IPVS table that the kernel refused.',
    (work) => work.refusals,
  ),
  total(
    'ipvs_drifts_total',
    'Times that the IPVS table was found changed by somebody else.',
    (work) => work.drifts,
  ),
  total(
    'ipvs_repairs_total',
    'Changes that put right what somebody else had changed.',
    (work) => work.repairs,
  ),
  {
    name: 'lvs_director_connection_sync_daemon_running',
    type: 'gauge',
    help: '1 when the sync daemon of this kind runs as wanted; only with connection_sync.',
    labels: ['daemon'],
    samples: syncSamples,
  },
  {
    name: 'lvs_director_connection_sync_faults',
    type: 'gauge',
    help: 'Reasons why a sync daemon does not run as wanted; only with connection_sync.',
    labels: [],
    samples: ({ snapshot }) => known(snapshot.services.sync?.faults.length),
  },
  total(
    'connection_sync_repairs_total',
    'Sync daemons that were started again because somebody had stopped or deafened them.',
    (work) => work.syncRepairs,
  ),
  totals(
    'health_probes_total',
    'Probes of real servers by what came of them; unasked: this host could not ask.',
    'result',
    (work) => work.probes,
  ),
  totals(
    'health_verdicts_total',
    'Real servers that were found up or down.',
    'verdict',
    (work) => work.verdicts,
  ),
];
