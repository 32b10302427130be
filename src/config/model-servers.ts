/** Virtual servers, their real servers and checks, as typed configuration: see model.ts. */
import type { AddressFamily } from '../util/ip-address.js';
import type { Conversation } from './model-protocols.js';

/** IPVS schedulers of Linux by the kernel's own names (`struct ip_vs_scheduler.name`). Debian's 6.1 has no `twos`. */
export const SCHEDULERS = [
  'rr',
  'wrr',
  'lc',
  'wlc',
  'lblc',
  'lblcr',
  'dh',
  'sh',
  'sed',
  'nq',
  'fo',
  'ovf',
  'mh',
  'twos',
] as const;

export type Scheduler = (typeof SCHEDULERS)[number];

/** What `ipvsadm -b` takes: IP_VS_SVC_F_SCHED_SH_FALLBACK and so on. Each goes with the scheduler that its name begins with. */
export const SCHEDULER_FLAGS = ['sh-fallback', 'sh-port', 'mh-fallback', 'mh-port'] as const;

export type SchedulerFlag = (typeof SCHEDULER_FLAGS)[number];

/**
 * `nat` is IP_VS_CONN_F_MASQ, `dr` IP_VS_CONN_F_DROUTE, `tun` IP_VS_CONN_F_TUNNEL; `fullnat` is `nat` whose source is translated,
 * too (planning/source-nat.ts).
 */
export const FORWARDINGS = ['nat', 'dr', 'tun', 'fullnat'] as const;

export type Forwarding = (typeof FORWARDINGS)[number];

export type Protocol = 'tcp' | 'udp' | 'sctp';

/** Encapsulation of `tun` (IPVS_DEST_ATTR_TUN_TYPE and so on); gue and gre since Linux 5.3. */
export interface Tunnel {
  readonly type: 'ipip' | 'gue' | 'gre';
  /** UDP port of the real server's end of a gue tunnel, 1 to 65535; 0 for the others. */
  readonly port: number;
  /** Of the encapsulation. `remcsum`: remote checksum offload, gue alone. */
  readonly checksum: 'none' | 'csum' | 'remcsum';
}

/** How the kernel tells which traffic is a virtual server's: by where it goes, or by the mark that a firewall rule gave it. */
export type ServiceAddress =
  | {
      readonly protocol: Protocol;
      /** VIP. */
      readonly address: string;
      /** 0: all ports, with persistence alone. */
      readonly port: number;
    }
  | {
      /** 1 to 4294967295. */
      readonly fwmark: number;
      readonly family: AddressFamily;
    };

export const TLS_VERSIONS = ['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'] as const;

export type TlsVersion = (typeof TLS_VERSIONS)[number];

export interface TlsCheck {
  /** Name in the handshake (RFC 6066 section 3), and the one that the certificate is to be for; undefined: none, the real server's address. */
  readonly serverName: string | undefined;
  /** Whether the certificate must be good. */
  readonly verify: boolean;
  /** File with the certificates that are trusted; undefined: those that Node.js knows. */
  readonly caFile: string | undefined;
  /** Undefined: what Node.js does by itself, TLSv1.2 and TLSv1.3. */
  readonly minVersion: TlsVersion | undefined;
  readonly maxVersion: TlsVersion | undefined;
}

/** All that there are have to hold. */
export interface BodyRules {
  /** The body holds it. */
  readonly text: string | undefined;
  /** JavaScript's regular expressions, flag `u`. */
  readonly pattern: string | undefined;
  /** Of the whole body, as lower-case hexadecimal text. */
  readonly digest: { readonly algorithm: 'sha256' | 'md5'; readonly hex: string } | undefined;
}

type CheckMeans =
  | { readonly type: 'tcp' }
  /** Something is said over TCP, and answered as it has to be. */
  | {
      readonly type: 'stream';
      /** Undefined: without TLS. */
      readonly tls: TlsCheck | undefined;
      readonly conversation: Conversation;
    }
  /** grpc.health.v1.Health/Check. */
  | {
      readonly type: 'grpc';
      /** Undefined: without TLS. */
      readonly tls: TlsCheck | undefined;
      /** Empty: the server as a whole. */
      readonly service: string;
    }
  /** An echo request is answered. */
  | { readonly type: 'icmp' }
  /** An answer comes. Bytes as hexadecimal text; `expect`: what it has to hold. */
  | { readonly type: 'udp'; readonly send: string; readonly expect: string | undefined }
  /** The name server knows a record. */
  | { readonly type: 'dns'; readonly name: string; readonly recordType: string }
  /** It exits with 0; with `exitStatusWeight` 2 to 255 is good as well, and asks for a weight of 2 less. Run without a shell. */
  | {
      readonly type: 'command';
      readonly command: readonly string[];
      /** Undefined: the unprivileged user `nobody`. */
      readonly user: string | undefined;
      readonly exitStatusWeight: boolean;
    }
  | {
      readonly type: 'http';
      /** Undefined: without TLS. */
      readonly tls: TlsCheck | undefined;
      readonly method: 'GET' | 'HEAD';
      /** At least one: asked in turn, and each is to be good. */
      readonly paths: readonly string[];
      /** Status codes that are good, 200 to 599: first and last of each range. */
      readonly status: readonly (readonly [first: number, last: number])[];
      /** Host header; the real server's address when absent. */
      readonly host: string | undefined;
      /** Beside ours, by lower-case name. */
      readonly headers: Readonly<Record<string, string>>;
      /** Undefined: it is not looked at. */
      readonly body: BodyRules | undefined;
    };

