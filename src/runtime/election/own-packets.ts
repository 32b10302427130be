/** What an instance sends again and again, encoded once. */
import type { VrrpInstance } from '../../config/model.js';
import { advertisementPackets } from '../advertisement-packets.js';
import type { VrrpPacket, VrrpTransport } from '../ports.js';

interface Encoded {
  readonly config: VrrpInstance;
  readonly priority: number;
  readonly transport: VrrpTransport;
  readonly packets: readonly VrrpPacket[];
}

export class OwnPackets {
  readonly #encoded = new Map<string, Encoded>();

  of(config: VrrpInstance, priority: number, transport: VrrpTransport): readonly VrrpPacket[] {
    const before = this.#encoded.get(config.name);
    if (before?.config === config && before.priority === priority && before.transport === transport) {
      return before.packets;
    }
    const packets = advertisementPackets(config, priority, transport);
    this.#encoded.set(config.name, { config, priority, transport, packets });
    return packets;
  }
}
