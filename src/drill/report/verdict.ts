/** What a scenario must show, and whether it did. Pure. */
import type { Connections } from './connections.js';

/** In the order in which they run. */
export const SCENARIO_NAMES = [
  'planned',
  'crash',
  'hang',
  'power',
  'crash-all',
  'return',
  'switch',
  'reboot',
  'return-with-preemption',
  'reload-under-load',
  'sync-loss',
  'one-way',
  'split-brain',
  'real-server-down',
] as const;
export type ScenarioName = (typeof SCENARIO_NAMES)[number];
/** The everyday drill: what every pair has to stand, in the time that somebody waits for it. */
export const DEFAULT_SCENARIOS: readonly ScenarioName[] = [
  'planned',
  'crash',
  'return',
  'reboot',
  'real-server-down',
];
/** Those that leave the pair without one of its directors, which comes back afterwards. */
const FAULTS = ['planned', 'crash', 'hang', 'power', 'crash-all'] as const;
export type FaultName = (typeof FAULTS)[number];

export function isFault(name: ScenarioName): name is FaultName {
  return (FAULTS as readonly ScenarioName[]).includes(name);
}

/** In these the other director holds all virtual addresses in the end, or it has failed. */
const TAKEOVERS: readonly ScenarioName[] = [
  ...FAULTS,
  'switch',
  'reboot',
  'return-with-preemption',
  'sync-loss',
  'one-way',
];

/** In these, where the preferred director preempts, it takes its role back in one more hand-over. */
const COMES_BACK: readonly ScenarioName[] = ['return', 'sync-loss', 'one-way', 'split-brain'];

/** A planned hand-over takes Skew_Time with the addresses still held: the client's gap is far below it. */
const PLANNED_GAP_MS = 750;
/** Deliberate overlap of make before break. */
const PLANNED_OVERLAP_MS = 1000;
/** The guardian keeps a dead master's addresses until it heard the successor, and no longer than this. */
const CRASH_OVERLAP_MS = 1500;
/** `crash-all`: nobody is left to withdraw the addresses but the kernel, when their lifetime ends. */
export const LEASE_MS = 5000;
/** `split-brain`: how long both are masters before the network heals. */
const PARTITION_EXTRA_MS = 2000;
/** After the healing, beyond two advertisement intervals: the loser gives its addresses up. */
const HEALING_SLACK_MS = 1000;
/** On top of Master_Down_Interval: addresses, gratuitous ARP, and the probe's own step. */
const TAKEOVER_SLACK_MS = 190;
/** A disturbance below this is the machine's own jitter. */
const QUIET_GAP_FLOOR_MS = 250;
const QUIET_GAP_FACTOR = 3;

/** The undisturbed lab. */
export interface Baseline {
  /** Longest stretch without an answer to the probe. */
  readonly gapMs: number;
  /** The slowest new request. */
  readonly requestMs: number;
}

export interface Expectation {
  readonly client_gap_ms: number;
  readonly duplicate_address_ms: number;
  /** In which a new request has to be answered. */
  readonly request_limit_ms: number;
  /** How the gap's limit came about. */
  readonly why: string;
}

/** RFC 9568 section 6.1: Master_Down_Interval = 3 x Active_Adver_Interval + Skew_Time, in milliseconds. */
export function masterDownIntervalMs(advertisementIntervalMs: number, priority: number): number {
  return 3 * advertisementIntervalMs + ((256 - priority) * advertisementIntervalMs) / 256;
}

/** How long both directors of a `split-brain` do not hear each other: until the backup took over, and some time with two masters. */
export function partitionMs(advertisementIntervalMs: number, priority: number): number {
  return Math.ceil(masterDownIntervalMs(advertisementIntervalMs, priority) + PARTITION_EXTRA_MS);
}

/** When Linux sends a SYN again that was not answered (RFC 6298: after a second, then twice as long each time). */
const SYN_RETRIES_MS = [1000, 3000, 7000, 15_000, 31_000, 63_000, 127_000];
/** For the way there and back, and as many times what the slowest request of the undisturbed lab took, where that is more. */
const ANSWER_SLACK_MS = 1500;
const ANSWER_FACTOR = 3;

/**
 * The time limit of a new request, in milliseconds: that of the first SYN that is sent again when the longest allowed gap is over.
 * A lost SYN makes a request late, not failed; a reset or no answer within this is a failure.
 *
 * @param baselineMs the slowest request of the same lab while nothing was done to it
 */
export function requestLimitMs(gapLimitMs: number, baselineMs = 0): number {
  const retry = SYN_RETRIES_MS.find((atMs) => atMs >= gapLimitMs) ?? SYN_RETRIES_MS.at(-1) ?? 0;
  return Math.ceil(retry + Math.max(ANSWER_SLACK_MS, ANSWER_FACTOR * baselineMs));
}

/**
 * @param priority the lower one of the pair
 * @param baseline of the same lab under the same load while nothing was done to it
 * @param preempts the role may come back within the scenario, by a planned hand-over
 */
