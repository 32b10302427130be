/**
 * What tells the datagrams of one replay from all others of the sync group: eight bytes behind the last entry. A kernel reads as many
 * entries as the header counts, and no further (`ip_vs_process_message`). Pure.
 */

/** 'LVSR'. */
export const MARK_MAGIC = 0x4c565352;
/** The magic, and the number of the replay. */
export const MARK_BYTES = 8;
/** Of `struct ip_vs_sync_mesg`: its size as a whole, which the kernel compares with the datagram's. */
const SIZE_AT = 2;

/** A copy with the mark. `replay`: its number, 1 to 2^32 - 1. */
export function markMessage(message: Uint8Array, replay: number): Uint8Array {
  const marked = new Uint8Array(message.length + MARK_BYTES);
  marked.set(message);
  const view = new DataView(marked.buffer);
  view.setUint16(SIZE_AT, marked.length);
  view.setUint32(message.length, MARK_MAGIC);
  view.setUint32(message.length + 4, replay);
  return marked;
}

/** The number of the replay; undefined for what has no mark. `payload`: of the UDP datagram. */
export function markOf(payload: Uint8Array): number | undefined {
  const at = payload.length - MARK_BYTES;
  if (at < 0) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  return view.getUint32(at) === MARK_MAGIC ? view.getUint32(at + 4) : undefined;
}
