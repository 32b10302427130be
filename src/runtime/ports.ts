/** What the shell needs from the world. `io` implements these; tests replace them. */
import type { CheckKind, VirtualAddress } from '../config/model.js';
import type { DumpedService, IpvsOp, SyncDaemon } from '../ipvs/model.js';

/** CLOCK_MONOTONIC in milliseconds, with a fraction. */
export interface Clock {
  nowMs(): number;
  /** Calls back once at or after `atMs`; returns what cancels it. */
  at(atMs: number, callback: () => void): () => void;
}

/** A VRRP message as it came in: the IP payload, not yet decoded. */
export interface ReceivedVrrp {
  readonly payload: Uint8Array;
  readonly source: string;
  readonly destination: string;
  readonly ttl: number;
  /** When the kernel took it from the wire, in the clock's milliseconds. */
  readonly receivedAtMs: number;
}

/** Raw IP protocol 112 on one interface. */
export interface VrrpTransport {
  /** The interface's primary IPv4 address: source of what is sent. */
  readonly source: string;
  send(payload: Uint8Array): void;
  /** Delivers at once all that lies in the receive queue. Called before a deadline acts. */
  drain(): void;
  close(): void;
}
export type OpenVrrpTransport = (
  interfaceName: string,
  onMessage: (message: ReceivedVrrp) => void,
  onError: (error: Error) => void,
) => VrrpTransport;

/** Virtual addresses over rtnetlink. */
export interface Addresses {
  /** Adds; one that exists already counts as done. Rejects with the kernel's words. */
  add(addresses: readonly VirtualAddress[]): Promise<void>;
  /** Removes; one that is not there counts as done. */
  remove(addresses: readonly VirtualAddress[]): Promise<void>;
  /** Those of `addresses` that the host holds now. */
  held(addresses: readonly VirtualAddress[]): Promise<VirtualAddress[]>;
}

/** Gratuitous ARP: one request-form frame for each address, on its interface. */
export interface Announcer {
  announce(addresses: readonly VirtualAddress[]): void;
  close(): void;
}

/** Link state by rtnetlink events. `up` means IFF_UP and IFF_RUNNING. */
export interface LinkMonitor {
  isUp(interfaceName: string): boolean;
  close(): void;
}
export type OpenLinkMonitor = (
  onChange: (interfaceName: string, up: boolean) => void,
  /** An address of the host went away or came, whoever did it. */
  onAddress: (change: { address: string; interface: string; added: boolean }) => void,
) => Promise<LinkMonitor>;

/** Result of one op: undefined when done, else the kernel's words. */
export interface OpResult {
  readonly op: IpvsOp;
  readonly error: Error | undefined;
}

/** The kernel's IPVS over generic netlink. */
export interface Ipvs {
  dump(): Promise<DumpedService[]>;
  /** Applies in order, pipelined; one failure does not stop the rest. */
  apply(ops: readonly IpvsOp[]): Promise<OpResult[]>;
  syncDaemons(): Promise<SyncDaemon[]>;
  startSyncDaemon(daemon: SyncDaemon): Promise<void>;
  stopSyncDaemon(state: SyncDaemon['state'], syncid: number, interfaceName: string): Promise<void>;
  /** IP virtual server version from IPVS_CMD_GET_INFO, such as `1.2.1`, and the connection hash size. */
  info(): Promise<{ version: string; connectionTableSize: number }>;
  close(): void;
}

export type ProbeOutcome = { readonly ok: true } | { readonly ok: false; readonly reason: string };

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

/**
 * The guardian: a process of its own that withdraws this director when the daemon dies or hangs.
 * It holds ready-made bytes and knows no protocol.
 */
export interface Guardian {
  /** What to do when the daemon is gone. Replaces what was set before. */
  arm(orders: GuardianOrders): void;
  /** The daemon leaves in good order: the guardian ends without acting. */
  disarm(): void;
}
export interface GuardianOrders {
  /** VRRP payloads (priority 0) to send at once, each on its interface from its source. */
  readonly farewells: readonly {
    readonly interface: string;
    readonly source: string;
    readonly payload: Uint8Array;
    /** The virtual router whose successor ends the wait. */
    readonly virtualRouterId: number;
  }[];
  /** Virtual addresses to remove, when each successor was heard or `holdMs` is over. */
  readonly addresses: readonly VirtualAddress[];
  readonly holdMs: number;
  /** The guardian acts when it has not been armed again for so long; 0: never. */
  readonly leaseMs: number;
}

/** What outlives the process, below /run: what the kernel holds that is ours, and what was there before. */
export interface StateFile {
  load(): Promise<PersistentState>;
  save(state: PersistentState): Promise<void>;
  remove(): Promise<void>;
}
export interface PersistentState {
  /** `serviceKeyText` of the virtual servers this daemon added. */
  readonly ownedServices: readonly string[];
  /** Values that sysctls had before. */
  readonly sysctls: Readonly<Record<string, string>>;
  /** Virtual addresses this daemon may have left behind. */
  readonly addresses: readonly VirtualAddress[];
}

/** Structured log, as pino's. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** sd_notify(3). */
export interface Notifier {
  notify(state: string): void;
  /** WATCHDOG_USEC in milliseconds, undefined without a watchdog. */
  readonly watchdogMs: number | undefined;
}