export function expectationOf(
  scenario: ScenarioName,
  advertisementIntervalMs: number,
  priority: number,
  baseline: Baseline,
  preempts = false,
): Expectation {
  const limits = limitsOf(scenario, advertisementIntervalMs, priority, baseline.gapMs);
  return {
    ...limits,
    duplicate_address_ms:
      limits.duplicate_address_ms + (preempts && COMES_BACK.includes(scenario) ? PLANNED_OVERLAP_MS : 0),
    request_limit_ms: requestLimitMs(limits.client_gap_ms, baseline.requestMs),
  };
}

function limitsOf(
  scenario: ScenarioName,
  advertisementIntervalMs: number,
  priority: number,
  baselineGapMs: number,
): Omit<Expectation, 'request_limit_ms'> {
  const takeover = {
    client_gap_ms: Math.ceil(masterDownIntervalMs(advertisementIntervalMs, priority) + TAKEOVER_SLACK_MS),
    why: `3 x ${advertisementIntervalMs} ms + Skew_Time at priority ${priority} + ${TAKEOVER_SLACK_MS} ms`,
  };
  const healingMs = 2 * advertisementIntervalMs + HEALING_SLACK_MS;
  const handover = { client_gap_ms: PLANNED_GAP_MS, why: 'hand-over before letting go' };
  switch (scenario) {
    case 'planned':
    case 'sync-loss':
      return { ...handover, duplicate_address_ms: PLANNED_OVERLAP_MS };
    case 'switch':
      return { ...handover, duplicate_address_ms: 2 * PLANNED_OVERLAP_MS };
    case 'crash':
    case 'hang':
      return { ...takeover, duplicate_address_ms: CRASH_OVERLAP_MS };
    case 'crash-all':
      return { ...takeover, duplicate_address_ms: LEASE_MS };
    case 'power':
      return { ...takeover, duplicate_address_ms: 0 };
    case 'reboot':
    case 'return-with-preemption':
      return { ...takeover, duplicate_address_ms: PLANNED_OVERLAP_MS };
    case 'one-way':
      return { ...takeover, duplicate_address_ms: healingMs };
    case 'split-brain':
      return {
        client_gap_ms: PLANNED_GAP_MS,
        // The backup misses the third advertisement up to an interval before its time is over.
        duplicate_address_ms: PARTITION_EXTRA_MS + advertisementIntervalMs + healingMs,
        why: 'one of two masters answers at any time',
      };
    case 'return':
    case 'reload-under-load':
    case 'real-server-down':
      return {
        client_gap_ms: Math.ceil(Math.max(QUIET_GAP_FLOOR_MS, QUIET_GAP_FACTOR * baselineGapMs)),
        duplicate_address_ms: 0,
        why: `nothing may be felt: ${QUIET_GAP_FLOOR_MS} ms, or ${QUIET_GAP_FACTOR} x the undisturbed ${Math.round(baselineGapMs)} ms`,
      };
  }
}

export interface Measured {
  readonly client_gap_ms: number;
  readonly duplicate_address_ms: number;
  readonly takeover_ms: number | null;
  readonly connections: Connections;
  /** Longest stretches without an answer from other virtual servers, as people call them. */
  readonly serviceGaps?: readonly { readonly service: string; readonly gapMs: number }[];
  /** What went wrong beyond the numbers: a role that changed, a request that failed when none may. */
  readonly complaints: readonly string[];
}

/** `reason` names everything that was not as expected, or says that all was. */
export function judge(
  scenario: ScenarioName,
  expectation: Expectation,
  measured: Measured,
): { readonly passed: boolean; readonly reason: string } {
  const faults = [...measured.complaints];
  if (measured.client_gap_ms > expectation.client_gap_ms) {
    faults.push(
      `the client had no answer for ${measured.client_gap_ms} ms, limit ${expectation.client_gap_ms} ms`,
    );
  }
  for (const { service, gapMs } of measured.serviceGaps ?? []) {
    if (gapMs > expectation.client_gap_ms) {
      faults.push(
        `the client had no answer over ${service} for ${gapMs} ms, limit ${expectation.client_gap_ms} ms`,
      );
    }
  }
  if (measured.duplicate_address_ms > expectation.duplicate_address_ms) {
    faults.push(
      `both directors held a virtual address for ${measured.duplicate_address_ms} ms, limit ${expectation.duplicate_address_ms} ms`,
    );
  }
  if (TAKEOVERS.includes(scenario) && measured.takeover_ms === null) {
    faults.push('the other director did not take over all virtual addresses');
  }
  for (const [kind, { opened, survived }] of Object.entries(measured.connections)) {
    if (opened === 0) {
      faults.push(`no ${kind} connection could be opened`);
    } else if (survived < opened) {
      faults.push(`${opened - survived} of ${opened} ${kind} connections were lost`);
    }
  }
  return faults.length === 0
    ? { passed: true, reason: 'as expected' }
    : { passed: false, reason: faults.join('; ') };
}
