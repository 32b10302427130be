/**
 * Datagrams of the peer channel. Everything in network order; one datagram is the whole of what a director has to say.
 *
 * ```
 *   0  'LVSD'             4 bytes
 *   4  version            1 byte, 1
 *   5  flags              1 byte, bit 0: a MAC of 32 bytes follows
 *   6  length             2 bytes, of header and fields without the MAC
 *   8  session            8 bytes, random for each start of the sender
 *  16  sequence           8 bytes, grows with every datagram of a session
 *  24  challenge          8 bytes, random; the receiver proves by it that it hears now
 *  32  answer             8 bytes, the receiver's challenge as heard last; 0: none
 *  40  fields             type 1 byte, length 2 bytes, value; unknown types are passed over
 * ```
 */
import { type Field, fieldBytes, fieldsOf, type Hello, helloOf } from './hello.js';

const MAGIC = 0x4c565344;
export const WIRE_VERSION = 1;
const SEALED = 1;
export const HEADER_BYTES = 40;
/** HMAC-SHA256. */
export const MAC_BYTES = 32;
/** Header, fields and MAC: no network has to fragment it. */
export const MAX_DATAGRAM_BYTES = 1200;
const FIELD_HEAD_BYTES = 3;

export interface Header {
  /** 64 bits, not 0. */
  readonly session: bigint;
  /** From 1. */
  readonly sequence: number;
  readonly challenge: bigint;
  /** 0n: none was heard. */
  readonly answer: bigint;
}

export interface PeerMessage extends Header {
  readonly hello: Hello;
}

/** Why a datagram was not taken; each is a counter. */
export const DISCARD_REASONS = [
  /** From an address that is no peer's. */
  'stranger',
  'bad-length',
  'bad-magic',
  /** Of another version of this channel. */
  'bad-version',
  /** A field that is not what its type asks for. */
  'bad-field',
  /** Without a MAC, though there is a key here. */
  'unsealed',
  /** With a MAC, though there is no key here. */
  'sealed',
  'bad-mac',
  /** Our own. */
  'reflected',
  /** Not younger than the last one of its session. */
  'replayed',
  /** Of a session that has not answered our challenge: a peer that has just started, or a recording. */
  'unproven',
  /** Came faster than it was read. */
  'unread',
] as const;
export type DiscardReason = (typeof DISCARD_REASONS)[number];

export type OpenResult =
  | { readonly ok: true; readonly message: PeerMessage }
  | { readonly ok: false; readonly reason: DiscardReason };

/** HMAC-SHA256 of the bytes under the channel's key: 32 bytes. */
export type Mac = (bytes: Uint8Array) => Uint8Array;

/** @throws RangeError for a hello that does not fit: its parts are bounded so that it does. */
export function sealDatagram({ hello, ...header }: PeerMessage, mac: Mac | undefined): Uint8Array {
  const fields = fieldsOf(hello);
  const length = HEADER_BYTES + fields.reduce((sum, { value }) => sum + FIELD_HEAD_BYTES + value.length, 0);
  const whole = length + (mac === undefined ? 0 : MAC_BYTES);
  if (whole > MAX_DATAGRAM_BYTES) throw new RangeError(`a datagram of ${whole} bytes`);
  const bytes = new Uint8Array(whole);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC);
  view.setUint8(4, WIRE_VERSION);
  view.setUint8(5, mac === undefined ? 0 : SEALED);
  view.setUint16(6, length);
  view.setBigUint64(8, header.session);
  view.setBigUint64(16, BigInt(header.sequence));
  view.setBigUint64(24, header.challenge);
  view.setBigUint64(32, header.answer);
  let at = HEADER_BYTES;
  for (const { type, value } of fields) {
    view.setUint8(at, type);
    view.setUint16(at + 1, value.length);
    bytes.set(value, at + FIELD_HEAD_BYTES);
    at += FIELD_HEAD_BYTES + value.length;
  }
  if (mac !== undefined) bytes.set(mac(bytes.subarray(0, length)), length);
  return bytes;
}

/** Never throws. With a `mac` nothing of a datagram counts before that is right. */
export function openDatagram(bytes: Uint8Array, mac: Mac | undefined): OpenResult {
  if (bytes.length < HEADER_BYTES || bytes.length > MAX_DATAGRAM_BYTES) return refused('bad-length');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0) !== MAGIC) return refused('bad-magic');
  if (view.getUint8(4) !== WIRE_VERSION) return refused('bad-version');
  const isSealed = view.getUint8(5) === SEALED;
  if (isSealed !== (mac !== undefined)) return refused(isSealed ? 'sealed' : 'unsealed');
  const length = view.getUint16(6);
  if (length < HEADER_BYTES || length + (isSealed ? MAC_BYTES : 0) !== bytes.length)
    return refused('bad-length');
  if (mac !== undefined && !isSame(mac(bytes.subarray(0, length)), bytes.subarray(length)))
    return refused('bad-mac');
  const sequence = view.getBigUint64(16);
  const session = view.getBigUint64(8);
  if (session === 0n || sequence === 0n || sequence > BigInt(Number.MAX_SAFE_INTEGER))
    return refused('bad-field');
  const fields = readFields(bytes.subarray(HEADER_BYTES, length));
  const hello = fields && helloOf(fields);
  if (hello === undefined) return refused('bad-field');
  return {
    ok: true,
    message: {
      session,
      sequence: Number(sequence),
      challenge: view.getBigUint64(24),
      answer: view.getBigUint64(32),
      hello,
    },
  };
}

/** Undefined when a length reaches beyond the end. */
function readFields(bytes: Uint8Array): Field[] | undefined {
  const fields: Field[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (at + FIELD_HEAD_BYTES > bytes.length) return undefined;
    const field = fieldBytes(bytes, at);
    at += FIELD_HEAD_BYTES + field.length;
    if (at > bytes.length) return undefined;
    fields.push({ type: field.type, value: bytes.subarray(at - field.length, at) });
  }
  return fields;
}

/** Takes the same time wherever they differ. */
function isSame(a: Uint8Array, b: Uint8Array): boolean {
  let difference = a.length ^ b.length;
  for (let i = 0; i < a.length; i++) difference |= (a[i] ?? 0) ^ (b[i] ?? 0);
  return difference === 0;
}

function refused(reason: DiscardReason): OpenResult {
  return { ok: false, reason };
}