/** Which way a check goes, where that is not from any address of this host to the real server's. */
export interface CheckWay {
  /** Of this host. */
  readonly from?: string;
  readonly to?: string;
}

export type CheckKind = CheckMeans & CheckWay;

export interface HealthCheck {
  readonly kind: CheckKind;
  /** Undefined: the real server's own. */
  readonly port: number | undefined;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Successes in a row that bring a real server in, at least 1. */
  readonly rise: number;
  /** Failures in a row that take it out, at least 1. */
  readonly fall: number;
  /** Times that a probe which failed is repeated before that counts as one failure. */
  readonly retry: number;
  readonly delayBeforeRetryMs: number;
}

/** A real server is up when `any` or `all` of its checks say so, and down when none does any more, or one says so. */
export interface HealthChecks {
  readonly needs: 'any' | 'all';
  /** At least one. */
  readonly checks: readonly HealthCheck[];
}

export interface RealServer {
  /** RIP. */
  readonly address: string;
  /** 0: the port that the client asked for, where the virtual server has all ports or a firewall mark. */
  readonly port: number;
  /** 0 to 65535; 0 is quiescent. */
  readonly weight: number;
  /** The operator gave it: no check gives another one. */
  readonly isWeightFixed?: true | undefined;
  readonly forwarding: Forwarding;
  /** With `tun`; undefined: ipip. */
  readonly tunnel: Tunnel | undefined;
  /** Connections from which on it gets no new ones, and below which it does again; 0: no limit. */
  readonly upperThreshold: number;
  readonly lowerThreshold: number;
}

export interface Persistence {
  readonly timeoutMs: number;
  /** Which part of a client's address counts: an IPv4 netmask, or an IPv6 prefix length as text. */
  readonly netmask: string;
  /** IPVS_SVC_ATTR_PE_NAME. */
  readonly engine: 'sip' | undefined;
}

/** Weights of real servers that serve, summed up (keepalived's `quorum` and `hysteresis`). */
export interface Quorum {
  /** At least 1. */
  readonly up: number;
  /** Less than `up`: so much below it is still enough, and so much above it has to be reached again. */
  readonly hysteresis: number;
}

/** One service of the kernel's table. An entry of the file with several addresses or ports is several, of one name. */
export interface VirtualServer {
  readonly name: string;
  readonly service: ServiceAddress;
  readonly scheduler: Scheduler;
  readonly schedulerFlags: readonly SchedulerFlag[];
  /** Each UDP packet is scheduled alone (IP_VS_SVC_F_ONEPACKET). */
  readonly onePacket: boolean;
  /** Of the real servers that name none of their own. */
  readonly forwarding: Forwarding;
  readonly persistence: Persistence | undefined;
  readonly healthChecks: HealthChecks | undefined;
  /** Programmed only while this instance is master; on both directors when absent. */
  readonly vrrpInstance: string | undefined;
  readonly realServers: readonly RealServer[];
  /** What `fullnat` real servers of its family see as the client; undefined: the address of the interface towards them. */
  readonly snatAddress: string | undefined;
  /** Takes the traffic while the real servers that serve do not reach the quorum. */
  readonly sorryServer: RealServer | undefined;
  readonly quorum: Quorum;
  /** The share of real servers, above 0 to 1, below which health is no longer believed and all get traffic; 0: none. */
  readonly panicThreshold: number;
  /** A real server that comes back reaches its weight after so long; 0: at once. */
  readonly slowStartMs: number;
  /** A failed real server is taken out, and its connections with it, or keeps them and gets no new ones. */
  readonly onFailure: 'remove' | 'weight_zero';
  /** One that leaves the configuration keeps its connections for so long at most. */
  readonly drainMs: number;
}
