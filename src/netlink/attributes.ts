/**
 * Netlink attributes (include/uapi/linux/netlink.h, `struct nlattr`).
 *
 * ```
 *   0 length, this header in it (2)   2 N, B and type (2)   4 value   padding to 4, not in the length
 * ```
 *
 * N (NLA_F_NESTED): the value is attributes again; B (NLA_F_NET_BYTEORDER) is not looked at. Numbers are in the host's byte
 * order but where the kernel's header says __be.
 */

/** Netlink speaks the host's byte order. */
export const HOST_LITTLE_ENDIAN = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1;

const HEADER_BYTES = 4;
const ALIGNMENT = 4;
/** Holds the longest IPVS request, a service with all its attributes. */
const INITIAL_BYTES = 160;
/** `nla_len` is 16 bits wide. */
const ATTRIBUTE_BYTES_MAX = 0xffff;
/** NLA_F_NESTED. */
const NESTED = 0x8000;
/** NLA_TYPE_MASK: without NLA_F_NESTED and NLA_F_NET_BYTEORDER. */
const TYPE_MASK = 0x3fff;

const textEncoder = new TextEncoder();
const textDecoder = new TextDecoder();

const aligned = (length: number): number => (length + ALIGNMENT - 1) & ~(ALIGNMENT - 1);

/** 32 bits in host order, as a fixed header has them. */
export function u32Bytes(value: number): Uint8Array {
  return new Uint8Array(new Uint32Array([value]).buffer);
}

/** Builds a message's attributes one after another, behind an optional fixed header. */
export class AttributeWriter {
  #bytes: Uint8Array;
  #view: DataView;
  #length = 0;

  /** `header` is what stands before the first attribute, such as `struct genlmsghdr`; a multiple of 4 bytes. */
  constructor(header: Uint8Array = new Uint8Array(0)) {
    this.#bytes = new Uint8Array(INITIAL_BYTES + aligned(header.length));
    this.#view = new DataView(this.#bytes.buffer);
    this.#bytes.set(header);
    this.#length = aligned(header.length);
  }

  #reserve(type: number, length: number): number {
    if (HEADER_BYTES + length > ATTRIBUTE_BYTES_MAX) {
      throw new RangeError(
        `netlink attribute ${type} has ${length} bytes, at most ${ATTRIBUTE_BYTES_MAX - HEADER_BYTES}`,
      );
    }
    const needed = this.#length + aligned(HEADER_BYTES + length);
    if (needed > this.#bytes.length) {
      const grown = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
      grown.set(this.#bytes);
      this.#bytes = grown;
      this.#view = new DataView(grown.buffer);
    }
    this.#view.setUint16(this.#length, HEADER_BYTES + length, HOST_LITTLE_ENDIAN);
    this.#view.setUint16(this.#length + 2, type, HOST_LITTLE_ENDIAN);
    const valueAt = this.#length + HEADER_BYTES;
    this.#length = needed;
    return valueAt;
  }

  /** 16 bits, host order. */
  u16(type: number, value: number): this {
    const at = this.#reserve(type, 2);
    this.#view.setUint16(at, value, HOST_LITTLE_ENDIAN);
    return this;
  }

  /** 16 bits, network order, such as a port. */
  u16be(type: number, value: number): this {
    const at = this.#reserve(type, 2);
    this.#view.setUint16(at, value, false);
    return this;
  }

  /** 8 bits. */
  u8(type: number, value: number): this {
    const at = this.#reserve(type, 1);
    this.#view.setUint8(at, value);
    return this;
  }

  /** 32 bits, host order. */
  u32(type: number, value: number): this {
    const at = this.#reserve(type, 4);
    this.#view.setUint32(at, value >>> 0, HOST_LITTLE_ENDIAN);
    return this;
  }

  /** 16-bit numbers one after the other, host order. */
  u16s(type: number, values: readonly number[]): this {
    return this.bytes(type, new Uint8Array(new Uint16Array(values).buffer));
  }

  /** The bytes as they are. */
  bytes(type: number, value: Uint8Array): this {
    const at = this.#reserve(type, value.length);
    this.#bytes.set(value, at);
    return this;
  }

  /** Text without a closing NUL. */
  text(type: number, value: string): this {
    return this.bytes(type, textEncoder.encode(value));
  }

  /** Text with the closing NUL that NLA_NUL_STRING wants. */
  string(type: number, value: string): this {
    const encoded = textEncoder.encode(value);
    const at = this.#reserve(type, encoded.length + 1);
    this.#bytes.set(encoded, at);
    return this;
  }

  /** What `fill` writes becomes the value of attribute `type`. */
  nested(type: number, fill: (writer: AttributeWriter) => void): this {
    const start = this.#length;
    this.#reserve(type | NESTED, 0);
    fill(this);
    const length = this.#length - start;
    if (length > ATTRIBUTE_BYTES_MAX) {
      throw new RangeError(`nested netlink attribute ${type} has ${length} bytes`);
    }
    this.#view.setUint16(start, length, HOST_LITTLE_ENDIAN);
    return this;
  }

