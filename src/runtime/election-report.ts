/** What the VRRP process tells the services process for its metrics: plain data, and no more than metrics need. */
import type { VrrpState } from '../vrrp/group-types.js';
import type { HistogramCounts } from './histogram.js';
import type { BfdReport, EventLoopStatus, InstanceStatus, LogStatus } from './status.js';

export interface ElectionReport {
  /** Of the configuration's text that was accepted last, in hexadecimal. */
  readonly sha256: string;
  /** Wall-clock time of the start, ISO 8601. */
  readonly started: string;
  readonly instances: readonly InstanceReport[];
  /** Messages that were not taken, by interface and reason, such as `discarded_bad_ttl`. */
  readonly discards: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly bfd: readonly BfdReport[];
  /** Ends of the services process that nobody asked for. */
  readonly restarts: number;
  readonly eventLoop: EventLoopStatus;
  readonly log: LogStatus;
  /** How late deadlines were handled, in milliseconds. */
  readonly lateness: HistogramCounts;
}

export interface InstanceReport {
  readonly name: string;
  readonly interface: string;
  readonly state: VrrpState;
  /** How long it has been in this state. */
  readonly sinceMs: number;
  readonly priority: number;
  /** With tracking and maintenance. */
  readonly effectivePriority: number;
  /** How many reasons there are that it cannot serve. */
  readonly faults: number;
  /** A master that lacks something it should hold. */
  readonly isIncomplete: boolean;
  /** A backup that waits for its connection table before it takes over from a weaker master. */
  readonly awaitsSync: boolean;
  /** Another host has the address that it speaks from. */
  readonly isSourceTaken: boolean;
  readonly maintenance: InstanceStatus['maintenance'];
  /** Its own, by the names of `director status`. */
  readonly counters: Readonly<Record<string, number>>;
}
