/** What the directors know of each other by the peer channel. */
import type { PeerChannelStatus, PeerReport } from '../../runtime/peer-status.js';
import { type Metric, type Sample, type Scrape, seconds } from './metric.js';

const CONDITIONS: readonly PeerReport['condition'][] = [
  'waiting',
  'up',
  'two-masters',
  'peer-isolated',
  'channel-silent',
  'peer-dead',
  'peer-silent',
  'self-isolated',
];

function channel(
  { snapshot }: Scrape,
  samples: (channel: PeerChannelStatus) => readonly Sample[],
): readonly Sample[] {
  const { peerChannel } = snapshot.services;
  return peerChannel === undefined ? [] : samples(peerChannel);
}

/** A figure of each peer; none while it is not known. */
function ofPeer(name: string, help: string, value: (peer: PeerReport) => number | null): Metric {
  return {
    name: `lvs_director_peer_${name}`,
    type: 'gauge',
    help,
    labels: ['peer'],
    samples: (scrape) =>
      channel(scrape, ({ peers }) =>
        peers.flatMap((peer) => {
          const told = value(peer);
          return told === null ? [] : { labels: { peer: peer.name }, value: told };
        }),
      ),
  };
}

function ofCoverage(
  name: string,
  help: string,
  value: (coverage: NonNullable<PeerReport['coverage']>) => number,
): Metric {
  return {
    name: `lvs_director_connection_table_${name}`,
    type: 'gauge',
    help,
    labels: ['director', 'peer'],
    samples: (scrape) =>
      channel(scrape, ({ peers }) =>
        peers.flatMap(({ name: peer, coverage }) =>
          coverage === null ? [] : { labels: { director: coverage.of, peer }, value: value(coverage) },
        ),
      ),
  };
}

export const PEER_METRICS: readonly Metric[] = [
  {
    name: 'lvs_director_peer_condition',
    type: 'gauge',
    help: '1 for the condition that a peer is in, as it looks from here, 0 for the others.',
    labels: ['peer', 'condition'],
    samples: (scrape) =>
      channel(scrape, ({ peers }) =>
        peers.flatMap((peer) =>
          CONDITIONS.map((condition) => ({
            labels: { peer: peer.name, condition: condition.replaceAll('-', '_') },
            value: peer.condition === condition ? 1 : 0,
          })),
        ),
      ),
  },
  ofPeer(
    'condition_age_seconds',
    'How long a peer has been up on the channel, or silent.',
    (peer) => peer.since_s,
  ),
  ofPeer('differing_sections', 'Top-level keys of the file in which a peer differs.', (peer) =>
    peer.version === null ? null : peer.differing_sections.length,
  ),
  ofPeer('clock_offset_seconds', "A peer's wall clock less this director's.", ({ clock_offset_ms: ms }) =>
    ms === null ? null : seconds(ms),
  ),
  ofPeer('round_trip_seconds', 'How long a word to a peer and back takes.', ({ round_trip_ms: ms }) =>
    ms === null ? null : seconds(ms),
  ),
  ofPeer('connections', "Connections in a peer's kernel.", (peer) => peer.connections),
  ofCoverage(
    'coverage_ratio',
    "How many of the master's connections a director holds, 0 to 1, by their numbers.",
    ({ percent }) => percent / 100,
  ),
  ofCoverage(
    'coverage_age_seconds',
    'How old the older of the two numbers is.',
    (coverage) => coverage.age_s,
  ),
  {
    name: 'lvs_director_connection_table_complete',
    type: 'gauge',
    help: "1 when this director's table holds what its peers' tables hold, as far as can be told.",
    labels: [],
    samples: (scrape) => channel(scrape, ({ table }) => [{ value: table.complete ? 1 : 0 }]),
  },
  {
    name: 'lvs_director_peer_channel_faults',
    type: 'gauge',
    help: 'Reasons why the peer channel does not work.',
    labels: [],
    samples: (scrape) => channel(scrape, ({ faults }) => [{ value: faults.length }]),
  },
  {
    name: 'lvs_director_peer_channel_discards_total',
    type: 'counter',
    help: 'Datagrams on the peer channel that were not taken.',
    labels: ['reason'],
    samples: (scrape) =>
      channel(scrape, ({ discards }) =>
        Object.entries(discards).map(([reason, value]) => ({
          labels: { reason: reason.replaceAll('-', '_') },
          value,
        })),
      ),
  },
];
