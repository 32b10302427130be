/** What status and metrics tell of a BFD session. */
import { transmitIntervalMs } from '../../../bfd/machine.js';
import { diagnosticText } from '../../../bfd/packet.js';
import type { BfdReport, BfdStatus } from '../../status.js';
import type { BfdRunner } from './bfd-runner.js';

export function bfdStatus(runner: BfdRunner, nowMs: number): BfdStatus {
  const { session, wanted, fault, detectionMs } = runner;
  const { remote, state, diagnostic } = session;
  const transmitMs = transmitIntervalMs(session);
  return {
    interface: wanted.interface,
    peer: wanted.peer,
    state,
    since_s: Math.round((nowMs - session.sinceMs) / 1000),
    reason: diagnostic === 0 ? null : diagnosticText(diagnostic),
    fault: fault ?? null,
    peer_state: remote.multiplier === 0 ? null : remote.state,
    peer_reason: remote.diagnostic === 0 ? null : diagnosticText(remote.diagnostic),
    transmit_ms: Number.isFinite(transmitMs) ? transmitMs : null,
    detection_ms: remote.multiplier === 0 ? null : detectionMs,
    instances: wanted.instances,
    objects: wanted.objects.map(({ name }) => name),
    counters: countersOf(runner),
  };
}

export function bfdReport(runner: BfdRunner): BfdReport {
  const { interface: device, peer } = runner.wanted;
  const { state } = runner.session;
  return {
    interface: device,
    peer,
    isUp: state === 'up',
    detectionMs: runner.detectionMs,
    counters: countersOf(runner),
  };
}

function countersOf({ counters, discards, link }: BfdRunner): Readonly<Record<string, number>> {
  const discarded = [...discards].map(([reason, count]) => [
    `discarded_${reason.replaceAll('-', '_')}`,
    count,
  ]);
  return { ...counters, ...Object.fromEntries(discarded), discarded_unread: link?.unread() ?? 0 };
}
