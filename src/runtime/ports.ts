/** What the shell needs from the world. `io` implements these; tests replace them. */
import type { VirtualAddress, VirtualRoute, VirtualRule, VrrpTransportKind } from '../config/model.js';
import type { AddressFamily } from '../util/ip-address.js';
import type { SetElement } from '../util/nft-table.js';
import type { FromServices, ToServices } from './services/services-messages.js';

/** CLOCK_MONOTONIC in milliseconds, with a fraction. */
export interface Clock {
  nowMs(): number;
  /** Calls back once at or after `atMs`; returns what cancels it. */
  at(atMs: number, callback: () => void): () => void;
}

/** Not from one of the channel's peers; not to the group, or the address, that the channel listens to. */
export type TransportRejection = 'unknown-peer' | 'bad-destination';

/** A VRRP message as it came in: the IP payload, not yet decoded. */
export interface ReceivedVrrp {
  readonly payload: Uint8Array;
  readonly source: string;
  readonly destination: string;
  /** TTL or hop limit; undefined where the transport does not tell (UDP). */
  readonly ttl: number | undefined;
  /** The least TTL that the channel takes, 255 unless given. */
  readonly minTtl?: number | undefined;
  /** The transport knows that this is not for its instances: to be counted, not to be read. */
  readonly rejected?: TransportRejection | undefined;
  /** When the kernel took it from the wire, in the clock's milliseconds. */
  readonly receivedAtMs: number;
}

/** One way to speak and listen; instances that agree in all of it share a transport. */
export interface VrrpChannel {
  readonly interface: string;
  readonly family: AddressFamily;
  readonly transport: VrrpTransportKind;
  /** The macvlan device to send from, where the virtual router has a MAC address of its own. */
  readonly virtualMacInterface: string | undefined;
}

/** What one destination is told: its checksum may depend on it. */
export interface VrrpPacket {
  /** One of the transport's. */
  readonly destination: string;
  readonly payload: Uint8Array;
}

/** One message of a volley: made ready when there is time, and sent along with others when there is none. */
export interface Shot {
  /** The socket's handle. */
  readonly socket: object;
  readonly message: Uint8Array;
  /** struct sockaddr of whom it is for. */
  readonly address: Uint8Array;
}

/** Sends all of it, in this order, and stops at the first that is refused: then it returns false. */
export type Volley = () => boolean;

export type OpenVolley = (shots: readonly Shot[]) => Volley;

export interface VrrpTransport {
  /**
   * Where packets come from: the interface's primary IPv4 address, its link-local IPv6 address, or the `local`
   * of the channel.
   */
  readonly source: string;
  /** Where packets go, for the checksum's pseudo-header: the group, or each peer. */
  readonly destinations: readonly string[];
  /** Sends each packet; one that is refused does not stop the rest, and is thrown when all have been tried. */
  send(packets: readonly VrrpPacket[]): void;
  /** What `send` would send, for a volley. */
  shots?(packets: readonly VrrpPacket[]): readonly Shot[];
  /** Delivers all that lies in the receive queue; called before a deadline acts. */
  drain(): void;
  /**
   * What the channel's virtual routers say from now on: such messages pass before all others, and of the rest as much is read
   * as there is time for.
   */
  expect?(routers: readonly ExpectedRouter[]): void;
  /** Messages that the kernel dropped unread, because more came than was read. */
  unread?(): number;
  close(): void;
}

/** What is the same in all advertisements of one virtual router. */
export interface ExpectedRouter {
  readonly version: 2 | 3;
  readonly virtualRouterId: number;
  /** In the order of the message. */
  readonly addresses: readonly string[];
  readonly advertisementIntervalMs: number;
}

export type OpenVrrpTransport = (
  channel: VrrpChannel,
  onMessage: (message: ReceivedVrrp) => void,
  onError: (error: Error) => void,
  /** Another host has the address that the transport speaks from; told again and again while it does. */
  onConflict?: (hardwareAddress: string) => void,
) => VrrpTransport;

/** A BFD packet as it came in, not yet decoded. */
export interface ReceivedBfd {
  readonly payload: Uint8Array;
  readonly source: string;
  readonly ttl: number;
  /** When the kernel took it from the wire, in the clock's milliseconds. */
  readonly receivedAtMs: number;
}

/** One address of this host on one link, and those on the same link that it has sessions with. */
export interface BfdLink {
  readonly interface: string;
  readonly family: AddressFamily;
  readonly source: string;
  /** `discriminator`: what the peer calls the session by once it knows of it. */
  readonly peers: readonly { readonly address: string; readonly discriminator: number }[];
}

export interface BfdTransport {
  /** To one of the link's peers. Throws what the kernel says. */
  send(peer: string, payload: Uint8Array): void;
  /** Delivers all that lies in the receive queue; called before a deadline acts. */
  drain(): void;
  /** Packets that the kernel dropped unread: strangers', and more than was read. */
  unread(): number;
  close(): void;
}

