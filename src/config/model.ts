/** The typed configuration. Durations are milliseconds, addresses canonical text, defaults filled in. */
import type { AddressFamily } from '../util/ip-address.js';
import type { VirtualServer } from './model-servers.js';

/** One virtual address (VIP or DIP). */
export interface VirtualAddress {
  readonly address: string;
  /** 0 to 32 (IPv4) or 0 to 128 (IPv6). */
  readonly prefixLength: number;
  readonly interface: string;
  /** The interface is the device of the virtual router's MAC address. */
  readonly virtualMac?: true;
}

/** RFC 9568 section 6.1 Preempt_Mode, with the delay before a higher priority takes over. */
export type Preempt =
  | { readonly mode: 'never' }
  | { readonly mode: 'always'; readonly delayMs: number }
  /** Not before the connection table is complete either, but in any case when a lower one is heard for `atMostMs`. */
  | { readonly mode: 'synced'; readonly delayMs: number; readonly atMostMs: number };

/** `rtm_type` of a route: those of ip-route(8) that a host can have use for. */
export const ROUTE_TYPES = ['unicast', 'local', 'blackhole', 'unreachable', 'prohibit', 'throw'] as const;

export type RouteType = (typeof ROUTE_TYPES)[number];

/** RT_TABLE_MAIN. */
export const MAIN_TABLE = 254;

/** A route that moves with the role, such as a default route by way of another router. */
export interface VirtualRoute {
  readonly type: RouteType;
  /** 1 to 4294967295. */
  readonly table: number;
  /** Network address of the destination, in canonical text. */
  readonly destination: string;
  readonly prefixLength: number;
  /** Next hop; undefined for a route to the link itself. */
  readonly via: string | undefined;
  /** Undefined for a type that forwards nothing. */
  readonly interface: string | undefined;
  /** Preferred source address. */
  readonly source: string | undefined;
  /** 0 to 4294967295; undefined: the kernel's default. */
  readonly metric: number | undefined;
  /** `rtm_scope`, 0 to 255; undefined: as ip-route(8) chooses. IPv6 has none. */
  readonly scope: number | undefined;
  /** RTNH_F_ONLINK: the next hop is on the link, whatever the addresses say. */
  readonly onLink: boolean;
  /** RTAX_MTU in bytes; undefined: the interface's. */
  readonly mtu: number | undefined;
}

/** What becomes of packets that a rule picks: a table is looked up (FR_ACT_TO_TBL), or they end here. */
export const RULE_ACTIONS = ['blackhole', 'unreachable', 'prohibit'] as const;

export type RuleAction = { readonly table: number } | (typeof RULE_ACTIONS)[number];

/** A network, in canonical text. */
export interface Network {
  readonly address: string;
  readonly prefixLength: number;
}

/** A rule of the routing policy (ip-rule(8)) that moves with the role. What is undefined is not looked at. */
export interface VirtualRule {
  readonly family: AddressFamily;
  /** FRA_PRIORITY, 1 to 32765: lower ones are looked at first. */
  readonly priority: number;
  readonly action: RuleAction;
  /** FIB_RULE_INVERT: for packets that are not so. */
  readonly invert: boolean;
  readonly from: Network | undefined;
  readonly to: Network | undefined;
  /** FRA_FWMARK and FRA_FWMASK, 0 to 4294967295. */
  readonly fwmark: { readonly mark: number; readonly mask: number } | undefined;
  /** FRA_IIFNAME and FRA_OIFNAME, by name: the device may come later. */
  readonly iif: string | undefined;
  readonly oif: string | undefined;
  /** FRA_IP_PROTO, 1 to 255. */
  readonly ipProtocol: number | undefined;
  readonly sourcePorts: PortRange | undefined;
  readonly destinationPorts: PortRange | undefined;
  /** FRA_SUPPRESS_PREFIXLEN: routes of this prefix length or shorter do not count. */
  readonly suppressPrefixLength: number | undefined;
}

/** 1 to 65535, both included. */
export interface PortRange {
  readonly first: number;
  readonly last: number;
}

/** How advertisements travel. */
export type VrrpTransportKind =
  /** Raw IP protocol 112 to the VRRP group of the family. */
  | { readonly kind: 'multicast' }
  /** Raw IP protocol 112 from `local` to each of `peers`; arriving packets need a TTL of `minTtl` (255: same link) or more. */
  | {
      readonly kind: 'unicast';
      readonly local: string;
      readonly peers: readonly string[];
      readonly minTtl: number;
    }
  /** The same packets within UDP, for networks that drop protocol 112. Without `peers` to the VRRP group. */
  | {
      readonly kind: 'udp';
      readonly port: number;
      /** Undefined with multicast: the interface's primary address. */
      readonly local: string | undefined;
      readonly peers: readonly string[];
    };

/** How a new master makes itself known by gratuitous ARP and unsolicited Neighbour Advertisements. */
export interface Announcing {
  /** Announcements after the first, as times since it, ascending. */
  readonly repeatMs: readonly number[];
  /** While master, all over again at this interval; undefined: never. */
  readonly refreshMs: number | undefined;
}

