/** An advertisement under way, as bytes and as what they say. */
import { type Advertisement, decodeAdvertisement } from '../../../src/vrrp/packet.js';

export const GROUP_ADDRESS = '224.0.0.18';
export const TTL = 255;

export interface Packet {
  readonly router: number;
  readonly from: number;
  readonly sentMs: number;
  readonly source: string;
  readonly destination: string;
  readonly ttl: number;
  /** By somebody who is no director. */
  readonly isForged?: boolean;
  readonly payload: Uint8Array;
  readonly advertisement: Advertisement;
}

/** A master says the same bytes again and again. */
const known = new WeakMap<Uint8Array, Advertisement>();

/** Throws where the bytes are no advertisement: the simulated wire changes none, so the shell has made them. */
export function meaningOf(payload: Uint8Array, source: string, destination = GROUP_ADDRESS): Advertisement {
  let advertisement = known.get(payload);
  if (advertisement === undefined) {
    const result = decodeAdvertisement(payload, { source, destination, ttl: TTL });
    if (!result.ok) throw new Error(`a packet of ${source} is wrong: ${result.reason}`);
    ({ advertisement } = result);
    known.set(payload, advertisement);
  }
  return advertisement;
}