  /** What was written; the writer is of no use after. */
  finish(): Uint8Array {
    return this.#bytes.subarray(0, this.#length);
  }
}

/** Why bytes from the wire were not understood. */
export interface DecodeFault {
  readonly code: 'truncated' | 'bad-length' | 'missing' | 'bad-value';
  /** Which field, such as `IPVS_SVC_ATTR_PORT`. */
  readonly field: string;
}

export type Decoded<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly fault: DecodeFault };

/** Attributes by type; of two with one type the later counts, as in the kernel's `nla_parse`. */
export type Attributes = ReadonlyMap<number, Uint8Array>;

/**
 * Splits `bytes` from `offset` into attributes. The values are views into `bytes`.
 * Every round consumes at least a header, so the loop ends with the input. Less than a header at the end is padding.
 */
export function readAttributes(bytes: Uint8Array, offset = 0, field = 'attributes'): Decoded<Attributes> {
  const attributes = new Map<number, Uint8Array>();
  const code = splitInto(attributes, bytes, offset);
  return code === undefined ? { ok: true, value: attributes } : { ok: false, fault: { code, field } };
}

/** The same for what is told unasked: those before the first that does not fit. */
export function decodeAttributes(bytes: Uint8Array, offset = 0): Attributes {
  const attributes = new Map<number, Uint8Array>();
  splitInto(attributes, bytes, offset);
  return attributes;
}

function splitInto(
  attributes: Map<number, Uint8Array>,
  bytes: Uint8Array,
  offset: number,
): DecodeFault['code'] | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = offset;
  if (at > bytes.length) return 'truncated';
  while (bytes.length - at >= HEADER_BYTES) {
    const length = view.getUint16(at, HOST_LITTLE_ENDIAN);
    if (length < HEADER_BYTES) return 'bad-length';
    if (length > bytes.length - at) return 'truncated';
    const type = view.getUint16(at + 2, HOST_LITTLE_ENDIAN) & TYPE_MASK;
    attributes.set(type, bytes.subarray(at + HEADER_BYTES, at + length));
    at += aligned(length);
  }
  return undefined;
}

/** A 32-bit attribute in host order; undefined when it is not there or of another length. */
export function optionalU32(attributes: Attributes, type: number): number | undefined {
  const value = attributes.get(type);
  if (value?.length !== 4) return undefined;
  return new DataView(value.buffer, value.byteOffset, 4).getUint32(0, HOST_LITTLE_ENDIAN);
}

/** Text up to its NUL; undefined when it is not there. */
export function optionalText(attributes: Attributes, type: number): string | undefined {
  const value = attributes.get(type);
  if (value === undefined) return undefined;
  const nul = value.indexOf(0);
  return textDecoder.decode(nul === -1 ? value : value.subarray(0, nul));
}

/** What a nested attribute holds; nothing when it is not there. */
export function nestedIn(attributes: Attributes, type: number): Attributes {
  return decodeAttributes(attributes.get(type) ?? new Uint8Array(0));
}

/** A fault inside a decoder; `decoding` turns it into a value. It never leaves this folder. */
class DecodeFailure extends Error {
  readonly fault: DecodeFault;
  constructor(fault: DecodeFault) {
    super(`${fault.field}: ${fault.code}`);
    this.fault = fault;
  }
}

/** Runs a decoder: what its readers could not read becomes a fault value. */
export function decoding<T>(decode: () => T): Decoded<T> {
  try {
    return { ok: true, value: decode() };
  } catch (error) {
    if (error instanceof DecodeFailure) return { ok: false, fault: error.fault };
    throw error;
  }
}

/** Ends the surrounding `decoding` with this fault. */
export function fail(code: DecodeFault['code'], field: string): never {
  throw new DecodeFailure({ code, field });
}

/** Attributes of a message or a nest, within `decoding`. */
export function attributesOf(bytes: Uint8Array, offset: number, field: string): Attributes {
  const result = readAttributes(bytes, offset, field);
  if (!result.ok) throw new DecodeFailure(result.fault);
  return result.value;
}

/** The value of an attribute that must be there; `length` is its least number of bytes. Within `decoding`. */
export function required(attributes: Attributes, type: number, length: number, field: string): DataView {
  const value = attributes.get(type);
  if (value === undefined) return fail('missing', field);
  if (value.length < length) return fail('bad-length', field);
  return new DataView(value.buffer, value.byteOffset, value.byteLength);
}

/** A 16-bit attribute in host order. Within `decoding`. */
export function u16Of(attributes: Attributes, type: number, field: string): number {
  return required(attributes, type, 2, field).getUint16(0, HOST_LITTLE_ENDIAN);
}

/** A 32-bit attribute in host order; `fallback` when it is not there. Within `decoding`. */
export function u32Of(attributes: Attributes, type: number, field: string, fallback?: number): number {
  if (fallback !== undefined && !attributes.has(type)) return fallback;
  return required(attributes, type, 4, field).getUint32(0, HOST_LITTLE_ENDIAN);
}

/** Text up to its NUL. Within `decoding`. */
export function textOf(attributes: Attributes, type: number, field: string): string {
  return optionalText(attributes, type) ?? fail('missing', field);
}
