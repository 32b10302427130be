/** The typed configuration. Durations are milliseconds, addresses canonical text, defaults filled in. */

/** IPVS schedulers of Linux 6.x by the kernel's own names (`struct ip_vs_scheduler.name`). */
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
] as const;
export type Scheduler = (typeof SCHEDULERS)[number];

/** `nat` is IP_VS_CONN_F_MASQ, `dr` IP_VS_CONN_F_DROUTE, `tun` IP_VS_CONN_F_TUNNEL. */
export type Forwarding = 'nat' | 'dr' | 'tun';

export type Protocol = 'tcp' | 'udp' | 'sctp';

/** One virtual address (VIP or DIP). */
export interface VirtualAddress {
  readonly address: string;
  /** 0 to 32 (IPv4) or 0 to 128 (IPv6). */
  readonly prefixLength: number;
  readonly interface: string;
}

/** RFC 9568 section 6.1 Preempt_Mode, with the delay before a higher priority takes over. */
export type Preempt = { readonly mode: 'never' } | { readonly mode: 'always'; readonly delayMs: number };

/** One VRRP instance as one director runs it. */
export interface VrrpInstance {
  readonly name: string;
  readonly interface: string;
  /** 1 to 255. */
  readonly virtualRouterId: number;
  /** 1 to 255; 255 is the address owner. */
  readonly priority: number;
  /** 10 to 40950, a whole number of centiseconds (RFC 9568 section 5.2.7). */
  readonly advertisementIntervalMs: number;
  readonly preempt: Preempt;
  /** Whether the VRRPv3 IPv4 checksum covers the pseudo-header (RFC 5798) or the message alone (RFC 9568). */
  readonly checksum: 'rfc5798' | 'rfc9568';
  /** At least one. */
  readonly addresses: readonly VirtualAddress[];
}

/** Instances that change state together. */
export interface SyncGroup {
  readonly name: string;
  /** Names of instances, at least two. */
  readonly instances: readonly string[];
}

/** IPVS connection synchronisation (kernel sync daemons of both kinds on each director). */
export interface ConnectionSync {
  readonly interface: string;
  /** syncid, 1 to 255. */
  readonly id: number;
}

export type CheckKind =
  | { readonly type: 'tcp' }
  | {
      readonly type: 'http';
      readonly path: string;
      /** Expected status, 100 to 599. */
      readonly status: number;
      /** Host header; the real server's address when absent. */
      readonly host: string | undefined;
    };

export interface HealthCheck {
  readonly kind: CheckKind;
  readonly intervalMs: number;
  readonly timeoutMs: number;
  /** Successes in a row that bring a real server in, at least 1. */
  readonly rise: number;
  /** Failures in a row that take it out, at least 1. */
  readonly fall: number;
}

export interface RealServer {
  /** RIP. */
  readonly address: string;
  /** 0 only for a firewall-mark service; dr and tun: equal to the virtual server's port. */
  readonly port: number;
  /** 0 to 65535; 0 is quiescent. */
  readonly weight: number;
}

export interface Persistence {
  readonly timeoutMs: number;
  /** IPv4 netmask as text, `255.255.255.255` when not given. */
  readonly netmask: string;
}

export interface VirtualServer {
  readonly name: string;
  /** VIP. */
  readonly address: string;
  readonly port: number;
  readonly protocol: Protocol;
  readonly scheduler: Scheduler;
  readonly forwarding: Forwarding;
  readonly persistence: Persistence | undefined;
  readonly healthCheck: HealthCheck | undefined;
  /** Programmed only while this instance is master; on both directors when absent. */
  readonly vrrpInstance: string | undefined;
  readonly realServers: readonly RealServer[];
}

/** The whole file as one director sees it: interfaces, priority and addresses are its own. */
export interface DirectorConfig {
  /** Key under `directors`. */
  readonly director: string;
  /** The peers' addresses under `directors`, this one's left out. */
  readonly peers: readonly string[];
  readonly instances: readonly VrrpInstance[];
  readonly syncGroups: readonly SyncGroup[];
  readonly connectionSync: ConnectionSync | undefined;
  readonly virtualServers: readonly VirtualServer[];
}

/** One fault of a configuration file. Line and column count from 1. */
export interface ConfigFault {
  readonly line: number;
  readonly column: number;
  /** Path into the document, such as `vrrp.instances[0].priority`; empty for a syntax error. */
  readonly path: string;
  readonly message: string;
}

export type ConfigResult =
  | { readonly ok: true; readonly config: DirectorConfig }
  | { readonly ok: false; readonly faults: readonly ConfigFault[] };
