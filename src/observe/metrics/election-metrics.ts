/** What the VRRP process tells: roles, transitions, discards, how late it is. */

import type { Discarded } from '../../runtime/election/reception/discards.js';
import type { ElectionReport, InstanceReport } from '../../runtime/election-report.js';
import type { CounterName, VrrpState } from '../../vrrp/group-types.js';
import { histogramSamples, known, type Metric, type Sample, type Scrape, seconds } from './metric.js';

/** Not `instance`: Prometheus has that for the target. */
const INSTANCE = 'vrrp_instance';
const STATES: readonly VrrpState[] = ['initialize', 'backup', 'master', 'fault'];
const TRANSITIONS: readonly CounterName[] = ['became_master', 'released_master', 'became_fault'];
const EVENTS: readonly CounterName[] = [
  'hand_overs',
  'no_successor',
  'awaited_sync',
  'still_master',
  'rogue_owner',
  'paused',
  'bfd_expired',
  'bfd_doubted',
  'address_mismatch',
  'interval_mismatch',
];
const DISCARDED = 'discarded_';
const INSTANCE_DISCARDS: readonly CounterName[] = [
  'discarded_other_cluster',
  'discarded_interval_mismatch',
  'discarded_overtaken',
  'discarded_own',
];
/** A reason that is added there is missing here until it is here, too. */
const INTERFACE_DISCARDS: Readonly<Record<Discarded | 'unread', true>> = {
  'bad-ttl': true,
  'bad-version': true,
  'bad-type': true,
  'bad-length': true,
  'bad-checksum': true,
  'bad-vrid': true,
  'bad-authentication': true,
  'bad-interval': true,
  'bad-destination': true,
  'unknown-peer': true,
  'unknown-vrid': true,
  unread: true,
};

type Of<T> = (report: ElectionReport) => T;

function election(scrape: Scrape, samples: Of<readonly Sample[]>): readonly Sample[] {
  const { election: report } = scrape.snapshot;
  return report === undefined ? [] : samples(report);
}

/** A figure of each instance. */
function ofInstance(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  value: (instance: InstanceReport) => number,
): Metric {
  return {
    name: `lvs_director_vrrp_${name}`,
    type,
    help,
    labels: [INSTANCE],
    samples: (scrape) =>
      election(scrape, ({ instances }) =>
        instances.map((one) => ({ labels: { [INSTANCE]: one.name }, value: value(one) })),
      ),
  };
}

/** Counters of each instance by a label: all of them, since a counter that comes into being late has lost its first count. */
function byLabel(
  name: string,
  help: string,
  label: string,
  counters: readonly CounterName[],
  valueOf: (counter: CounterName) => string = (counter) => counter,
): Metric {
  return {
    name: `lvs_director_vrrp_${name}`,
    type: 'counter',
    help,
    labels: [INSTANCE, label],
    samples: (scrape) =>
      election(scrape, ({ instances }) =>
        instances.flatMap((one) =>
          counters.map((counter) => ({
            labels: { [INSTANCE]: one.name, [label]: valueOf(counter) },
            value: one.counters[counter] ?? 0,
          })),
        ),
      ),
  };
}

function counterOf(counter: CounterName): (instance: InstanceReport) => number {
  return ({ counters }) => counters[counter] ?? 0;
}

function interfaceDiscards({ discards }: ElectionReport): readonly Sample[] {
  const reasons = Object.keys(INTERFACE_DISCARDS).map((reason) => reason.replaceAll('-', '_'));
  return Object.entries(discards).flatMap(([name, counters]) =>
    reasons.map((reason) => ({
      labels: { interface: name, reason },
      value: counters[`${DISCARDED}${reason}`] ?? 0,
    })),
  );
}

const LATENESS = 'lvs_director_election_deadline_lateness_seconds';