/** That a tracked object weighs on the election. */
export interface TrackUse {
  /** Name of a `TrackedObject`. */
  readonly object: string;
  /**
   * -253 to 253, never 0. Negative: added to the priority while the object is down; positive: while it is up;
   * a file's weight is multiplied by the number in the file. Undefined: the instance is in fault while it is down.
   */
  readonly weight: number | undefined;
}

/** Of a BFD session (RFC 5880), as this side wants it. */
export interface BfdSettings {
  /** bfd.DesiredMinTxInterval of a session that is up, 10 to 10000 ms. */
  readonly intervalMs: number;
  /** bfd.RequiredMinRxInterval, 10 to 10000 ms. */
  readonly minReceiveMs: number;
  /** bfd.DetectMult, 1 to 255: after so many intervals of this side the peer takes it for dead. */
  readonly multiplier: number;
}

/** BFD sessions with the other directors on an instance's link: one of them is the master, and may be gone at once. */
export interface InstanceBfd {
  /** This director's address on the interface: the one that it advertises from. */
  readonly local: string;
  readonly peers: readonly string[];
  readonly settings: BfdSettings;
}

/** One VRRP instance as one director runs it. */
export interface VrrpInstance {
  readonly name: string;
  readonly interface: string;
  /** 2: RFC 3768, IPv4 only, intervals in whole seconds. 3: RFC 9568. */
  readonly version: 2 | 3;
  /** Of the advertisements and the advertised addresses. */
  readonly family: AddressFamily;
  /** 1 to 255. */
  readonly virtualRouterId: number;
  /** 1 to 255; 255 is the address owner. */
  readonly priority: number;
  /** 10 to 40950 in whole centiseconds (RFC 9568 section 5.2.7); version 2: 1000 to 255000 in whole seconds. */
  readonly advertisementIntervalMs: number;
  readonly preempt: Preempt;
  /** Nothing is heard or said for so long after the start. */
  readonly startupDelayMs: number;
  /** RFC 9568 section 6.1 Accept_Mode: whether a master that is no owner takes packets to its virtual addresses. */
  readonly acceptMode: boolean;
  /** The macvlan device with the virtual router's MAC address (RFC 9568 section 7.3), where the addresses sit; undefined: none. */
  readonly virtualMacInterface: string | undefined;
  readonly transport: VrrpTransportKind;
  /** Whether the VRRPv3 IPv4 checksum covers the pseudo-header (RFC 5798) or the message alone (RFC 9568). */
  readonly checksum: 'rfc5798' | 'rfc9568';
  /** At least one. All that the master holds. */
  readonly addresses: readonly VirtualAddress[];
  /** Those of `addresses` that are in the advertisement, in its order; under IPv6 the first is link-local. */
  readonly advertised: readonly string[];
  readonly routes: readonly VirtualRoute[];
  readonly rules: readonly VirtualRule[];
  readonly announcing: Announcing;
  readonly track: readonly TrackUse[];
  /** Undefined: silence alone tells that a master is gone. */
  readonly bfd?: InstanceBfd | undefined;
}

/** Instances that change state together. */
export interface SyncGroup {
  readonly name: string;
  /** Names of instances, at least two. */
  readonly instances: readonly string[];
  readonly track: readonly TrackUse[];
}

export type TrackKind =
  /** The link, and with `address` that the interface holds it (someone else's doing, such as a DHCP client's). */
  | { readonly type: 'interface'; readonly interface: string; readonly address: string | undefined }
  /** Holds a whole number, 0 when missing or empty; up while it is 0. */
  | { readonly type: 'file'; readonly path: string }
  /** Up while it exits with 0. Run without a shell. */
  | {
      readonly type: 'script';
      readonly command: readonly string[];
      /** Undefined: the unprivileged user `nobody`. */
      readonly user: string | undefined;
      readonly timeoutMs: number;
    }
  /** Up while a process of this name (comm, or the base name of argv[0]) runs. */
  | { readonly type: 'process'; readonly process: string }
  /** Up while the weights of the real servers that serve add up to `quorum`. */
  | { readonly type: 'virtual-server'; readonly virtualServer: string; readonly quorum: number }
  /** Up while the BFD session with a host on the link is. */
  | {
      readonly type: 'bfd';
      readonly interface: string;
      readonly peer: string;
      /** Undefined: the interface's primary address. */
      readonly source: string | undefined;
      readonly settings: BfdSettings;
    };

/** Something outside VRRP that the election looks at. */
export interface TrackedObject {
  readonly name: string;
  readonly kind: TrackKind;
  /** Between two looks; interfaces, virtual servers and BFD sessions report by themselves. */
  readonly intervalMs: number;
  /** Good looks in a row that bring it up, bad ones that take it down, at least 1. */
  readonly rise: number;
  readonly fall: number;
  /** A new verdict must hold for so long before it counts. */
  readonly debounceMs: number;
}

/** What a hook is called for; `still-master`: a master heard a weaker one and stays. */
export const HOOK_EVENTS = ['master', 'backup', 'fault', 'initialize', 'still-master'] as const;

