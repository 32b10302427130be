/** A master says the same thing over and over: what was decoded once is known by its bytes. Pure but for its memory. */
import { type DecodeResult, decodeAdvertisement, type Envelope } from './packet.js';

/** Senders remembered. Forgotten all at once when there are more, so that a flood of others costs no memory. */
const MAX_SENDERS = 64;

interface Remembered extends Envelope {
  readonly message: Uint8Array;
  readonly result: DecodeResult;
}

export class AdvertisementMemory {
  /** By source, then by virtual router identifier. */
  readonly #senders = new Map<string, Map<number, Remembered>>();

  /** As `decodeAdvertisement`. The same message from the same sender in the same envelope is not decoded again. */
  decode(message: Uint8Array, envelope: Envelope): DecodeResult {
    const { source, destination, ttl, minTtl } = envelope;
    const virtualRouterId = message[1] ?? 0;
    const known = this.#senders.get(source)?.get(virtualRouterId);
    if (known !== undefined && isSame(known, message, envelope)) return known.result;
    const result = decodeAdvertisement(message, envelope);
    // What is discarded may be a stranger's.
    if (!result.ok) return result;
    let sender = this.#senders.get(source);
    if (sender === undefined) {
      if (this.#senders.size >= MAX_SENDERS) this.#senders.clear();
      sender = new Map();
      this.#senders.set(source, sender);
    }
    sender.set(virtualRouterId, {
      message: new Uint8Array(message),
      source,
      destination,
      ttl,
      minTtl,
      result,
    });
    return result;
  }
}

function isSame(known: Remembered, message: Uint8Array, { destination, ttl, minTtl }: Envelope): boolean {
  if (known.destination !== destination || known.ttl !== ttl || known.minTtl !== minTtl) return false;
  const { message: before } = known;
  if (before.length !== message.length) return false;
  for (let at = 0; at < message.length; at++) if (before[at] !== message[at]) return false;
  return true;
}
