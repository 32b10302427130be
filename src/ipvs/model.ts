/** The IPVS table as the kernel holds it (include/uapi/linux/ip_vs.h), without statistics. */
import type { AddressFamily } from '../util/ip-address.js';

/** IP_VS_CONN_F_FWD_MASK: 0 masq, 1 localnode, 2 tunnel, 3 droute, 4 bypass. */
export type ForwardingMethod = 'masq' | 'local' | 'tunnel' | 'droute' | 'bypass';

/** Key of a virtual server: protocol, VIP and port, or a firewall mark. */
export type ServiceKey =
  | {
      readonly family: AddressFamily;
      /** IP protocol number: 6 TCP, 17 UDP, 132 SCTP. */
      readonly protocol: number;
      readonly address: string;
      readonly port: number;
    }
  | { readonly family: AddressFamily; readonly fwmark: number };

/** Encapsulation of a destination behind a tunnel, other than the kernel's first, ipip without a checksum. */
export interface DestinationTunnel {
  readonly type: 'ipip' | 'gue' | 'gre';
  /** UDP port of gue; 0 for the others. */
  readonly port: number;
  readonly checksum: 'none' | 'csum' | 'remcsum';
}

/** IPVS_DEST_ATTR_*. */
export interface Destination {
  readonly address: string;
  readonly port: number;
  readonly forwarding: ForwardingMethod;
  readonly weight: number;
  readonly upperThreshold: number;
  readonly lowerThreshold: number;
  readonly tunnel?: DestinationTunnel | undefined;
}

/** Counters that come with a destination in a dump. */
export interface DestinationCounts {
  readonly activeConnections: number;
  readonly inactiveConnections: number;
  readonly persistentConnections: number;
}

/** IPVS_SVC_ATTR_*. */
export interface Service {
  readonly key: ServiceKey;
  readonly scheduler: string;
  /** IP_VS_SVC_F_PERSISTENT 0x1, IP_VS_SVC_F_ONEPACKET 0x4, IP_VS_SVC_F_SCHED1..3; the kernel's own HASHED bit masked out. */
  readonly flags: number;
  /** Persistence timeout in seconds; 0 without persistence. */
  readonly timeoutSeconds: number;
  /** IPv4 netmask as text, or a prefix length as text for IPv6. */
  readonly netmask: string;
  /** Persistence engine, such as `sip` (IPVS_SVC_ATTR_PE_NAME); absent without one. */
  readonly persistenceEngine?: string;
  readonly destinations: readonly Destination[];
}

export interface DumpedDestination extends Destination, DestinationCounts {}
export interface DumpedService extends Service {
  readonly destinations: readonly DumpedDestination[];
}

/** What the kernel has counted since a service or destination was added (`struct ip_vs_kstats`). */
export interface TrafficStats {
  readonly connections: number;
  readonly incomingPackets: number;
  readonly outgoingPackets: number;
  readonly incomingBytes: number;
  readonly outgoingBytes: number;
  /** Rates as the kernel estimates them, every two seconds. 0 where `net.ipv4.vs.run_estimation` is 0. */
  readonly connectionsPerSecond: number;
  readonly incomingPacketsPerSecond: number;
  readonly outgoingPacketsPerSecond: number;
  readonly incomingBytesPerSecond: number;
  readonly outgoingBytesPerSecond: number;
}

/** Of a service or a destination that nobody asked yet. */
export const NO_TRAFFIC: TrafficStats = {
  connections: 0,
  incomingPackets: 0,
  outgoingPackets: 0,
  incomingBytes: 0,
  outgoingBytes: 0,
  connectionsPerSecond: 0,
  incomingPacketsPerSecond: 0,
  outgoingPacketsPerSecond: 0,
  incomingBytesPerSecond: 0,
  outgoingBytesPerSecond: 0,
};

export interface CountedDestination extends DestinationCounts {
  readonly address: string;
  readonly port: number;
  readonly weight: number;
  readonly stats: TrafficStats;
}

/** A service by its numbers alone. */
export interface CountedService {
  readonly key: ServiceKey;
  readonly stats: TrafficStats;
  readonly destinations: readonly CountedDestination[];
}

/** One change of the kernel's table. */
export type IpvsOp =
  | { readonly op: 'add-service'; readonly service: Service }
  | { readonly op: 'edit-service'; readonly service: Service }
  | { readonly op: 'delete-service'; readonly key: ServiceKey }
  | { readonly op: 'add-destination'; readonly key: ServiceKey; readonly destination: Destination }
  | { readonly op: 'edit-destination'; readonly key: ServiceKey; readonly destination: Destination }
  | { readonly op: 'delete-destination'; readonly key: ServiceKey; readonly destination: Destination };

/** A kernel sync daemon (IPVS_CMD_GET_DAEMON). */
export interface SyncDaemon {
  readonly state: 'master' | 'backup';
  readonly interface: string;
  /** 0 to 255. */
  readonly syncid: number;
}

/** One as the kernel lists it; what follows is told since Linux 4.3. */
export interface DumpedSyncDaemon extends SyncDaemon {
  /** IPVS_DAEMON_ATTR_SYNC_MAXLEN: bytes of a sync message. */
  readonly maxLength?: number | undefined;
  /** Multicast group, IPv4 or IPv6. */
  readonly group?: string | undefined;
  readonly port?: number | undefined;
  readonly ttl?: number | undefined;
}

/**
 * One that this director started. The kernel does not tell which interface a daemon's sockets are bound to, so that is
 * remembered: an interface that was deleted and made anew has another index.
 */
export interface StartedSyncDaemon extends SyncDaemon {
  /** IFLA_IFINDEX at the start; undefined where that is not known. */
  readonly interfaceIndex?: number | undefined;
}

/** IPVS connection timeouts of a namespace (`ipvsadm --set`), in seconds; 0 leaves one as it is. */
export interface IpvsTimeouts {
  readonly tcpSeconds: number;
  readonly tcpFinSeconds: number;
  readonly udpSeconds: number;
}
