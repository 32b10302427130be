/** Advertisements on their way out: those of one moment leave together. */
import type { VrrpPacket, VrrpTransport } from '../ports.js';

interface Parcel {
  readonly transport: VrrpTransport;
  readonly packets: VrrpPacket[];
  /** Of the first who sends with it: it may be the link of all of them. */
  readonly onRefused: (error: unknown) => void;
}

export class Outbox {
  #held: Map<VrrpTransport, Parcel> | undefined;

  /** Sends now, or at the end of what runs within `together`. A refusal goes to `onRefused`; never throws. */
  send(transport: VrrpTransport, packets: readonly VrrpPacket[], onRefused: (error: unknown) => void): void {
    if (this.#held === undefined) return this.#post({ transport, packets: [...packets], onRefused });
    const parcel = this.#held.get(transport);
    if (parcel === undefined) this.#held.set(transport, { transport, packets: [...packets], onRefused });
    else parcel.packets.push(...packets);
  }

  /** What `work` sends leaves when it has ended, in the order of the calls on each transport. */
  together(work: () => void): void {
    if (this.#held !== undefined) return work();
    this.#held = new Map();
    try {
      work();
    } finally {
      const parcels = this.#held.values();
      this.#held = undefined;
      for (const parcel of parcels) this.#post(parcel);
    }
  }

  #post({ transport, packets, onRefused }: Parcel): void {
    try {
      transport.send(packets);
    } catch (error) {
      onRefused(error);
    }
  }
}
