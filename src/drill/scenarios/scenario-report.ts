/** What a scenario's witnesses saw, made into its part of the report. Pure. */

import type { ConnectionKind } from '../client/client-protocol.js';
import type { AddressChange } from '../lab/observations.js';
import type { Topology } from '../lab/topology.js';
import {
  duplicateAddressMs,
  gaps,
  holdings,
  longestGap,
  type Outage,
  round,
  type Span,
  summarizeRequests,
} from '../report/measure.js';
import type { ScenarioReport, TimelineEvent, TimelineSpan } from '../report/report.js';
import { timelineSpans } from '../report/report.js';
import { judge } from '../report/verdict.js';
import type { Observed } from './observation-window.js';
import { undueFailures } from './real-server-down.js';
import type { Course, Setting } from './scenario-parts.js';
import type { RoleChange } from './site.js';

/** More would not be read, and a lost lab could fill any report. */
const MAX_EVENTS = 500;
/** A stretch without answers is drawn when it is this many probe intervals long, */
const GAP_DRAWN_FROM = 10;
/** and this long: what a busy machine does by itself would hide what matters. */
const GAP_DRAWN_FROM_MS = 100;

/** Everything seen since the lab was opened. */
export interface LabRecord {
  readonly observations: readonly {
    readonly atMs: number;
    readonly source: string;
    readonly event: string;
  }[];
  readonly changes: readonly AddressChange[];
  readonly roles: readonly RoleChange[];
  readonly outages: readonly Outage[];
  /** Connections that ended without being asked to. */
  readonly losses: readonly {
    readonly atMs: number;
    readonly kind: string;
    readonly reason: string;
  }[];
  readonly virtualAddresses: readonly string[];
}

/** In which states a director was, by the first instance that spoke; a stopped daemon has the last word. */
export function roleSpans(
  roles: readonly RoleChange[],
  director: string,
  untilMs: number,
): (Span & { state: string })[] {
  const own = roles.filter((role) => role.director === director);
  const instance = own.find((role) => role.instance !== '')?.instance;
  const changes = own.filter((role) => role.instance === instance || role.instance === '');
  return changes.map((change, index) => ({
    fromMs: change.atMs,
    toMs: changes[index + 1]?.atMs ?? untilMs,
    state: change.to,
  }));
}

function connectionsOf(setting: Setting, course: Course): ScenarioReport['connections'] {
  // Those that ended with their dead real server were not asked and do not count.
  const counted = new Set(course.verified.map((connection) => connection.port));
  const countOf = (kind: ConnectionKind): { opened: number; survived: number } => ({
    opened: setting.opened.filter((one) => one.kind === kind && counted.has(one.port)).length,
    survived: course.verified.filter((one) => one.kind === kind && one.survived).length,
  });
  return { busy: countOf('busy'), 'one-request': countOf('one-request'), idle: countOf('idle') };
}

function spansOf(
  topology: Topology,
  record: LabRecord,
  course: Course,
  observed: Observed,
  probeIntervalMs: number,
): TimelineSpan[] {
  const { window } = observed;
  const directors = topology.hosts.filter((host) => host.role === 'director').map((host) => host.name);
  const spans: TimelineSpan[] = [];
  for (const director of directors) {
    for (const { state, ...span } of roleSpans(record.roles, director, window.toMs)) {
      spans.push(...timelineSpans(director, state, [span], window));
    }
    const unplugged = record.outages.filter((outage) => outage.director === director);
    spans.push(...timelineSpans(director, 'unplugged', unplugged, window));
    for (const address of record.virtualAddresses) {
      const held = holdings(record.changes, director, address, window.toMs);
      spans.push(...timelineSpans(`${director} ${address}`, 'holds', held, window));
    }
  }
  const drawn = gaps(
    observed.probe.answersMs,
    window,
    Math.max(GAP_DRAWN_FROM_MS, GAP_DRAWN_FROM * probeIntervalMs),
  );
  spans.push(...timelineSpans('probe', 'no answer', drawn, window));
  const server = course.realServer;
  if (server !== undefined) {
    const dead = { fromMs: server.downFromMs, toMs: server.startedMs };
    spans.push(...timelineSpans(server.name, 'dead', [dead], window));
    if (server.takenOutMs !== null) {
      const out = { fromMs: server.takenOutMs, toMs: server.takenInMs ?? window.toMs };
      spans.push(...timelineSpans(`${server.name} in the table`, 'taken out', [out], window));
    }
  }
  return spans;
}

/** Connections end in crowds: one event for each kind and reason, at the time of the first. */
function lossEvents(losses: LabRecord['losses']): { atMs: number; source: string; event: string }[] {
  const crowds = new Map<string, LabRecord['losses'][number][]>();
  for (const loss of losses) {
    const what = `${loss.kind} connections ended: ${loss.reason}`;
    crowds.set(what, [...(crowds.get(what) ?? []), loss]);
  }
  return [...crowds].map(([what, members]) => {
    const times = members.map((member) => member.atMs);
    const first = Math.min(...times);
    const event = `${members.length} ${what}, within ${Math.round(Math.max(...times) - first)} ms`;
    return { atMs: first, source: 'client', event };
  });
}

