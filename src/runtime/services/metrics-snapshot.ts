/** All that metrics tell, as of one moment. */
import type { CountedService } from '../../ipvs/model.js';
import type { ElectionReport } from '../election-report.js';
import type { PeerChannelStatus } from '../peer-status.js';
import type { EventLoopStatus, LogStatus } from '../status.js';
import type { SyncDaemonsStatus } from './keepers/sync-daemon-keeper.js';
import type { VirtualServerReport } from './virtual-server-report.js';
import type { WorkReport } from './work-counts.js';

export interface MetricsSnapshot {
  /** Undefined while the VRRP process has told nothing. */
  readonly election: (ElectionReport & { readonly ageMs: number }) | undefined;
  readonly services: ServicesReport;
  /** The kernel's table; undefined while it was not read. */
  readonly table:
    | { readonly services: readonly CountedService[]; readonly ageMs: number; readonly tookMs: number }
    | undefined;
  /** Times that the kernel's counters could not be read. */
  readonly tableFailures: number;
  /** Whether there are series for each real server. */
  readonly realServers: boolean;
}

/** What the services process knows by itself. */
export interface ServicesReport {
  readonly virtualServers: readonly VirtualServerReport[];
  readonly work: WorkReport;
  /** Undefined without `connection_sync`. */
  readonly sync: SyncDaemonsStatus | undefined;
  /** Undefined without one. */
  readonly peerChannel?: PeerChannelStatus | undefined;
  readonly eventLoop: EventLoopStatus;
  readonly log: LogStatus;
}
