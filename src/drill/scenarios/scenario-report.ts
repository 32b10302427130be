/** What a scenario's witnesses saw, made into its part of the report. Pure. */
import type { AddressChange } from '../lab/observations.js';
import type { Topology } from '../lab/topology.js';
import { countConnections } from '../report/connections.js';
import {
  duplicateAddressMs,
  gaps,
  holdings,
  longestGap,
  type Outage,
  round,
  type Span,
} from '../report/measure.js';
import type { ScenarioReport, TimelineEvent, TimelineSpan } from '../report/report.js';
import { timelineSpans } from '../report/report.js';
import {
  failedRequests,
  requestComplaints,
  requestPoints,
  summarizeRequests,
  withinLimit,
} from '../report/requests.js';
import { judge } from '../report/verdict.js';
import type { Observed } from './observation-window.js';
import type { Course, Setting } from './scenario-parts.js';
import { flowsOf, probesOf, serviceComplaints, servicesOf } from './service-report.js';
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
  const drawnFromMs = Math.max(GAP_DRAWN_FROM_MS, GAP_DRAWN_FROM * probeIntervalMs);
  for (const [lane, probe] of [
    ['probe', observed.probe],
    ['probe-ipv6', observed.ipv6Probe],
  ] as const) {
    const drawn = gaps(probe?.answersMs ?? [], window, drawnFromMs);
    spans.push(...timelineSpans(lane, 'no answer', probe === undefined ? [] : drawn, window));
  }
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
function crowdEvents(
  losses: LabRecord['losses'],
  fate: string,
): { atMs: number; source: string; event: string }[] {
  const crowds = new Map<string, LabRecord['losses'][number][]>();
  for (const loss of losses) {
    const what = `${loss.kind} ${fate}: ${loss.reason}`;
    crowds.set(what, [...(crowds.get(what) ?? []), loss]);
  }
  return [...crowds].map(([what, members]) => {
    const times = members.map((member) => member.atMs);
    const first = Math.min(...times);
    const event = `${members.length} ${what}, within ${Math.round(Math.max(...times) - first)} ms`;
    return { atMs: first, source: 'client', event };
  });
}

function eventsOf(record: LabRecord, { window, samples }: Observed, longest: Span): TimelineEvent[] {
  const failed = samples.filter(({ server }) => server === null);

  const failures = failed.map(({ startMs, error }) => ({ atMs: startMs, kind: 'new', reason: error }));
  const within = (seen: { readonly atMs: number }): boolean =>
    seen.atMs >= window.fromMs && seen.atMs <= window.toMs;
  const crowds = [
    ...crowdEvents(record.losses.filter(within), 'connections ended'),
    ...crowdEvents(failures, 'requests failed'),
  ];
  const events = [...record.observations.filter(within), ...crowds].map((seen) => ({
    t_ms: round(seen.atMs - window.fromMs),
    source: seen.source,
    event: seen.event,
  }));
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
  const { failedToOpen } = setting;
  if (failedToOpen.length > 0) {
    // The first of each kind.
    const kinds = new Map(failedToOpen.toReversed().map((words) => [words.split(':')[0], words]));
    complaints.push(
      `${failedToOpen.length} connections could not be opened: ${[...kinds.values()].toReversed().join('; ')}`,
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
  const again = course.resynchronised;
  // How soon is what `sync-loss` is about; elsewhere what survived anyhow is no fault.
  const counts = setting.name === 'sync-loss' || course.verified.some((one) => !one.survived);
  if (again !== undefined && again.known < again.opened && counts) {
    complaints.push(
      `only ${again.known} of ${again.opened} connections were known to the director that got the role`,
    );
  }
  return [...complaints, ...requestComplaints(observed.samples, course.excuse)];
}

export function buildScenarioReport(input: {
  readonly topology: Topology;
  readonly setting: Setting;
  readonly course: Course;
  readonly observed: Observed;
  readonly record: LabRecord;
  readonly probeIntervalMs: number;
}): ScenarioReport {
  const { topology, setting, course, record, probeIntervalMs } = input;
  const observed = {
    ...input.observed,
    samples: withinLimit(input.observed.samples, setting.expectation.request_limit_ms),
  };
  const { window, probe, samples } = observed;
  const longest = longestGap(probe.answersMs, window);
  const flows = flowsOf(setting, course, observed);
  const verified = [...course.verified, ...flows.verified];
  const services = topology.services && servicesOf(topology.services, course, observed, flows.udp);
  const [first = '', second = ''] = topology.hosts
    .filter((host) => host.role === 'director')
    .map((host) => host.name);
  const measured = {
    client_gap_ms: round(longest.toMs - longest.fromMs),
    duplicate_address_ms: round(
      duplicateAddressMs(record.changes, record.outages, [first, second], record.virtualAddresses, window),
    ),
    takeover_ms: course.takeoverMs === null ? null : round(course.takeoverMs),
    connections: countConnections(topology.services ?? {}, setting.opened, verified),
  };
  const complaints = [
    ...lateComplaints(setting, course, observed),
    ...serviceComplaints(services ?? {}, course, observed, verified),
  ];
  const serviceGaps = [
    { service: 'IPv6', gapMs: services?.ipv6?.client_gap_ms ?? 0 },
    { service: 'UDP', gapMs: services?.udp?.client_gap_ms ?? 0 },
  ];
  return {
    topology: topology.name,
    name: setting.name,
    ...(setting.after === undefined ? {} : { after: setting.after }),
    advertisement_interval_ms: setting.intervalMs,
    probe_interval_ms: probeIntervalMs,
    ...measured,
    probes: probesOf(probe),
    events: eventsOf(record, observed, longest),
    ...judge(setting.name, setting.expectation, { ...measured, serviceGaps, complaints }),
    expectation: setting.expectation,
    fault_ms: round(course.faultMs - window.fromMs),
    duration_ms: round(window.toMs - window.fromMs),
    synchronised: setting.synchronised,
    requests: summarizeRequests(samples, course.excuse),
    failed_requests: failedRequests(samples, window, course.excuse).slice(0, MAX_EVENTS),
    ...(course.resynchronised === undefined ? {} : { resynchronised: course.resynchronised }),
    ...realServerOf(course, observed),
    ...(services === undefined ? {} : { services }),
    lost_connections: verified
      .filter((one) => !one.survived)
      .map(({ kind, port, reason }) => ({ kind, port, reason }))
      .slice(0, MAX_EVENTS),
    spans: [
      ...spansOf(topology, record, course, observed, probeIntervalMs),
      ...timelineSpans('udp', 'no answer', flows.lost, window),
    ],
    request_points: requestPoints(samples, window),
  };
}
