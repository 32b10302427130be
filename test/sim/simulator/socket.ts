/** The socket of one interface, as a director's process has it, and shots for a volley. */
import type { VrrpTransportKind } from '../../../src/config/model.js';
import type {
  ReceivedVrrp,
  Shot,
  VrrpChannel,
  VrrpPacket,
  VrrpTransport,
} from '../../../src/runtime/ports.js';
import type { Interface } from './interface.js';
import { GROUP_ADDRESS, type Packet } from './packet.js';
import { Refused } from './refused.js';
import { segmentOf } from './scenario.js';
import type { Shell } from './shell.js';

export interface SimulatedShot extends Shot {
  fire(): boolean;
}

const NO_BYTES = new Uint8Array(0);

export function shot(fire: () => boolean): SimulatedShot {
  return { socket: {}, message: NO_BYTES, address: NO_BYTES, fire };
}

export class Socket implements VrrpTransport {
  readonly destinations: readonly string[];
  readonly interface: string;
  readonly source: string;
  readonly #shell: Shell;
  readonly #interface: Interface | undefined;
  readonly #index: number | undefined;
  /** The device of a virtual MAC address, which it sends by. */
  readonly #macvlan: string | undefined;
  readonly #unicast: Extract<VrrpTransportKind, { kind: 'unicast' }> | undefined;
  readonly #sendIndex: number | undefined;
  readonly #onMessage: (message: ReceivedVrrp) => void;
  readonly #queue: { packet: Packet; receivedAtMs: number }[] = [];

  constructor(
    shell: Shell,
    { interface: interfaceName, virtualMacInterface, transport }: VrrpChannel,
    onMessage: (message: ReceivedVrrp) => void,
  ) {
    this.#shell = shell;
    this.interface = interfaceName;
    this.#macvlan = virtualMacInterface;
    this.#unicast = transport.kind === 'unicast' ? transport : undefined;
    this.destinations = this.#unicast?.peers ?? [GROUP_ADDRESS];
    this.source = shell.director.sourceOn(interfaceName);
    this.#onMessage = onMessage;
    this.#interface = shell.director.interfaces[segmentOf(interfaceName)];
    this.#index = this.#interface?.index;
    this.#sendIndex = this.#sendIndexNow;
    if (this.#index === undefined || this.#sendIndex === undefined) throw new Refused('ENODEV');
    if (this.#interface?.hasSource !== true) throw new Refused('ERR_NO_ADDRESS');
  }

  get #sendIndexNow(): number | undefined {
    return this.#macvlan === undefined ? this.#index : this.#shell.director.macvlans.index(this.#macvlan);
  }

  get waiting(): number {
    return this.#queue.reduce((sum, { packet }) => (packet.isForged === true ? sum : sum + 1), 0);
  }

  /** All of the interface's packets come in by every socket on it; whom they are meant for depends on the channel. */
  isFor(router: number): boolean {
    const { virtualMacInterface, transport } = this.#shell.director.config(router);
    const isUnicast = this.#unicast !== undefined;
    return virtualMacInterface === this.#macvlan && (transport.kind === 'unicast') === isUnicast;
  }

  /** Packets that nobody has read and that may be meant for one of these. */
  unreadOf(routers: readonly number[]): number {
    if (this.#macvlan === undefined) return routers.some((one) => this.isFor(one)) ? this.waiting : 0;
    return this.#queue.filter(
      ({ packet: { router, isForged } }) =>
        isForged !== true && routers.includes(router) && this.isFor(router),
    ).length;
  }

  /** Bound to a device, though another may bear its name. */
  get isOnDevice(): boolean {
    return this.#interface?.index === this.#index;
  }

  send(packets: readonly VrrpPacket[]): void {
    if (!this.isOnDevice || this.#sendIndexNow !== this.#sendIndex) throw new Refused('ENODEV');
    if (this.#interface?.hasSource !== true) throw new Refused('EINVAL');
    const [first] = this.destinations;
    for (const packet of packets) this.#shell.director.says(this, packet, packet.destination === first);
  }

  shots(packets: readonly VrrpPacket[]): readonly Shot[] {
    return packets.map((packet) =>
      shot(() => {
        try {
          this.send([packet]);
        } catch (error) {
          if (error instanceof Refused) return false;
          throw error;
        }
        return true;
      }),
    );
  }

  /** Returns false when the receive buffer is full; strangers fill one of their own (docs/decisions/0019). */
  take(packet: Packet, receivedAtMs: number, limit: number): boolean {
    if (packet.destination !== (this.#unicast === undefined ? GROUP_ADDRESS : this.source)) return true;
    const isForged = packet.isForged === true;
    const beside = this.#queue.filter((one) => (one.packet.isForged === true) === isForged).length;
    if (this.#queue.length >= limit && beside >= limit) return isForged;
    this.#queue.push({ packet, receivedAtMs });
    return true;
  }

  drain(): void {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      const { packet, receivedAtMs } = next;
      if (packet.isForged !== true && this.isFor(packet.router))
        this.#shell.director.hears(packet, receivedAtMs);
      const { payload, source, destination, ttl } = packet;
      const minTtl = this.#unicast?.minTtl;
      const isUnknown = this.#unicast?.peers.includes(source) === false;
      const rejected = isUnknown ? 'unknown-peer' : undefined;
      this.#onMessage({ payload, source, destination, ttl, minTtl, rejected, receivedAtMs });
    }
  }

  close(): void {
    this.#shell.sockets.delete(this);
  }
}