export const ELECTION_METRICS: readonly Metric[] = [
  {
    name: 'lvs_director_configuration_info',
    type: 'gauge',
    help: 'The configuration that was accepted last, by the SHA-256 of its text; always 1.',
    labels: ['sha256'],
    samples: (scrape) => election(scrape, ({ sha256 }) => [{ labels: { sha256 }, value: 1 }]),
  },
  {
    name: 'lvs_director_start_time_seconds',
    type: 'gauge',
    help: 'When the director was started, in seconds since 1970.',
    labels: [],
    samples: (scrape) => election(scrape, ({ started }) => [{ value: seconds(Date.parse(started)) }]),
  },
  {
    name: 'lvs_director_election_report_age_seconds',
    type: 'gauge',
    help: 'How old the figures of the VRRP process are; without it, that process has told nothing.',
    labels: [],
    samples: (scrape) => election(scrape, () => known(seconds(scrape.snapshot.election?.ageMs ?? 0))),
  },
  {
    name: LATENESS,
    type: 'histogram',
    help: 'How late the deadlines of the election were handled.',
    labels: ['le'],
    samples: (scrape) => election(scrape, ({ lateness }) => histogramSamples(LATENESS, lateness)),
  },
  {
    name: 'lvs_director_services_process_restarts_total',
    type: 'counter',
    help: 'Ends of the services process that nobody asked for.',
    labels: [],
    samples: (scrape) => election(scrape, ({ restarts }) => [{ value: restarts }]),
  },
  {
    name: 'lvs_director_vrrp_instance_state',
    type: 'gauge',
    help: '1 for the state that an instance is in, 0 for the others.',
    labels: [INSTANCE, 'state'],
    samples: (scrape) =>
      election(scrape, ({ instances }) =>
        instances.flatMap((one) =>
          STATES.map((state) => ({
            labels: { [INSTANCE]: one.name, state },
            value: one.state === state ? 1 : 0,
          })),
        ),
      ),
  },
  ofInstance('state_age_seconds', 'gauge', 'How long an instance has been in its state.', (one) =>
    seconds(one.sinceMs),
  ),
  ofInstance('priority', 'gauge', 'The priority of the file.', (one) => one.priority),
  ofInstance(
    'effective_priority',
    'gauge',
    'The priority that is advertised, with tracking and maintenance.',
    (one) => one.effectivePriority,
  ),
  ofInstance('faults', 'gauge', 'Reasons why an instance cannot serve.', (one) => one.faults),
  ofInstance(
    'incomplete',
    'gauge',
    '1 when a master lacks something that it should hold, such as a route.',
    (one) => (one.isIncomplete ? 1 : 0),
  ),
  ofInstance(
    'awaits_sync',
    'gauge',
    '1 while a backup waits for its connection table before it takes over from a weaker master.',
    (one) => (one.awaitsSync ? 1 : 0),
  ),
  ofInstance(
    'source_conflict',
    'gauge',
    '1 when another host has the address that an instance speaks from.',
    (one) => (one.isSourceTaken ? 1 : 0),
  ),
  ofInstance('maintenance', 'gauge', '1 when the operator has taken an instance out of service.', (one) =>
    one.maintenance === 'off' ? 0 : 1,
  ),
  byLabel('transitions_total', 'Changes of role.', 'transition', TRANSITIONS),
  ofInstance(
    'advertisements_sent_total',
    'counter',
    'Advertisements sent.',
    counterOf('advertisements_sent'),
  ),
  ofInstance(
    'advertisements_received_total',
    'counter',
    'Advertisements taken, without those of priority 0.',
    counterOf('advertisements_received'),
  ),
  ofInstance(
    'priority_zero_sent_total',
    'counter',
    'Farewells sent (priority 0).',
    counterOf('priority_zero_sent'),
  ),
  ofInstance(
    'priority_zero_received_total',
    'counter',
    'Farewells received (priority 0).',
    counterOf('priority_zero_received'),
  ),
  byLabel('events_total', 'What befell an instance beside changes of role.', 'event', EVENTS),
  byLabel(
    'discards_total',
    'Advertisements for an instance that were not taken.',
    'reason',
    INSTANCE_DISCARDS,
    (counter) => counter.slice(DISCARDED.length),
  ),
  {
    name: 'lvs_director_vrrp_interface_discards_total',
    type: 'counter',
    help: 'VRRP packets on an interface that were not taken.',
    labels: ['interface', 'reason'],
    samples: (scrape) => election(scrape, interfaceDiscards),
  },
];
