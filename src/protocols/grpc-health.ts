/** grpc.health.v1.Health/Check: its two messages as gRPC puts them into a body, and the words for what can be wrong. */
import { shown } from './shown.js';

export const HEALTH_CHECK_PATH = '/grpc.health.v1.Health/Check';
/** A status is two bytes; what else a server adds is not much. */
export const MAX_MESSAGE_BYTES = 4096;
/** A flag that it is compressed, and the length. */
const PREFIX = 5;
/** Both messages have one field of number 1: `string service`, and `ServingStatus status`. */
const SERVICE_TAG = 0x0a;
const STATUS_FIELD = 1;
const STATUSES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN'];
/** By number. */
const CODES = (
  'OK CANCELLED UNKNOWN INVALID_ARGUMENT DEADLINE_EXCEEDED NOT_FOUND ALREADY_EXISTS PERMISSION_DENIED RESOURCE_EXHAUSTED ' +
  'FAILED_PRECONDITION ABORTED OUT_OF_RANGE UNIMPLEMENTED INTERNAL UNAVAILABLE DATA_LOSS UNAUTHENTICATED'
).split(' ');

/** `service`: empty is the server as a whole; at most 127 bytes. */
export function encodeHealthRequest(service: string): Uint8Array {
  const name = new TextEncoder().encode(service);
  const message = name.length === 0 ? name : Uint8Array.of(SERVICE_TAG, name.length, ...name);
  return Uint8Array.of(0, 0, 0, 0, message.length, ...message);
}

/** What the end of a call says: undefined when the service serves, or why it does not. `body`: all of it. */
export function healthFault(
  body: Uint8Array,
  grpcStatus: string | undefined,
  grpcMessage: string | undefined,
): string | undefined {
  if (grpcStatus === undefined) return 'the answer is not gRPC: it has no grpc-status';
  if (grpcStatus !== '0') {
    const code = CODES[Number(grpcStatus)] ?? 'no code of gRPC';
    const words = grpcMessage === undefined || grpcMessage === '' ? '' : `, ${shown(decoded(grpcMessage))}`;
    return `grpc-status ${shownNumber(grpcStatus)} (${code})${words}`;
  }
  const status = servingStatus(body);
  if (status === undefined) return 'the answer is no HealthCheckResponse';
  return status === 1 ? undefined : `the service is ${STATUSES[status] ?? `in state ${status}`}`;
}

function shownNumber(text: string): string {
  return /^\d{1,3}$/.test(text) ? text : shown(new TextEncoder().encode(text));
}

/** Of percent-encoding, which gRPC has in its messages. One that is broken is shown as it is. */
function decoded(text: string): Uint8Array {
  let words = text;
  try {
    words = decodeURIComponent(text);
  } catch {
    // As it is.
  }
  return new TextEncoder().encode(words);
}

/** Undefined for what is no HealthCheckResponse. */
export function servingStatus(body: Uint8Array): number | undefined {
  if (body.length < PREFIX || body[0] !== 0) return undefined;
  const length = new DataView(body.buffer, body.byteOffset).getUint32(1);
  if (length !== body.length - PREFIX) return undefined;
  return statusOf(body.subarray(PREFIX));
}

/** The last of its name counts, fields of later versions are passed over, and none is 0 (protobuf's rules). */
function statusOf(message: Uint8Array): number | undefined {
  let status = 0;
  let at = 0;
  while (at < message.length) {
    const tag = varint(message, at);
    if (tag === undefined || tag.value < 8) return undefined;
    at = tag.end;
    const wireType = tag.value % 8;
    if (wireType === 0) {
      const value = varint(message, at);
      if (value === undefined) return undefined;
      if (Math.floor(tag.value / 8) === STATUS_FIELD) status = value.value;
      at = value.end;
    } else if (wireType === 2) {
      const length = varint(message, at);
      if (length === undefined) return undefined;
      at = length.end + length.value;
    } else if (wireType === 1 || wireType === 5) {
      at += wireType === 1 ? 8 : 4;
    } else {
      return undefined;
    }
  }
  return at === message.length ? status : undefined;
}

/** Ten bytes at most, seven bits each, the lowest first; what is above 2^53 loses its last digits, and is no status. */
function varint(
  bytes: Uint8Array,
  from: number,
): { readonly value: number; readonly end: number } | undefined {
  let value = 0;
  for (let index = 0; index < 10; index += 1) {
    const byte = bytes[from + index];
    if (byte === undefined) return undefined;
    value += (byte & 0x7f) * 2 ** (7 * index);
    if (byte < 0x80) return { value, end: from + index + 1 };
  }
  return undefined;
}