export type HookEvent = (typeof HOOK_EVENTS)[number];

/** A command that is run when an instance changes state. */
export interface Hook {
  /** Path and arguments; no shell. */
  readonly command: readonly string[];
  readonly on: readonly HookEvent[];
  /** Names of instances; undefined: all. */
  readonly instances: readonly string[] | undefined;
  /** Undefined: the unprivileged user `nobody`. */
  readonly user: string | undefined;
  readonly timeoutMs: number;
}

/** IPVS connection synchronisation (kernel sync daemons of both kinds on each director). */
export interface ConnectionSync {
  readonly interface: string;
  /** syncid, 1 to 255. */
  readonly id: number;
}

/** UDP between the directors' addresses: what they tell each other beside VRRP. */
export interface PeerChannel {
  /** This director's address, of the same family as those of its peers. */
  readonly address: string;
  /** Of both sides. */
  readonly port: number;
  /** Whole path; undefined: whatever the peers' addresses send is taken. */
  readonly keyFile: string | undefined;
  /** Probed by ICMP, to tell a dead peer from an isolated director. */
  readonly gateway: string | undefined;
  readonly peers: readonly { readonly name: string; readonly address: string }[];
  /**
   * By top-level key of the file: the first 16 hexadecimal digits of the SHA-256 of what it says (`sectionTexts`). Empty
   * until the loader has filled it in.
   */
  readonly sections: Readonly<Record<string, string>>;
}

/** Of this host's IPVS as a whole. */
export interface IpvsSettings {
  /** `ipvsadm --set`, in whole seconds; 0: as it is. */
  readonly timeouts: {
    readonly tcpSeconds: number;
    readonly tcpFinSeconds: number;
    readonly udpSeconds: number;
  };
  /** Values of `net.ipv4.vs.*` by the last part of their names. */
  readonly sysctls: Readonly<Record<string, string>>;
  /** Services of the table that are not in the file are removed, whoever made them. */
  readonly exclusive: boolean;
}

export const NO_IPVS_SETTINGS: IpvsSettings = {
  timeouts: { tcpSeconds: 0, tcpFinSeconds: 0, udpSeconds: 0 },
  sysctls: {},
  exclusive: false,
};

/** Where metrics are served: on a loopback address, or on a unix socket at a whole path. */
export type MetricsListen = { readonly address: string; readonly port: number } | { readonly path: string };

/** What a scraper of metrics finds (docs/METRICS.md). */
export interface MetricsSettings {
  readonly listen: MetricsListen;
  /** Series for each real server, beside those for each virtual server. */
  readonly realServers: boolean;
}

/** Who reaches out through the director in its name, such as real servers whose gateway is the DIP. */
export interface Masquerade {
  /** A network with prefix length. */
  readonly source: string;
  /** Packets that leave by it. */
  readonly interface: string;
  /** What the other side sees; undefined: the address of the interface. */
  readonly snatAddress: string | undefined;
}

/** The whole file as one director sees it: interfaces, priority and addresses are its own. */
export interface DirectorConfig {
  /** Key under `directors`. */
  readonly director: string;
  /** The peers' addresses under `directors`, this one's left out. */
  readonly peers: readonly string[];
  /** The file says `vrrp`. One that does not may have been cut off: a reload does not take the instances away for it. */
  readonly saysVrrp: boolean;
  readonly instances: readonly VrrpInstance[];
  readonly syncGroups: readonly SyncGroup[];
  readonly tracked: readonly TrackedObject[];
  readonly hooks: readonly Hook[];
  /** Virtual addresses stay when every process of this director is killed at once. */
  readonly permanentAddresses: boolean;
  readonly connectionSync: ConnectionSync | undefined;
  /** Undefined: there is none. */
  readonly peerChannel: PeerChannel | undefined;
  readonly ipvs: IpvsSettings;
  readonly virtualServers: readonly VirtualServer[];
  readonly masquerades: readonly Masquerade[];
  /** Undefined: none are served. */
  readonly metrics: MetricsSettings | undefined;
}

/** What the election needs of it: nothing that grows with the virtual servers. */
export type ElectionConfig = Omit<
  DirectorConfig,
  'virtualServers' | 'masquerades' | 'hooks' | 'ipvs' | 'metrics' | 'peerChannel'
>;

/** One fault of a configuration file. Line and column count from 1. */
export interface ConfigFault {
  readonly line: number;
  readonly column: number;
  /** Path into the document, such as `vrrp.instances[0].priority`; empty for a syntax error. */
  readonly path: string;
  readonly message: string;
}

export type ConfigResult =
  /** `written`: the whole file as plain values. */
  | { readonly ok: true; readonly config: DirectorConfig; readonly written: unknown }
  | { readonly ok: false; readonly faults: readonly ConfigFault[] };

/** RFC 9568 section 5.2.4: the router that has the virtual addresses as its own. */
export const OWNER_PRIORITY = 255;

/** Addresses, routes and rules that one host's guardian can withdraw. */
export const MAX_HELD = 4096;
