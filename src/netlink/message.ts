/**
 * Netlink framing (include/uapi/linux/netlink.h): headers and acknowledgements. Bytes in, values out.
 *
 * ```
 *   0 length, this header in it (4)   4 type (2)   6 flags (2)   8 sequence (4)   12 port (4)   16 payload, padded to 4
 * ```
 *
 * The payload of NLMSG_ERROR (`struct nlmsgerr`): 0 negative errno, 0 for an acknowledgement (4); 4 the header of the
 * request; then the rest of the request, unless NLM_F_CAPPED, and with NLM_F_ACK_TLVS attributes that say more.
 */
import { decodeAttributes, HOST_LITTLE_ENDIAN, optionalText } from './attributes.js';

export const NLMSG_NOOP = 1;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
/** Types below NLMSG_MIN_TYPE are control messages. */
export const NLMSG_MIN_TYPE = 0x10;

export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_DUMP_INTR = 0x10;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_CAPPED = 0x100;
export const NLM_F_ACK_TLVS = 0x200;
export const NLM_F_EXCL = 0x200;
export const NLM_F_DUMP = 0x300;
export const NLM_F_CREATE = 0x400;

const HEADER_BYTES = 16;
const NLMSGERR_ATTR_MSG = 1;

export interface NetlinkRequest {
  readonly type: number;
  /** Beyond NLM_F_REQUEST and NLM_F_ACK, which are added. Not NLM_F_DUMP: that is for dumps. */
  readonly flags: number;
  readonly payload: Uint8Array;
  /** Sent without NLM_F_ACK: there is an answer to it only where the kernel refuses, which then is that to the whole batch. */
  readonly unacknowledged?: boolean;
}

/** One message of a datagram. */
export interface NetlinkFrame {
  readonly type: number;
  readonly flags: number;
  readonly sequence: number;
  readonly payload: Uint8Array;
}

/** Why the kernel, or what reads its answers, says no. */
export interface NetlinkVerdict {
  /** Positive errno. */
  readonly errno: number;
  readonly detail?: string;
  /** NLMSGERR_ATTR_MSG, the kernel's own sentence, where it sends one. */
  readonly extendedAck?: string | undefined;
}

function view(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function align4(length: number): number {
  return (length + 3) & ~3;
}

/** struct nlmsghdr with its payload, padded to NLMSG_ALIGNTO; nlmsg_pid 0 lets the kernel fill it in. */
export function encodeMessage(
  type: number,
  flags: number,
  sequence: number,
  payload: Uint8Array,
): Uint8Array {
  const length = HEADER_BYTES + payload.length;
  const bytes = new Uint8Array(align4(length));
  const header = view(bytes);
  header.setUint32(0, length, HOST_LITTLE_ENDIAN);
  header.setUint16(4, type, HOST_LITTLE_ENDIAN);
  header.setUint16(6, flags, HOST_LITTLE_ENDIAN);
  header.setUint32(8, sequence, HOST_LITTLE_ENDIAN);
  bytes.set(payload, HEADER_BYTES);
  return bytes;
}

/** The messages of one datagram. A length that does not fit ends the reading: `malformed` tells. */
export function decodeDatagram(datagram: Uint8Array): { frames: NetlinkFrame[]; malformed: boolean } {
  const frames: NetlinkFrame[] = [];
  const data = view(datagram);
  let offset = 0;
  while (offset + HEADER_BYTES <= datagram.length) {
    const length = data.getUint32(offset, HOST_LITTLE_ENDIAN);
    if (length < HEADER_BYTES || length > datagram.length - offset) {
      return { frames, malformed: true };
    }
    frames.push({
      type: data.getUint16(offset + 4, HOST_LITTLE_ENDIAN),
      flags: data.getUint16(offset + 6, HOST_LITTLE_ENDIAN),
      sequence: data.getUint32(offset + 8, HOST_LITTLE_ENDIAN),
      payload: datagram.subarray(offset + HEADER_BYTES, offset + length),
    });
    offset += align4(length);
  }
  return { frames, malformed: offset < datagram.length };
}

/**
 * The verdict of NLMSG_ERROR (struct nlmsgerr) or NLMSG_DONE: undefined for success.
 * With NLM_F_ACK_TLVS the kernel's own sentence follows, behind the request's copy unless that is NLM_F_CAPPED.
 */
export function decodeVerdict(frame: NetlinkFrame): NetlinkVerdict | undefined {
  const { payload, flags, type } = frame;
  if (payload.length < 4) {
    // NLMSG_DONE of old kernels may come without a status.
    return type === NLMSG_DONE ? undefined : { errno: EPROTO, detail: 'acknowledgement cut short' };
  }
  const status = view(payload).getInt32(0, HOST_LITTLE_ENDIAN);
  // NLMSG_DONE carries the dump's return value, which may be positive.
  if (status >= 0) {
    return undefined;
  }
  return { errno: -status, extendedAck: extendedAck(payload, flags, type) };
}

function extendedAck(payload: Uint8Array, flags: number, type: number): string | undefined {
  if ((flags & NLM_F_ACK_TLVS) === 0) {
    return undefined;
  }
  let offset = 4;
  if (type === NLMSG_ERROR) {
    if (payload.length < 4 + HEADER_BYTES) {
      return undefined;
    }
    const copied = view(payload).getUint32(4, HOST_LITTLE_ENDIAN);
    offset = 4 + ((flags & NLM_F_CAPPED) === 0 ? align4(copied) : HEADER_BYTES);
  }
  return optionalText(decodeAttributes(payload, offset), NLMSGERR_ATTR_MSG);
}

/** Errno values that this layer itself reports. */
export const EINTR = 4;
export const EPROTO = 71;
export const EMSGSIZE = 90;
export const ENOBUFS = 105;
export const ETIMEDOUT = 110;
