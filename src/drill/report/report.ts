/** The drill's report: a contract for programs, so fields are only ever added. Pure. */
import type { Topology } from '../lab/topology.js';
import { type Connections, type ConnectionsOfKind, kindsOf } from './connections.js';
import { round, type Span } from './measure.js';
import type { FailedRequest, RequestPoint, RequestSummary } from './requests.js';
import type { Expectation, FaultName, ScenarioName } from './verdict.js';

export interface TimelineEvent {
  /** Since the scenario's start. */
  readonly t_ms: number;
  /** `drill`, `client`, or the name of a host. */
  readonly source: string;
  readonly event: string;
}

/** A stretch of the scenario for the timeline: who was master, who held an address, when nobody answered. */
export interface TimelineSpan {
  readonly lane: string;
  readonly state: string;
  readonly from_ms: number;
  readonly to_ms: number;
}

export interface ServicesReport {
  /** Pings of the IPv6 virtual address. */
  readonly ipv6?: {
    readonly client_gap_ms: number;
    readonly probes: { readonly sent: number; readonly lost: number };
  };
  /** Requests of one datagram each. With a dead real server: of the flows of the others. */
  readonly udp?: {
    /** Longest stretch in which no request was answered. */
    readonly client_gap_ms: number;
    readonly requests: { readonly sent: number; readonly lost: number };
    /** Flows whose real server died; until the last loss before another one answered, null when one was not answered again. */
    readonly moved?: { readonly flows: number; readonly after_ms: number | null };
  };
  /** `real-server-down`: who answered where the dead real server is the only one. */
  readonly sorry_server?: Readonly<
    Record<'before' | 'meanwhile' | 'after', Readonly<Record<string, number>>>
  >;
}

export interface ScenarioReport {
  readonly topology: Topology['name'];
  readonly name: ScenarioName;
  /** For `return`: the fault from which the director comes back. */
  readonly after?: FaultName;
  readonly advertisement_interval_ms: number;
  readonly probe_interval_ms: number;
  readonly client_gap_ms: number;
  readonly probes: { readonly sent: number; readonly lost: number };
  readonly connections: Connections;
  readonly duplicate_address_ms: number;
  readonly takeover_ms: number | null;
  readonly events: readonly TimelineEvent[];
  readonly passed: boolean;
  readonly reason: string;
  readonly expectation: Expectation;
  /** When the fault was made, since the scenario's start. */
  readonly fault_ms: number;
  /** Length of the scenario under observation. */
  readonly duration_ms: number;
  /** Connections that the other director knew when the fault came; null when there was no other. */
  readonly synchronised: { readonly opened: number; readonly known: number } | null;
  /** Connections that a director without them knew when the role came to it: of `reboot` and `sync-loss`. */
  readonly resynchronised?: { readonly opened: number; readonly known: number };
  readonly requests: RequestSummary;
  /** The first 500 of those that failed. */
  readonly failed_requests: readonly FailedRequest[];
  /** `real-server-down`: from the death to the last new request that met the dead server. */
  readonly real_server?: {
    readonly name: string;
    readonly taken_out_ms: number | null;
    readonly taken_in_ms: number | null;
    readonly failed_requests: number;
    readonly ended_connections: number;
  };
  /** What was seen of virtual servers beside the first one, where the topology has them. */
  readonly services?: ServicesReport;
  readonly lost_connections: readonly {
    readonly kind: string;
    readonly port: number;
    readonly reason: string;
  }[];
  readonly spans: readonly TimelineSpan[];
  /** Every request that failed, and of those answered the slowest of each tenth of a second. */
  readonly request_points: readonly RequestPoint[];
}

export interface DrillReport {
  readonly version: 1;
  readonly kernel: { readonly release: string; readonly where: 'host' | 'vm' };
  /** ISO 8601. */
  readonly started: string;
  readonly duration_ms: number;
  /** Drawn by lot: the same seed draws the same scenarios. */
  readonly lot?: { readonly count: number; readonly seed: number };
  readonly baselines: readonly {
    readonly topology: Topology['name'];
    readonly client_gap_ms: number;
    readonly slowest_request_ms: number;
  }[];
  readonly scenarios: readonly ScenarioReport[];
  /** What kept the drill from its end; empty when it got there. */
  readonly failures: readonly string[];
  readonly passed: boolean;
}

