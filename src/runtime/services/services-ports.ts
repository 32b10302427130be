/** What the services process needs from the world, beside `runtime/ports.ts`. */
import type { CheckKind } from '../../config/model-servers.js';
import type {
  CountedService,
  DumpedDestination,
  DumpedService,
  DumpedSyncDaemon,
  IpvsOp,
  IpvsTimeouts,
  ServiceKey,
  StartedSyncDaemon,
  SyncDaemon,
} from '../../ipvs/model.js';
import type { LookKind, LookOutcome } from '../../track/track.js';

/** Result of one op: undefined when done, else the kernel's words. */
export interface OpResult {
  readonly op: IpvsOp;
  readonly error: Error | undefined;
}

/** The kernel's IPVS over generic netlink. */
export interface Ipvs {
  dump(): Promise<DumpedService[]>;
  /** Real servers of one virtual server; none when there is no such virtual server. */
  destinations(key: ServiceKey): Promise<DumpedDestination[]>;
  /** Applies in order, pipelined; one failure does not stop the rest. */
  apply(ops: readonly IpvsOp[]): Promise<OpResult[]>;
  syncDaemons(): Promise<DumpedSyncDaemon[]>;
  startSyncDaemon(daemon: SyncDaemon): Promise<void>;
  stopSyncDaemon(state: SyncDaemon['state'], syncid: number, interfaceName: string): Promise<void>;
  /** IP virtual server version from IPVS_CMD_GET_INFO, such as `1.2.1`, and the connection hash size. */
  info(): Promise<{ version: string; connectionTableSize: number }>;
  /** `ipvsadm -L --timeout`. */
  timeouts(): Promise<IpvsTimeouts>;
  /** `ipvsadm --set`; 0 leaves one as it is. */
  setTimeouts(timeouts: IpvsTimeouts): Promise<void>;
  close(): void;
}

/** The kernel's counters, asked over a connection of their own: the table's keeper does not wait for them. */
export interface IpvsCounters {
  /** All services, with their destinations. Rejects with the kernel's words. */
  read(): Promise<CountedService[]>;
  close(): void;
}

/** What the kernel knows of the sync daemons beside its list of them. */
export interface SyncInterfaces {
  /** IFLA_IFINDEX, undefined when there is no interface of that name. */
  index(interfaceName: string): number | undefined;
  /** What keeps a running daemon's socket from its work, such as a lost group membership; undefined: nothing known. */
  socketFault(daemon: SyncDaemon): string | undefined;
}

export type ProbeOutcome =
  /** `weight`: that it asks for, 0 to 253; undefined: the configured one. */
  | { readonly ok: true; readonly weight?: number | undefined }
  | { readonly ok: false; readonly reason: string }
  /** This host could not ask: nothing is known of the real server. */
  | { readonly ok: undefined; readonly reason: string };

/** One health probe of a real server. Never rejects. */
export interface Prober {
  probe(check: CheckKind, address: string, port: number, timeoutMs: number): Promise<ProbeOutcome>;
}

/** /proc/sys, by dotted keys such as `net.ipv4.ip_forward`. */
export interface Sysctls {
  /** undefined when the kernel has no such key. */
  read(key: string): Promise<string | undefined>;
  write(key: string, value: string): Promise<void>;
}

/** Of the services process. */
export interface ServicesLeftovers {
  /** `serviceKeyText` of the virtual servers this director added. */
  readonly ownedServices: readonly string[];
  /** Values that sysctls had before. */
  readonly sysctls: Readonly<Record<string, string>>;
  /** Kernel sync daemons this director started. */
  readonly syncDaemons: readonly StartedSyncDaemon[];
  /**
   * Real servers that were removed from the configuration and keep their connections for a while, by virtual and real
   * server (`drainKey`): since when, in milliseconds of CLOCK_MONOTONIC.
   */
  readonly drains?: Readonly<Record<string, number>> | undefined;
  /** The kernel's timeouts from before; undefined while they are its own. */
  readonly timeouts?: IpvsTimeouts | undefined;
  /** There is a table of nftables of ours (planning/source-nat.ts). */
  readonly sourceNat?: boolean | undefined;
}

/** A script or hook to run: no shell, an empty environment but for PATH and what is given. */
export interface CommandRequest {
  /** Absolute path and arguments. */
  readonly command: readonly string[];
  /** Undefined: the unprivileged user `nobody`. */
  readonly user: string | undefined;
  /** Then the process group is ended. */
  readonly timeoutMs: number;
  readonly environment?: Readonly<Record<string, string>> | undefined;
}

/** How a command ended. `output` is the beginning of what it wrote, on both channels. */
export type CommandOutcome =
  | { readonly type: 'exited'; readonly status: number; readonly output: string }
  | { readonly type: 'killed'; readonly signal: string; readonly output: string }
  | { readonly type: 'timed-out'; readonly output: string }
  /** Ended early by the caller or by `close`. */
  | { readonly type: 'cancelled' }
  /** It never ran. */
  | { readonly type: 'refused'; readonly reason: string };

/** Runs commands apart from this process: own user, own process group. */
export interface Commands {
  /** Never rejects. Resolves when nothing of the command's process group is left. */
  run(request: CommandRequest, cancel?: AbortSignal): Promise<CommandOutcome>;
  /** Ends what runs. */
  close(): Promise<void>;
}

/** Looks at tracked objects. */
export interface TrackProber {
  /** Never rejects. */
  look(kind: LookKind, cancel: AbortSignal): Promise<LookOutcome>;
}
