import type { BfdState } from '../bfd/packet.js';
import type { InstanceSettings } from '../planning/settings.js';
import type { LatenessSummary } from './lateness.js';
import type { PeerChannelStatus } from './peer-status.js';

/** The answer of `director status --json`: a contract for programs, so fields are only ever added. */
export interface DirectorStatus {
  readonly version: 1;
  readonly director: string;
  /** Wall-clock time of the daemon's start, ISO 8601. */
  readonly started: string;
  /** The configuration that was accepted last. */
  readonly configuration: {
    /** What the file says for this director, as JSON. */
    readonly path: string;
    /** Of the file's text, in hexadecimal. */
    readonly sha256: string;
  };
  readonly instances: readonly InstanceStatus[];
  readonly sync_groups: readonly {
    readonly name: string;
    readonly instances: readonly string[];
    /** Without a weight: a fault of the whole group. */
    readonly track?: readonly { readonly object: string; readonly weight?: number | undefined }[] | undefined;
  }[];
  readonly virtual_servers: readonly VirtualServerStatus[];
  /** BFD sessions, if the configuration asks for any. */
  readonly bfd?: readonly BfdStatus[] | undefined;
  readonly connection_sync: {
    readonly interface: string;
    readonly id: number;
    /** Kernel sync daemons that run now; none while the services process does not answer. */
    readonly daemons: readonly ('master' | 'backup')[];
    /** Why one does not run as wanted, as sentences; empty when both do. */
    readonly faults?: readonly string[] | undefined;
  } | null;
  /** What the directors tell each other beside VRRP; null without it, or while the services process does not answer. */
  readonly peer_channel?: PeerChannelStatus | null | undefined;
  /** The process that programs IPVS and checks the real servers. */
  readonly services: {
    /** `restarting`: it ended or hung. */
    readonly state: 'running' | 'restarting';
    /** Whether it answered within a second. If not, virtual servers are as configured, and their health is unknown. */
    readonly answers: boolean;
    /** What of the kernel it cannot bring to what the file says, as sentences; empty when all is well. */
    readonly faults?: readonly string[] | undefined;
    readonly pid: number | null;
    /** Ends that nobody asked for, since the director's start. */
    readonly restarts: number;
    /** Of the services process; null when it does not answer. */
    readonly event_loop: EventLoopStatus | null;
    readonly log: LogStatus | null;
  };
  /** Of the VRRP process. */
  readonly event_loop: EventLoopStatus;
  /** How late the deadlines of the election were handled, since the start. */
  readonly deadline_lateness: LatenessSummary;
  /** Of the VRRP process. */
  readonly log: LogStatus;
}

/** What became of the lines of a process's log, since its start. */
export interface LogStatus {
  readonly lines_lost: number;
  readonly failed_writes: number;
  /** Why it cannot be written now; null when it can. */
  readonly error: string | null;
}

/** The VRRP process's own part, without what the services process tells. */
export type ElectionStatus = Omit<
  DirectorStatus,
  'virtual_servers' | 'connection_sync' | 'peer_channel' | 'services'
> & {
  readonly connection_sync: { readonly interface: string; readonly id: number } | null;
  readonly services: Pick<DirectorStatus['services'], 'state' | 'pid' | 'restarts'>;
};

/** How late the event loop was, over the last minute or two. */
export interface EventLoopStatus {
  readonly max_ms: number;
  readonly p99_ms: number;
}

export interface InstanceStatus {
  readonly name: string;
  readonly interface: string;
  readonly virtual_router_id: number;
  readonly state: 'initialize' | 'backup' | 'master' | 'fault';
  readonly priority: number;
  readonly advertisement_interval_ms: number;
  /** The priority with tracking and maintenance applied. */
  readonly effective_priority: number;
  /** Why the instance cannot serve; empty when it can. */
  readonly faults: readonly string[];
  /** Why a master lacks something that it should hold, such as a route whose place is taken; null when it has all. */
  readonly missing?: string | null;
  /** What a backup waits for before it takes over from a weaker master, and how long at most; null when it does not. */
  readonly awaits_sync?: { readonly text: string; readonly at_most_s: number } | null;
  /** The MAC address of another host that has the address this instance speaks from; null when none is known. */
  readonly source_conflict?: string | null;
  /** Seconds in this state. */
  readonly since_s: number;
  /** The master's address as last heard, or this director's own. */
  readonly master: string | null;
  readonly addresses: readonly string[];
  /** As configured. */
  readonly settings: InstanceSettings;
  readonly counters: Readonly<Record<string, number>>;
  /** Whether an operator has taken its group out of service, and whether that survives a restart. */
  readonly maintenance: 'off' | 'on' | 'persistent';
  /** It has said farewell and keeps its addresses until the successor speaks. */
  readonly handing_over: boolean;
}