export function buildReport(input: {
  readonly release: string;
  readonly where: 'host' | 'vm';
  readonly startedMs: number;
  readonly endedMs: number;
  readonly lot: DrillReport['lot'];
  readonly baselines: DrillReport['baselines'];
  readonly scenarios: readonly ScenarioReport[];
  readonly failures: readonly string[];
}): DrillReport {
  return {
    version: 1,
    kernel: { release: input.release, where: input.where },
    started: new Date(input.startedMs).toISOString(),
    duration_ms: Math.round(input.endedMs - input.startedMs),
    ...(input.lot === undefined ? {} : { lot: input.lot }),
    baselines: input.baselines,
    scenarios: input.scenarios,
    failures: input.failures,
    // An empty drill proves nothing.
    passed:
      input.failures.length === 0 &&
      input.scenarios.length > 0 &&
      input.scenarios.every((scenario) => scenario.passed),
  };
}

/** Title of a scenario for people: `return after crash`. */
export function titleOf(scenario: { readonly name: string; readonly after?: string | undefined }): string {
  return scenario.after === undefined ? scenario.name : `${scenario.name} after ${scenario.after}`;
}

/** Spans clipped to the scenario and made relative to its start. */
export function timelineSpans(
  lane: string,
  state: string,
  spans: readonly Span[],
  window: Span,
): TimelineSpan[] {
  return spans
    .map((span) => ({
      lane,
      state,
      from_ms: round(Math.max(span.fromMs, window.fromMs) - window.fromMs),
      to_ms: round(Math.min(span.toMs, window.toMs) - window.fromMs),
    }))
    .filter((span) => span.to_ms > span.from_ms);
}

/** Names of the columns; kinds of connections that no topology has have none. */
export function tableColumns(scenarios: readonly ScenarioReport[]): string[] {
  const before = ['topology', 'scenario', 'gap', 'limit', 'lost probes'];
  return [...before, ...kindsOf(scenarios), 'failed requests', 'takeover', 'duplicate', 'result'];
}

function kept(kind: ConnectionsOfKind | undefined): string {
  return kind === undefined ? '-' : `${kind.survived}/${kind.opened}`;
}

/** Those that the fault excuses in brackets. */
function failedText({ made, failed, excused }: RequestSummary): string {
  return `${failed - excused}${excused === 0 ? '' : ` (+${excused})`}/${made}`;
}

function milliseconds(value: number | null): string {
  return value === null ? '-' : `${Math.round(value)} ms`;
}

/** One row a scenario, in the order of the columns. */
export function tableRows(scenarios: readonly ScenarioReport[]): string[][] {
  const kinds = kindsOf(scenarios);
  return scenarios.map((scenario) => {
    return [
      scenario.topology,
      titleOf(scenario),
      milliseconds(scenario.client_gap_ms),
      milliseconds(scenario.expectation.client_gap_ms),
      `${scenario.probes.lost}/${scenario.probes.sent}`,
      ...kinds.map((kind) => kept(scenario.connections[kind])),
      failedText(scenario.requests),
      milliseconds(scenario.takeover_ms),
      milliseconds(scenario.duplicate_address_ms),
      scenario.passed ? 'passed' : 'FAILED',
    ];
  });
}

/** The table for the terminal, with the reason under each scenario that failed. */
export function tableText(scenarios: readonly ScenarioReport[]): string {
  const rows = tableRows(scenarios);
  const columns = tableColumns(scenarios);
  const widths = columns.map((column, index) =>
    Math.max(column.length, ...rows.map((row) => row[index]?.length ?? 0)),
  );
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, index) => (index < 2 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0)))
      .join('  ');
  const lines = [line(columns)];
  for (const [index, row] of rows.entries()) {
    lines.push(line(row));
    const scenario = scenarios[index];
    if (scenario !== undefined && !scenario.passed) {
      lines.push(`    ${scenario.reason}`);
    }
  }
  return `${lines.join('\n')}\n`;
}