export interface BfdPorts {
  /** In [0, 1). */
  random(): number;
  /** 1 to 2^32 - 1, hard to guess. */
  discriminator(): number;
  /** The address to speak from: `wanted`, or the interface's primary one. Throws when it is not there. */
  sourceOf(interfaceName: string, family: AddressFamily, wanted: string | undefined): string;
  open(
    link: BfdLink,
    onMessage: (message: ReceivedBfd) => void,
    onError: (error: Error) => void,
  ): BfdTransport;
}

/** Virtual addresses over rtnetlink. */
export interface Addresses {
  /** Adds; one that exists already counts as done. Rejects with the kernel's words. */
  add(addresses: readonly VirtualAddress[]): Promise<void>;
  /** Adds those that are not there; resolves with them. Rejects as `add`. */
  restore(addresses: readonly VirtualAddress[]): Promise<readonly VirtualAddress[]>;
  /** Removes; one that is not there counts as done. Rejects with the kernel's words. */
  remove(addresses: readonly VirtualAddress[]): Promise<void>;
  /**
   * What adds them, for a volley that is refused where one is there already; undefined where more is to be done than to
   * add them.
   */
  shots(addresses: readonly VirtualAddress[]): Promise<readonly Shot[] | undefined>;
  /**
   * Removes those that are there on their interface, with whatever prefix length; resolves with what it removed. `isWanted` is asked
   * once more when they are found. Rejects as `remove`.
   */
  evict(addresses: readonly VirtualAddress[], isWanted?: () => boolean): Promise<readonly VirtualAddress[]>;
  /** Those of `addresses` that the host holds now. */
  held(addresses: readonly VirtualAddress[]): Promise<VirtualAddress[]>;
}

/** What moves with an instance beside its addresses. */
export interface RoutesAndRules {
  readonly routes: readonly VirtualRoute[];
  readonly rules: readonly VirtualRule[];
}

/** Routes and rules over rtnetlink. They bear a protocol number of ours, and nobody else's is touched. */
export interface Routing {
  /**
   * Adds, or puts into these words; resolves with those that were not there, as ip(8) writes them. Rejects with the
   * kernel's words: with code ERR_FOREIGN_ROUTE when nothing failed but for routes of others in the same places.
   */
  add(wanted: RoutesAndRules): Promise<readonly string[]>;
  /** Removes; one that is not there counts as done. */
  remove(unwanted: RoutesAndRules): Promise<void>;
  /** Removes everything that bears our number; resolves with how many there were. */
  clear(): Promise<number>;
}

/** A route or a rule of ours went away, or what stood in its place; `unknown`: any of them may have. */
export type LostRouting =
  | {
      readonly kind: 'route';
      readonly table: number;
      readonly destination: string;
      readonly prefixLength: number;
    }
  | { readonly kind: 'rule'; readonly family: AddressFamily; readonly priority: number }
  | { readonly kind: 'unknown' };

/** A macvlan device with a virtual router's MAC address. */
export interface VirtualMac {
  readonly name: string;
  readonly parent: string;
  readonly mac: string;
  readonly family: AddressFamily;
}

export interface VirtualMacs {
  /**
   * Brings the host's devices to `wanted`: makes, mends or adopts each over the parent that has its name now, and
   * removes the others that are ours. Where a parent is missing, its device is none's and goes.
   */
  keep(wanted: readonly VirtualMac[]): Promise<KeptVirtualMacs>;
}

export interface KeptVirtualMacs {
  /** Why a device is not as wanted, by its name. */
  readonly faults: ReadonlyMap<string, Error>;
  /** Devices that were made or mended. */
  readonly mended: readonly string[];
  /** Devices that were removed. */
  readonly removed: readonly string[];
}

/** nftables: a table of our own, whole or not at all. */
export interface Nft {
  /** One transaction. Rejects with the words of nft(8). */
  set(ruleset: string): Promise<void>;
  /** What nft prints of a table such as `inet lvs_director`; undefined where there is none. */
  list(table: string): Promise<string | undefined>;
}

/** Sets of nftables, in tables of the family `inet`. Both reject with what the kernel says: ENOENT where there is no such set. */
export interface NftSets {
  /** Makes elements what they are to be, eight at a time in one transaction. */
  change(elements: readonly SetElement[]): Promise<void>;
  /** Resolves where there is the set. */
  find(table: string, set: string): Promise<void>;
}

/** Accept_Mode false: drops packets to addresses, neighbour discovery excepted. */
export interface AcceptFilter {
  /** All addresses that are to be dropped from now on; none removes the filter. */
  drop(addresses: readonly string[]): Promise<void>;
}

/**
 * Gratuitous ARP (request form) or unsolicited Neighbour Advertisement, one frame for each address by its
 * interface, paced so that switches are not flooded.
 */
export interface Announcer {
  /** Returns at once; what is beyond the first burst follows. One that still waits is not queued twice. */
  announce(addresses: readonly VirtualAddress[]): void;
  /** Whether `announce` would send all of them at once. */
  fitsBurst(addresses: readonly VirtualAddress[]): boolean;
  /** What tells of them, for a volley. Throws where there is no such interface. */
  shots(addresses: readonly VirtualAddress[]): readonly Shot[];
  /** A volley announced them. */
  announced(addresses: readonly VirtualAddress[]): void;
  /** Forgets what still waits: nobody may be told of an address that is being removed. */
  cancel(addresses: readonly VirtualAddress[]): void;
  close(): void;
}

