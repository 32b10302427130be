/** A VrrpService on a fake host: every port is a named fake that writes down what was asked of it, in order. */
import type { DirectorConfig, VirtualAddress } from '../../../src/config/model.js';
import { VrrpService, type VrrpServicePorts } from '../../../src/runtime/election/vrrp-service.js';
import type {
  GuardianOrders,
  OpenVrrpTransport,
  ReceivedVrrp,
  Shot,
  VrrpChannel,
  VrrpPacket,
  VrrpTransport,
} from '../../../src/runtime/ports.js';
import type { VrrpState } from '../../../src/vrrp/group-types.js';
import { decodeAdvertisement, encodeAdvertisement, VRRP_MULTICAST_IPV4 } from '../../../src/vrrp/packet.js';
import { NO_BFD } from '../../sim/simulator/no-bfd.js';
import { HandClock, settled } from '../hand-clock.js';

export const OWN = '192.0.2.11';
export const PEER = '192.0.2.12';

class FakeTransport implements VrrpTransport {
  readonly destinations = [VRRP_MULTICAST_IPV4];
  readonly source: string;
  readonly channel: VrrpChannel;
  readonly deliver: (message: ReceivedVrrp) => void;
  closed = false;
  /** What has come and nobody has read. */
  readonly queue: ReceivedVrrp[] = [];
  readonly #host: FakeHost;
  readonly shots?: (packets: readonly VrrpPacket[]) => readonly Shot[];

  constructor(host: FakeHost, channel: VrrpChannel, source: string, deliver: (m: ReceivedVrrp) => void) {
    this.#host = host;
    this.channel = channel;
    this.source = source;
    this.deliver = deliver;
    if (host.volleys) this.shots = (packets) => packets.map(({ payload }) => shotOf(this.#words(payload)));
  }

  send(packets: readonly VrrpPacket[]): void {
    for (const { payload } of packets) this.#host.said.push(this.#words(payload));
  }

  #words(payload: Uint8Array): string {
    const decoded = decodeAdvertisement(payload, {
      source: this.source,
      destination: VRRP_MULTICAST_IPV4,
      ttl: 255,
    });
    if (!decoded.ok) throw new Error(`the service sent nonsense: ${decoded.reason}`);
    const { virtualRouterId, priority } = decoded.advertisement;
    return `send ${virtualRouterId} priority ${priority}`;
  }

  drain(): void {
    for (const message of this.queue.splice(0)) this.deliver(message);
  }

  unread(): number {
    this.#host.unreadAsked += 1;
    return 1;
  }

  close(): void {
    this.closed = true;
  }
}

export interface LogLine {
  readonly level: string;
  readonly event: unknown;
  readonly message: string;
}

/** A message in words. */
const shotOf = (words: string): Shot => ({ socket: {}, message: Buffer.from(words), address: Buffer.of() });

export function roleOf(service: VrrpService, instance: string): VrrpState | undefined {
  return service.states().find(({ config }) => config.name === instance)?.state;
}

export class FakeHost {
  readonly clock = new HandClock();
  readonly renamed: (readonly [string, string])[][] = [];
  readonly said: string[] = [];
  /** Whether there are virtual MAC devices. */
  devices = false;
  readonly log: LogLine[] = [];
  readonly transports: FakeTransport[] = [];
  readonly up = new Set(['eth0', 'eth1', 'eth2']);
  readonly indexes = new Map([
    ['eth0', 2],
    ['eth1', 3],
    ['eth2', 4],
  ]);
  readonly held = new Set([`eth0 ${OWN}`, 'eth1 10.0.0.11']);
  /** Virtual addresses that somebody removed, and what the routing finds missing. */
  readonly gone = new Set<string>();
  /** Virtual addresses that somebody added. */
  readonly strays = new Set<string>();
  readonly lost: string[] = [];
  orders: GuardianOrders | undefined;
  /** The accept filter refuses addresses with this. */
  refuses: Error | undefined;
  /** Delays the kernel's answer to the next address changes. */
  kernel: Promise<void> = Promise.resolve();
  /** The guardian refuses orders with this. */
  refusesOrders: Error | undefined;
  /** Whether the transports can say what they would send. */
  volleys = false;
  /** A volley ends before this message. */
  refusesShot: string | undefined;
  /** How often a transport was asked what it could not read: a question to the kernel. */
  unreadAsked = 0;
  readonly ports: VrrpServicePorts;
  readonly service: VrrpService;