function eventsOf(record: LabRecord, window: Span, longest: Span): TimelineEvent[] {
  const within = (seen: { readonly atMs: number }): boolean =>
    seen.atMs >= window.fromMs && seen.atMs <= window.toMs;
  const events = [...record.observations.filter(within), ...lossEvents(record.losses.filter(within))].map(
    (seen) => ({ t_ms: round(seen.atMs - window.fromMs), source: seen.source, event: seen.event }),
  );
  const gapMs = round(longest.toMs - longest.fromMs);
  events.push({
    t_ms: round(longest.fromMs - window.fromMs),
    source: 'client',
    event: `longest gap begins: ${gapMs} ms`,
  });
  return events.toSorted((a, b) => a.t_ms - b.t_ms).slice(0, MAX_EVENTS);
}

function realServerOf(course: Course, observed: Observed): Pick<ScenarioReport, 'real_server'> {
  const server = course.realServer;
  if (server === undefined) {
    return {};
  }
  const since = (atMs: number | null, from: number): number | null =>
    atMs === null ? null : round(atMs - from);
  return {
    real_server: {
      name: server.name,
      taken_out_ms: since(server.takenOutMs, server.downFromMs),
      taken_in_ms: since(server.takenInMs, server.startedMs),
      failed_requests: observed.samples.filter((sample) => sample.server === null).length,
      ended_connections: server.endedConnections,
    },
  };
}

/** Complaints that only the whole observation shows. */
function lateComplaints(setting: Setting, course: Course, observed: Observed): string[] {
  const complaints = [...course.complaints];
  if (setting.failedToOpen.length > 0) {
    complaints.push(
      `${setting.failedToOpen.length} connections could not be opened: ${setting.failedToOpen[0]}`,
    );
  }
  const { synchronised, pair } = setting;
  if (
    synchronised !== null &&
    synchronised.known < synchronised.opened &&
    course.verified.some((one) => !one.survived)
  ) {
    complaints.push(
      `${pair.backup.name} knew only ${synchronised.known} of ${synchronised.opened} connections before the fault`,
    );
  }
  if (observed.probe.answersMs.length === 0) {
    complaints.push('the probe had no answer at all');
  }
  const undue = course.realServer === undefined ? 0 : undueFailures(observed, course.realServer);
  if (undue > 0) {
    complaints.push(`${undue} new requests failed although the dead real server was out`);
  }
  const failed = observed.samples.filter((sample) => sample.server === null);
  if (setting.name === 'return' && failed.length > 0) {
    complaints.push(`${failed.length} new requests failed: ${failed[0]?.error ?? ''}`);
  }
  return complaints;
}

export function buildScenarioReport(input: {
  readonly topology: Topology;
  readonly setting: Setting;
  readonly course: Course;
  readonly observed: Observed;
  readonly record: LabRecord;
  readonly probeIntervalMs: number;
}): ScenarioReport {
  const { topology, setting, course, observed, record, probeIntervalMs } = input;
  const { window, probe, samples } = observed;
  const longest = longestGap(probe.answersMs, window);
  const [first = '', second = ''] = topology.hosts
    .filter((host) => host.role === 'director')
    .map((host) => host.name);
  const measured = {
    client_gap_ms: round(longest.toMs - longest.fromMs),
    duplicate_address_ms: round(
      duplicateAddressMs(record.changes, record.outages, [first, second], record.virtualAddresses, window),
    ),
    takeover_ms: course.takeoverMs === null ? null : round(course.takeoverMs),
    connections: connectionsOf(setting, course),
  };
  const complaints = lateComplaints(setting, course, observed);
  return {
    topology: topology.name,
    name: setting.name,
    ...(setting.after === undefined ? {} : { after: setting.after }),
    advertisement_interval_ms: setting.intervalMs,
    probe_interval_ms: probeIntervalMs,
    ...measured,
    probes: { sent: probe.sent, lost: Math.max(0, probe.sent - probe.received) },
    events: eventsOf(record, window, longest),
    ...judge(setting.name, setting.expectation, { ...measured, complaints }),
    expectation: setting.expectation,
    fault_ms: round(course.faultMs - window.fromMs),
    duration_ms: round(window.toMs - window.fromMs),
    synchronised: setting.synchronised,
    requests: summarizeRequests(samples),
    ...realServerOf(course, observed),
    lost_connections: course.verified
      .filter((one) => !one.survived)
      .map(({ kind, port, reason }) => ({ kind, port, reason }))
      .slice(0, MAX_EVENTS),
    spans: spansOf(topology, record, course, observed, probeIntervalMs),
    request_points: samples.map((sample) => ({
      t_ms: round(sample.startMs - window.fromMs),
      duration_ms: sample.durationMs,
      server: sample.server,
    })),
  };
}