/** Link state by rtnetlink events. `up` means IFF_UP and IFF_RUNNING. */
export interface LinkMonitor {
  isUp(interfaceName: string): boolean;
  /** IFLA_IFINDEX, which changes when a device is made anew; undefined without a device. */
  index(interfaceName: string): number | undefined;
  /** Whether the interface holds an address. */
  holds(interfaceName: string, address: string): boolean;
  /** Afterwards it knows what was in the kernel before the call, and has told the changes. */
  catchUp(): Promise<void>;
  close(): void;
}

export type OpenLinkMonitor = (
  /** The link came or went, or the name belongs to another device than before (or to none). */
  onChange: (interfaceName: string, up: boolean) => void,
  /** An address of the host went away or came, whoever did it; `dadFailed`: another host has it (IFA_F_DADFAILED). */
  onAddress: (change: { address: string; interface: string; added: boolean; dadFailed: boolean }) => void,
  /** Whoever did it. */
  onRoutingLost?: (lost: LostRouting) => void,
  /** The device has another MAC address (IFLA_ADDRESS) than before, or another device has its name. */
  onHardwareAddress?: (interfaceName: string) => void,
) => Promise<LinkMonitor>;

/**
 * The guardian: a process of its own that withdraws this director when the daemon dies or hangs.
 * It holds ready-made bytes and knows no protocol.
 */
export interface Guardian {
  /** What to do when the daemon is gone. Replaces what was set before. */
  arm(orders: GuardianOrders): void;
  /** Orders that may be armed later, made ready while there is time. */
  prepare(orders: GuardianOrders): void;
  /** The daemon leaves in good order: the guardian ends without acting. */
  disarm(): void;
}

export interface GuardianOrders {
  /** One for each virtual router that this director is master of. */
  readonly farewells: readonly GuardianFarewell[];
  /** How long addresses are kept at most while their successor is awaited. */
  readonly holdMs: number;
  /** The guardian acts when it has not been armed again for so long; 0: never. */
  readonly leaseMs: number;
}

export interface GuardianFarewell {
  /** Where the successor is listened for. */
  readonly interface: string;
  /** The device to send from: `interface`, or the macvlan. */
  readonly sendInterface: string;
  readonly source: string;
  /** One payload (priority 0) for each destination: the checksum depends on it. The group, or the peers. */
  readonly destinations: readonly { readonly address: string; readonly payload: Uint8Array }[];
  /** Undefined: raw IP protocol 112. */
  readonly udpPort: number | undefined;
  /** The least TTL or hop limit of a successor's packets, 1 to 255; not looked at within UDP. */
  readonly minTtl: number;
  /** The virtual router whose successor ends the wait: an advertisement that the election would take. */
  readonly virtualRouterId: number;
  /** To remove after the rules and routes, when this successor was heard or `holdMs` is over. */
  readonly addresses: readonly VirtualAddress[];
  readonly routes: readonly VirtualRoute[];
  readonly rules: readonly VirtualRule[];
}

/** What outlives a process, below /run: what the kernel holds that is ours, and what was there before. */
export interface StateFile<State> {
  load(): Promise<State>;
  save(state: State): Promise<void>;
  remove(): Promise<void>;
}

/** Of the VRRP process. */
export interface VrrpLeftovers {
  /** Virtual addresses this director may have left behind. */
  readonly addresses: readonly VirtualAddress[];
}

/** Names of the instances that stay in maintenance across a restart and a reboot. */
export interface MaintenanceFile {
  load(): Promise<readonly string[]>;
  /** Rejects when the place cannot be written. */
  save(instances: readonly string[]): Promise<void>;
}

/** The services process as its parent sees it. */
export interface ServicesProcess {
  /** Undefined when the system refused to start it; `onExit` tells why. */
  readonly pid: number | undefined;
  /** Messages that wait because the process does not read. */
  readonly backlog: number;
  send(message: ToServices): void;
  /** SIGKILL. */
  kill(): void;
}

export type StartServicesProcess = (handlers: {
  onMessage(message: FromServices): void;
  /** Once, whatever the end was; `how` such as `SIGKILL` or `exit status 1`. */
  onExit(how: string): void;
}) => ServicesProcess;

/** How long turns of the event loop kept timers waiting, in milliseconds over the last minute or two. */
export interface LoopDelay {
  read(): { readonly max_ms: number; readonly p99_ms: number };
  close(): void;
}

/** One line of the stream of events; `event` says what the other fields are (docs/HOOKS.md). */
export interface StreamEvent {
  readonly event: string;
  readonly [field: string]: unknown;
}

/** Who listens to the events hears of them. */
export interface EventStream {
  /** To every listener. Never waits for one. */
  publish(event: StreamEvent): void;
  /** Ends the stream for all. */
  close(): Promise<void>;
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
