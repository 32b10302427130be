/** The socket of one interface, as a director's process has it, and shots for a volley. */
import type {
  ReceivedVrrp,
  Shot,
  VrrpChannel,
  VrrpPacket,
  VrrpTransport,
} from '../../../src/runtime/ports.js';
import type { Interface } from './interface.js';
import { GROUP_ADDRESS, type Packet, TTL } from './packet.js';
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
  readonly destinations = [GROUP_ADDRESS];
  readonly interface: string;
  readonly source: string;
  readonly #shell: Shell;
  readonly #interface: Interface | undefined;
  readonly #index: number | undefined;
  /** The device of a virtual MAC address, which it sends by. */
  readonly #macvlan: string | undefined;
  readonly #sendIndex: number | undefined;
  readonly #onMessage: (message: ReceivedVrrp) => void;
  readonly #queue: { packet: Packet; receivedAtMs: number }[] = [];

  constructor(
    shell: Shell,
    { interface: interfaceName, virtualMacInterface }: VrrpChannel,
    onMessage: (message: ReceivedVrrp) => void,
  ) {
    this.#shell = shell;
    this.interface = interfaceName;
    this.#macvlan = virtualMacInterface;
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
    return this.#queue.length;
  }

  /** All of the interface's packets come in by every socket on it; whom they are meant for depends on the channel. */
  isFor(router: number): boolean {
    return this.#shell.director.config(router).virtualMacInterface === this.#macvlan;
  }

  /** Packets that nobody has read and that may be meant for one of these. */
  unreadOf(routers: readonly number[]): number {
    if (this.#macvlan === undefined) return routers.some((one) => this.isFor(one)) ? this.waiting : 0;
    return this.#queue.filter(({ packet: { router } }) => routers.includes(router) && this.isFor(router))
      .length;
  }

  /** Bound to a device, though another may bear its name. */
  get isOnDevice(): boolean {
    return this.#interface?.index === this.#index;
  }

  send(packets: readonly VrrpPacket[]): void {
    if (!this.isOnDevice || this.#sendIndexNow !== this.#sendIndex) throw new Refused('ENODEV');
    if (this.#interface?.hasSource !== true) throw new Refused('EINVAL');
    for (const { payload } of packets) this.#shell.director.says(this.interface, this.source, payload);
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

  /** Returns false when the receive buffer is full. */
  take(packet: Packet, receivedAtMs: number, limit: number): boolean {
    if (this.#queue.length >= limit) return false;
    this.#queue.push({ packet, receivedAtMs });
    return true;
  }

  drain(): void {
    for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) {
      const { packet, receivedAtMs } = next;
      if (this.isFor(packet.router)) this.#shell.director.hears(packet, receivedAtMs);
      const { payload, source } = packet;
      this.#onMessage({ payload, source, destination: GROUP_ADDRESS, ttl: TTL, receivedAtMs });
    }
  }

  close(): void {
    this.#shell.sockets.delete(this);
  }
}
