/** New requests: which failed, and which of those the fault excuses. Pure; times are wall-clock milliseconds. */
import type { RequestSample } from '../client/load.js';
import { round, type Span } from './measure.js';

/**
 * What no director can help. With `resets` those requests that got a reset and were under way before the virtual addresses had moved:
 * an unplanned fault gives nobody the time to tell the successor of the youngest connections. With `all` whatever failed meanwhile.
 */
export interface Excuse extends Span {
  readonly of: 'resets' | 'all';
}

/** A connection that met a director that does not know it, or a host without a listener. */
const RESETS: readonly string[] = ['ECONNRESET', 'ECONNREFUSED'];

export interface RequestSummary {
  readonly made: number;
  /** Without an answer; the excused ones too. */
  readonly failed: number;
  /** Of the failed ones. */
  readonly excused: number;
  readonly slowest_ms: number;
  readonly median_ms: number;
}

export interface FailedRequest {
  /** Since the scenario's start. */
  readonly t_ms: number;
  readonly duration_ms: number;
  readonly address: string;
  readonly reason: string;
  readonly excused: boolean;
}

export interface RequestPoint {
  readonly t_ms: number;
  readonly duration_ms: number;
  /** null when the request failed. */
  readonly server: string | null;
}

export function isExcused(sample: RequestSample, excuse: Excuse | undefined): boolean {
  return (
    excuse !== undefined &&
    sample.startMs <= excuse.toMs &&
    sample.startMs + sample.durationMs >= excuse.fromMs &&
    (excuse.of === 'all' || RESETS.includes(sample.error))
  );
}

/** Whoever was answered, but not in time, has failed. */
export function withinLimit(samples: readonly RequestSample[], limitMs: number): RequestSample[] {
  return samples.map((sample) =>
    sample.server !== null && sample.durationMs > limitMs
      ? { ...sample, server: null, error: 'no answer in time' }
      : sample,
  );
}

export function summarizeRequests(samples: readonly RequestSample[], excuse?: Excuse): RequestSummary {
  const durations = samples.map((sample) => sample.durationMs).toSorted((a, b) => a - b);
  const failed = samples.filter((sample) => sample.server === null);
  return {
    made: samples.length,
    failed: failed.length,
    excused: failed.filter((sample) => isExcused(sample, excuse)).length,
    slowest_ms: round(durations.at(-1) ?? 0),
    median_ms: round(durations[Math.floor(durations.length / 2)] ?? 0),
  };
}

/** Those that failed, oldest first. */
export function failedRequests(
  samples: readonly RequestSample[],
  window: Span,
  excuse?: Excuse,
): FailedRequest[] {
  return samples
    .filter(({ server }) => server === null)
    .map((sample) => ({
      t_ms: round(sample.startMs - window.fromMs),
      duration_ms: sample.durationMs,
      address: sample.address,
      reason: sample.error,
      excused: isExcused(sample, excuse),
    }));
}

/** What is wrong with them, as sentences for the verdict: one for each reason, with what the first one met. */
export function requestComplaints(samples: readonly RequestSample[], excuse?: Excuse): string[] {
  if (samples.length === 0) {
    return ['no new request was made'];
  }
  const failed = samples.filter((sample) => sample.server === null && !isExcused(sample, excuse));
  return [...new Set(failed.map(({ error }) => error))].map((reason) => {
    const own = failed.filter(({ error }) => error === reason);
    return `${own.length} of ${samples.length} new requests failed: ${own[0]?.address}: ${reason}`;
  });
}

/** An answered request is drawn when it is the slowest of so long a time. */
const POINT_STEP_MS = 100;

/** What is drawn: every request that failed, and of those answered the slowest of each tenth of a second. */
export function requestPoints(samples: readonly RequestSample[], window: Span): RequestPoint[] {
  const slowest = new Map<number, RequestSample>();
  const drawn: RequestSample[] = [];
  for (const sample of samples) {
    const step = Math.floor((sample.startMs - window.fromMs) / POINT_STEP_MS);
    if (sample.server === null) {
      drawn.push(sample);
    } else if (sample.durationMs > (slowest.get(step)?.durationMs ?? -1)) {
      slowest.set(step, sample);
    }
  }
  return [...drawn, ...slowest.values()]
    .map((sample) => ({
      t_ms: round(sample.startMs - window.fromMs),
      duration_ms: sample.durationMs,
      server: sample.server,
    }))
    .sort((a, b) => a.t_ms - b.t_ms);
}
