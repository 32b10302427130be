/** BFD sessions, as the VRRP process tells of them. */
import type { BfdReport } from '../../runtime/status.js';
import { type Metric, seconds } from './metric.js';

const LABELS = ['interface', 'peer'];
const COUNTERS = [
  ['packets_sent', 'BFD packets sent.'],
  ['packets_received', 'BFD packets taken.'],
  ['expirations', 'Sessions that were up and whose Detection Time ended.'],
  ['downs', 'How often a session went down, for whatever reason.'],
] as const;
const DISCARDED = 'discarded_';
const REASONS = [
  'bad_ttl',
  'bad_version',
  'bad_length',
  'bad_multiplier',
  'multipoint',
  'bad_discriminator',
  'bad_your_discriminator',
  'authenticated',
  'unknown_discriminator',
  'unread',
] as const;

function ofSession(
  name: string,
  type: 'counter' | 'gauge',
  help: string,
  value: (session: BfdReport) => number,
): Metric {
  return {
    name: `lvs_director_bfd_${name}`,
    type,
    help,
    labels: LABELS,
    samples: ({ snapshot }) =>
      (snapshot.election?.bfd ?? []).map((one) => ({
        labels: { interface: one.interface, peer: one.peer },
        value: value(one),
      })),
  };
}

export const BFD_METRICS: readonly Metric[] = [
  ofSession('session_up', 'gauge', '1 while a BFD session is up.', ({ isUp }) => (isUp ? 1 : 0)),
  ofSession(
    'detection_time_seconds',
    'gauge',
    'After so long without a packet the peer is lost; 0 while it is not heard.',
    ({ detectionMs }) => seconds(detectionMs),
  ),
  ...COUNTERS.map(([counter, help]) =>
    ofSession(`${counter}_total`, 'counter', help, ({ counters }) => counters[counter] ?? 0),
  ),
  {
    name: 'lvs_director_bfd_discards_total',
    type: 'counter',
    help: 'BFD packets that were not taken.',
    labels: [...LABELS, 'reason'],
    samples: ({ snapshot }) =>
      (snapshot.election?.bfd ?? []).flatMap(({ interface: device, peer, counters }) =>
        REASONS.map((reason) => ({
          labels: { interface: device, peer, reason },
          value: counters[`${DISCARDED}${reason}`] ?? 0,
        })),
      ),
  },
];
