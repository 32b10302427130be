/** The socket of one interface, as a director's process has it, and shots for a volley. */
import type { ReceivedVrrp, Shot, VrrpPacket, VrrpTransport } from '../../../src/runtime/ports.js';
import { GROUP_ADDRESS, type Packet, TTL } from './packet.js';
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
  readonly #onMessage: (message: ReceivedVrrp) => void;
  readonly #queue: { packet: Packet; receivedAtMs: number }[] = [];

  constructor(shell: Shell, interfaceName: string, onMessage: (message: ReceivedVrrp) => void) {
    this.#shell = shell;
    this.interface = interfaceName;
    this.source = shell.director.sourceOn(interfaceName);
    this.#onMessage = onMessage;
  }

  get waiting(): number {
    return this.#queue.length;
  }

  send(packets: readonly VrrpPacket[]): void {
    for (const { payload } of packets) this.#shell.director.says(this.interface, this.source, payload);
  }

  shots(packets: readonly VrrpPacket[]): readonly Shot[] {
    return packets.map((packet) =>
      shot(() => {
        this.send([packet]);
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
      this.#shell.director.hears(packet, receivedAtMs);
      const { payload, source } = packet;
      this.#onMessage({ payload, source, destination: GROUP_ADDRESS, ttl: TTL, receivedAtMs });
    }
  }

  close(): void {
    this.#shell.sockets.delete(this);
  }
}
