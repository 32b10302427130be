/** An instance's advertisements as they go out. Pure. */
import type { VrrpInstance } from '../config/model.js';
import { encodeAdvertisement } from '../vrrp/packet.js';
import type { VrrpPacket, VrrpTransport } from './ports.js';

/** What an instance sends to each destination: its advertisement, or with priority 0 its farewell. */
export function advertisementPackets(
  config: VrrpInstance,
  priority: number,
  { source, destinations }: Pick<VrrpTransport, 'source' | 'destinations'>,
): readonly VrrpPacket[] {
  const {
    version,
    family,
    virtualRouterId,
    advertisementIntervalMs,
    advertised: addresses,
    checksum,
  } = config;
  const advertisement = { version, family, virtualRouterId, priority, advertisementIntervalMs, addresses };
  return destinations.map((destination) => ({
    destination,
    payload: encodeAdvertisement(advertisement, { checksum, source, destination }),
  }));
}
