/**
 * What the VRRP process and its child, the services process, say to each other. Plain data that a structured clone
 * carries; both are the same program (io/processes/program-on-disk.ts), so there is no version.
 */
import type { VrrpEvent } from '../../hooks/hooks.js';
import type { SyncDaemon } from '../../ipvs/model.js';
import type { SyncProgress, TrackState, VrrpState } from '../../vrrp/group-types.js';
import type { LoadAnswer, LoadRequest } from '../configuration.js';
import type { ElectionReport } from '../election-report.js';
import type { PeerChannelStatus } from '../peer-status.js';
import type { EventLoopStatus, LogStatus, VirtualServerStatus } from '../status.js';

export interface RoleReport {
  readonly state: VrrpState;
  /**
   * The election has spoken since the start of this director: it is master, or has heard one. Until then a virtual
   * server that an earlier run left behind may belong to the next master.
   */
  readonly settled: boolean;
  /**
   * When this director last stood still or could not hear, by a clock of its own; absent: never. What was said of the
   * connection table by who did not know of it is void, and wanted anew.
   */
  readonly syncVoidMs?: number;
}
/** By name of the instance. */
export type Roles = Readonly<Record<string, RoleReport>>;

/** Whether an instance that was in this state is so no more, or is gone. */
export function hasLeft(before: Roles, now: Roles, state: RoleReport['state']): boolean {
  return Object.keys(before).some((name) => before[name]?.state === state && now[name]?.state !== state);
}

/** A verdict on a tracked object; `value` is a file's number. */
export interface TrackedVerdict {
  readonly object: string;
  readonly state: TrackState;
  readonly value?: number | undefined;
}

/** What it tells on a socket of its own. */
export interface ServicesStatus {
  readonly virtual_servers: readonly VirtualServerStatus[];
  /** Kernel sync daemons that run for this director. */
  readonly sync_daemons: readonly SyncDaemon['state'][];
  /** Why one does not run as wanted. */
  readonly sync_faults?: readonly string[] | undefined;
  /** Why something else of the kernel is not as wanted. */
  readonly faults?: readonly string[] | undefined;
  /** Null without one. */
  readonly peer_channel?: PeerChannelStatus | null | undefined;
  readonly event_loop: EventLoopStatus;
  readonly log: LogStatus;
}

export type ToServices =
  /**
   * The kernel is to be as the configuration at `path` says; answered by `ready` or `failed` with the same serial.
   * `director`: this one's name.
   */
  | {
      readonly type: 'configure';
      readonly serial: number;
      readonly director: string;
      readonly path: string;
      readonly roles: Roles;
    }
  /** A loader is to be started, which costs its parent milliseconds; answered by `loaded` with the same serial. */
  | { readonly type: 'load'; readonly serial: number; readonly request: LoadRequest }
  | { readonly type: 'roles'; readonly roles: Roles }
  | { readonly type: 'event'; readonly event: VrrpEvent }
  /** The answer to `ask`, at most once a second. */
  | { readonly type: 'election'; readonly report: ElectionReport }
  /** Answered by `pong` as soon as the event loop turns. */
  | { readonly type: 'ping' }
  /**
   * Everything of ours leaves the kernel, also what an earlier process left; answered by `stopped`, then it exits.
   * `succeeded`: a successor has the roles, and is first told of all connections.
   */
  | { readonly type: 'stop'; readonly succeeded: boolean };

export type FromServices =
  | { readonly type: 'ready'; readonly serial: number }
  | { readonly type: 'failed'; readonly serial: number; readonly code: string; readonly message: string }
  | { readonly type: 'tracked'; readonly verdict: TrackedVerdict }
  /** `asOfMs`: the latest `syncVoidMs` that was known, -Infinity without one. */
  | { readonly type: 'sync-progress'; readonly progress: SyncProgress; readonly asOfMs: number }
  | { readonly type: 'pong' }
  /** Metrics are scraped: how is the election? */
  | { readonly type: 'ask' }
  | { readonly type: 'loaded'; readonly serial: number; readonly answer: LoadAnswer }
  | { readonly type: 'stopped' };
