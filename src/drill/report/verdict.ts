/** What a scenario must show, and whether it did. Pure. */
import type { Connections } from './connections.js';

export const SCENARIO_NAMES = ['planned', 'crash', 'power', 'return', 'real-server-down'] as const;
export type ScenarioName = (typeof SCENARIO_NAMES)[number];
/** Those that end a master. */
export type FaultName = 'planned' | 'crash' | 'power';

export function isFault(name: ScenarioName): name is FaultName {
  return name === 'planned' || name === 'crash' || name === 'power';
}

/** A planned hand-over takes Skew_Time with the addresses still held: the client's gap is far below it. */
const PLANNED_GAP_MS = 750;
/** Deliberate overlap of make before break. */
const PLANNED_OVERLAP_MS = 1000;
/** The guardian keeps a dead master's addresses until it heard the successor, and no longer than this. */
const CRASH_OVERLAP_MS = 1500;
/** On top of Master_Down_Interval: addresses, gratuitous ARP, and the probe's own step. */
const TAKEOVER_SLACK_MS = 190;
/** A disturbance below this is the machine's own jitter. */
const QUIET_GAP_FLOOR_MS = 250;
const QUIET_GAP_FACTOR = 3;

export interface Expectation {
  readonly client_gap_ms: number;
  readonly duplicate_address_ms: number;
  /** How the gap's limit came about. */
  readonly why: string;
}

/** RFC 9568 section 6.1: Master_Down_Interval = 3 x Active_Adver_Interval + Skew_Time, in milliseconds. */
export function masterDownIntervalMs(advertisementIntervalMs: number, priority: number): number {
  return 3 * advertisementIntervalMs + ((256 - priority) * advertisementIntervalMs) / 256;
}

/**
 * @param priority the lower one of the pair
 * @param baselineGapMs longest gap of the same lab under the same load while nothing was done to it
 */
export function expectationOf(
  scenario: ScenarioName,
  advertisementIntervalMs: number,
  priority: number,
  baselineGapMs: number,
): Expectation {
  switch (scenario) {
    case 'planned':
      return {
        client_gap_ms: PLANNED_GAP_MS,
        duplicate_address_ms: PLANNED_OVERLAP_MS,
        why: 'hand-over before letting go',
      };
    case 'crash':
    case 'power':
      return {
        client_gap_ms: Math.ceil(masterDownIntervalMs(advertisementIntervalMs, priority) + TAKEOVER_SLACK_MS),
        duplicate_address_ms: scenario === 'crash' ? CRASH_OVERLAP_MS : 0,
        why: `3 x ${advertisementIntervalMs} ms + Skew_Time at priority ${priority} + ${TAKEOVER_SLACK_MS} ms`,
      };
    case 'return':
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
  if (isFault(scenario) && measured.takeover_ms === null) {
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