  constructor() {
    const write = (level: string) => (fields: object, message: string) => {
      this.log.push({ level, event: 'event' in fields ? fields.event : undefined, message });
    };
    const texts = (addresses: readonly VirtualAddress[]) => addresses.map((one) => one.address).join(' ');
    this.ports = {
      clock: this.clock,
      openTransport: this.#open,
      addresses: {
        add: async (addresses) => {
          await this.kernel;
          this.said.push(`add ${texts(addresses)}`);
        },
        remove: async (addresses) => {
          await this.kernel;
          this.said.push(`remove ${texts(addresses)}`);
        },
        restore: async (addresses) => {
          await this.kernel;
          const missing = addresses.filter(({ address }) => this.gone.delete(address));
          if (missing.length > 0) this.said.push(`restore ${texts(missing)}`);
          return missing;
        },
        shots: async (addresses) => [shotOf(`add ${texts(addresses)}`)],
        evict: async (addresses, isWanted = () => true) => {
          await this.kernel;
          if (!isWanted()) return [];
          const present = addresses.filter(({ address }) => this.strays.delete(address));
          if (present.length > 0) this.said.push(`evict ${texts(present)}`);
          return present;
        },
        held: async () => [],
      },
      routing: {
        add: async ({ routes, rules }) => {
          this.said.push(
            `route ${[...routes.map((r) => r.destination), ...rules.map((r) => r.priority)].join(' ')}`,
          );
          return this.lost.splice(0);
        },
        remove: async ({ routes, rules }) =>
          void this.said.push(
            `unroute ${[...routes.map((r) => r.destination), ...rules.map((r) => r.priority)].join(' ')}`,
          ),
        clear: async () => 0,
      },
      virtualMacs: {
        keep: async (wanted) => {
          const told = wanted.map(({ name, parent, mac }) => `${name} over ${parent} with ${mac}`);
          const mended = wanted.flatMap(({ name }) => (this.indexes.has(name) ? [] : [name]));
          for (const name of mended) this.indexes.set(name, 100 + this.indexes.size);
          if (wanted.length > 0 || this.devices) this.said.push(['devices', ...told].join(' '));
          this.devices = wanted.length > 0;
          return { faults: new Map(), mended, removed: [] };
        },
      },
      acceptFilter: {
        drop: async (addresses) => {
          if (this.refuses !== undefined && addresses.length > 0) throw this.refuses;
          this.said.push(`filter ${addresses.join(' ')}`);
        },
      },
      announcer: {
        announce: (addresses) => void this.said.push(`announce ${texts(addresses)}`),
        shots: (addresses) => [shotOf(`announce ${texts(addresses)}`)],
        fitsBurst: (addresses) => addresses.length <= 16,
        announced: (addresses) => void this.said.push(`announced ${texts(addresses)}`),
        cancel: () => {},
        close: () => {},
      },
      openVolley: (shots) => () => {
        const refused = shots.findIndex(
          ({ message }) => Buffer.from(message).toString() === this.refusesShot,
        );
        const sent = refused < 0 ? shots : shots.slice(0, refused);
        for (const { message } of sent) this.said.push(`volley: ${Buffer.from(message).toString()}`);
        return refused < 0;
      },
      links: {
        isUp: (name) => this.up.has(name),
        index: (name) => this.indexes.get(name),
        holds: (name, address) => this.held.has(`${name} ${address}`),
        catchUp: async () => {},
        close: () => {},
      },
      guardian: {
        arm: (orders) => {
          if (this.refusesOrders !== undefined && orders.farewells.length > 0) throw this.refusesOrders;
          // A renewal hands over the same orders.
          if (orders === this.orders) return;
          this.orders = orders;
          const ids = orders.farewells.map(({ virtualRouterId }) => virtualRouterId);
          this.said.push(`guard ${ids.join(' ')}`.trimEnd());
        },
        prepare: () => {},
        disarm: () => void this.said.push('disarm'),
      },
      bfd: NO_BFD,
      log: { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') },
      onRoles: () => {},
      onRenamed: (names) => void this.renamed.push([...names]),
      onRole: ({ instance, to }) => void this.said.push(`${instance} is ${to}`),
      onNotice: (instance, { kind }) => void this.said.push(`${instance} notice ${kind}`),
    };
    this.service = new VrrpService(this.ports);
  }

  role(instance: string): VrrpState | undefined {
    return roleOf(this.service, instance);
  }

  async start(config: DirectorConfig): Promise<void> {
    await this.service.start(config, []);
    await settled();
  }

  /** What was said since the last call. */
  heard(): string[] {
    return this.said.splice(0);
  }

  /** A well-formed advertisement of the peer reaches an interface; `unread`: this process has not come to it yet. */
  advertise(
    options: {
      vrid?: number;
      priority?: number;
      addresses?: string[];
      interface?: string;
      ttl?: number;
      unread?: boolean;
    } = {},
  ): void {
    const { vrid = 51, priority = 100, addresses = ['192.0.2.1'], ttl = 255 } = options;
    const device = options.interface ?? 'eth0';
    const payload = encodeAdvertisement(
      {
        version: 3,
        family: 'ipv4',
        virtualRouterId: vrid,
        priority,
        advertisementIntervalMs: 1000,
        addresses,
      },
      { checksum: 'rfc5798', source: PEER, destination: VRRP_MULTICAST_IPV4 },
    );
    const open = this.transports.find((one) => !one.closed && one.channel.interface === device);
    const message = {
      payload,
      source: PEER,
      destination: VRRP_MULTICAST_IPV4,
      ttl,
      receivedAtMs: this.clock.nowMs(),
    };
    if (options.unread === true) open?.queue.push(message);
    else open?.deliver(message);
  }

  readonly #open: OpenVrrpTransport = (channel, onMessage) => {
    const source = channel.interface === 'eth0' ? OWN : '10.0.0.11';
    if (!this.held.has(`${channel.interface} ${source}`)) {
      throw Object.assign(new Error('no address'), { code: 'ERR_NO_INTERFACE_ADDRESS' });
    }
    const transport = new FakeTransport(this, channel, source, onMessage);
    this.transports.push(transport);
    return transport;
  };
}