/** A BFD session (RFC 5880). */
export interface BfdStatus {
  readonly interface: string;
  readonly peer: string;
  readonly state: BfdState;
  /** Seconds in this state. */
  readonly since_s: number;
  /** Why it is down, in the words of RFC 5880; null: it is up, or was never. */
  readonly reason: string | null;
  /** Why this director cannot speak to the peer, as a sentence's end; null when it can. */
  readonly fault: string | null;
  /** What the peer says of itself; null: it was not heard for its Detection Time. */
  readonly peer_state: BfdState | null;
  readonly peer_reason: string | null;
  /** How often packets leave, before the jitter; null: the peer wants none. */
  readonly transmit_ms: number | null;
  /** After so long without a packet the peer is lost; null while it is not heard. */
  readonly detection_ms: number | null;
  /** VRRP instances that take over when the peer is lost, and tracked objects. */
  readonly instances: readonly string[];
  readonly objects: readonly string[];
  readonly counters: Readonly<Record<string, number>>;
}

/** The same for metrics. */
export interface BfdReport {
  readonly interface: string;
  readonly peer: string;
  readonly isUp: boolean;
  readonly detectionMs: number;
  readonly counters: Readonly<Record<string, number>>;
}

/** `POST /maintenance`. */
export interface MaintenanceOrder {
  /** Null: all. Members of their sync groups go along. */
  readonly instances: readonly string[] | null;
  readonly on: boolean;
  /** Whether it is to survive a restart and a reboot; only with `on`. */
  readonly persist: boolean;
}

export interface MaintenanceAnswer {
  /** All that were concerned, members of sync groups among them. */
  readonly instances: readonly string[];
}

/** A service of the kernel: several of one name where the file says several addresses or ports. */
export interface VirtualServerStatus {
  readonly name: string;
  /** Null for a firewall mark, as `protocol`. */
  readonly address: string | null;
  readonly port: number;
  readonly protocol: string | null;
  readonly fwmark?: number | undefined;
  readonly family?: 'ipv4' | 'ipv6' | undefined;
  readonly scheduler: string;
  readonly forwarding: string;
  readonly real_servers: readonly {
    readonly address: string;
    readonly port: number;
    readonly weight: number;
    /** Undefined from a director of an earlier release: the virtual server's. */
    readonly forwarding?: string | undefined;
    /** What the file says, where the operator (`director weight`, `drain`) or a check says otherwise. */
    readonly file_weight?: number | undefined;
    /** What its checks ask for; missing where that is the file's. */
    readonly check_weight?: number | undefined;
    /** By the operator: it is not in the table, and not checked. */
    readonly disabled?: true | undefined;
    readonly health: 'up' | 'down' | 'unknown' | 'unchecked';
    /** Why the last probe failed; where there are several checks, each under its name. */
    readonly reason: string | null;
    /** What each check says, where there are several. */
    readonly checks?:
      | readonly {
          /** Such as `http:80`. */
          readonly check: string;
          readonly health: 'up' | 'down' | 'unknown';
          readonly reason: string | null;
        }[]
      | undefined;
  }[];
  /** Missing without one. */
  readonly sorry_server?:
    | {
        readonly address: string;
        readonly port: number;
        /** It has the traffic, since the real servers that serve do not reach the quorum. */
        readonly in_use: boolean;
      }
    | undefined;
  /** So few real servers are healthy that all get traffic (`panic_threshold`); missing otherwise. */
  readonly panic?: true | undefined;
  /** Real servers that left the configuration and keep their connections for a while; missing when there are none. */
  readonly draining?:
    | readonly {
        readonly address: string;
        readonly port: number;
        /** As the kernel counts them (ActiveConn, InActConn). */
        readonly active_connections: number;
        readonly inactive_connections: number;
        /** After so many seconds it is removed in any case. */
        readonly at_most_s: number;
      }[]
    | undefined;
}
