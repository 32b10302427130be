/** What a scenario showed of the virtual servers beside the first one, made into its part of the report. Pure. */
import { isIPv6 } from 'node:net';
import type { VerifiedConnection } from '../client/client-protocol.js';
import type { ProbeResult } from '../lab/observations.js';
import type { Services } from '../lab/topology.js';
import { lostBy, lostStretches, movedAfterMs, settledRequests, verifyFlows } from '../report/connections.js';
import { longestGap, round, type Span } from '../report/measure.js';
import type { ServicesReport } from '../report/report.js';
import type { Observed } from './observation-window.js';
import type { Course, Setting } from './scenario-parts.js';

/** What the observation shows of UDP: flows of the real servers that live, and those whose real server died. */
export function flowsOf(
  setting: Setting,
  course: Course,
  observed: Observed,
): {
  readonly verified: readonly VerifiedConnection[];
  readonly udp: NonNullable<ServicesReport['udp']>;
  readonly lost: readonly Span[];
} {
  const { window, flowRequests } = observed;
  const { realServer } = course;
  const opened = setting.opened.filter(({ kind }) => kind === 'udp');
  const bereft = opened.filter(({ server }) => server === realServer?.name);
  const others = opened.filter((one) => !bereft.includes(one));
  const requests = settledRequests(flowRequests, window);
  const own = requests.filter(({ port }) => others.some((one) => one.port === port));
  const lost = lostBy(lostStretches(own, window), course.faultMs);
  const moved =
    realServer === undefined
      ? {}
      : {
          moved: {
            flows: bereft.length,
            after_ms: movedAfterMs(bereft, requests, realServer.downFromMs),
          },
        };
  return {
    verified: verifyFlows(others, own, course.faultMs, course.askedMs),
    lost,
    udp: {
      client_gap_ms: round(Math.max(0, ...lost.map((span) => span.toMs - span.fromMs))),
      requests: { sent: own.length, lost: own.filter(({ answeredMs }) => answeredMs === null).length },
      ...moved,
    },
  };
}

/** Probes sent, and lost. */
export function probesOf({ sent, received }: ProbeResult): { sent: number; lost: number } {
  return { sent, lost: Math.max(0, sent - received) };
}

function gapOf({ answersMs }: ProbeResult, window: Span): number {
  const longest = longestGap(answersMs, window);
  return round(longest.toMs - longest.fromMs);
}

/** What the virtual servers beside the first one showed. */
export function servicesOf(
  services: Services,
  course: Course,
  { ipv6Probe, window }: Observed,
  udp: NonNullable<ServicesReport['udp']>,
): ServicesReport {
  const sorry = course.realServer?.sorry;
  return {
    ...(ipv6Probe === undefined
      ? {}
      : { ipv6: { client_gap_ms: gapOf(ipv6Probe, window), probes: probesOf(ipv6Probe) } }),
    ...(services.udp === undefined ? {} : { udp }),
    ...(sorry === undefined ? {} : { sorry_server: sorry }),
  };
}

/** UDP flows of a dead real server are answered by another one that long after the directors have taken it out. */
const MOVED_EXTRA_MS = 1000;

/** What was not as expected of them, beyond gaps and numbers of connections. */
export function serviceComplaints(
  { ipv6, udp }: ServicesReport,
  { faultMs, realServer }: Course,
  { samples }: Observed,
  verified: readonly VerifiedConnection[],
): string[] {
  const complaints: string[] = [];
  if (ipv6 !== undefined) {
    if (ipv6.probes.lost === ipv6.probes.sent) {
      complaints.push('the probe over IPv6 had no answer at all');
    }
    const after = samples.filter(({ address, startMs }) => isIPv6(address) && startMs >= faultMs);
    if (after.every(({ server }) => server === null)) {
      complaints.push('no new request over IPv6 was answered after the fault');
    }
  }
  if (udp?.moved !== undefined && realServer !== undefined && realServer.takenOutMs !== null) {
    const { flows, after_ms: after } = udp.moved;
    const limit = round(realServer.takenOutMs - realServer.downFromMs + MOVED_EXTRA_MS);
    if (flows === 0) {
      complaints.push('no UDP flow had the dead real server');
    } else if (after === null || after > limit) {
      const when = after === null ? 'were not answered again' : `lost requests for ${after} ms`;
      complaints.push(`UDP flows of the dead real server ${when}, limit ${limit} ms`);
    }
  }
  // These have a story that their number does not tell.
  for (const kind of ['udp', 'persistent'] as const) {
    const lost = verified.find((one) => one.kind === kind && !one.survived);
    if (lost !== undefined) {
      complaints.push(`${kind}: ${lost.reason}`);
    }
  }
  return complaints;
}
