/** Bytes of struct sockaddr_in, sockaddr_in6, sockaddr_ll and sockaddr_un, in the machine's byte order. */
import { endianness } from 'node:os';
import { AF_INET, AF_INET6, addressText, addressBytes as parseAddress } from '../../util/ip-address.js';
import { AF_PACKET, AF_UNIX } from './socket-constants.js';

const LITTLE = endianness() === 'LE';
const SOCKADDR_IN_LENGTH = 16;
const SOCKADDR_IN6_LENGTH = 28;
const SOCKADDR_LL_LENGTH = 20;
const SOCKADDR_LL_ADDRESS_OFFSET = 12;
/** sockaddr_ll.sll_addr holds eight bytes. */
const MAX_LINK_ADDRESS = 8;
/** sizeof sun_path. */
const MAX_UNIX_PATH = 108;

/** An argument that is not what the kernel's structure can hold. */
export class SocketAddressError extends RangeError {
  override readonly name = 'SocketAddressError';
  readonly code = 'ERR_SOCKET_ADDRESS';
}

/** A C `int` (socket option values) in the machine's byte order. */
export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  if (LITTLE) bytes.writeInt32LE(value);
  else bytes.writeInt32BE(value);
  return bytes;
}

/** A C `unsigned int` at `offset`, in the machine's byte order. */
export function uint32(bytes: Buffer, offset: number): number {
  return LITTLE ? bytes.readUInt32LE(offset) : bytes.readUInt32BE(offset);
}

function writeFamily(bytes: Buffer, family: number): void {
  if (LITTLE) bytes.writeUInt16LE(family, 0);
  else bytes.writeUInt16BE(family, 0);
}

function familyOf(bytes: Buffer): number | undefined {
  if (bytes.length < 2) return undefined;
  return LITTLE ? bytes.readUInt16LE(0) : bytes.readUInt16BE(0);
}

/**
 * The bytes of an IP address of the given family, in network order.
 *
 * @throws {SocketAddressError} when the text is no such address.
 */
export function addressBytes(text: string, family: typeof AF_INET | typeof AF_INET6): Buffer {
  const bytes = parseAddress(text);
  if (bytes === undefined || bytes.length !== (family === AF_INET ? 4 : 16)) {
    throw new SocketAddressError(`${JSON.stringify(text)} is no IPv${family === AF_INET ? 4 : 6} address`);
  }
  return Buffer.from(bytes);
}

/** struct sockaddr_in; raw sockets want port 0. */
export function inetAddress(address: string, port = 0): Buffer {
  const bytes = Buffer.alloc(SOCKADDR_IN_LENGTH);
  writeFamily(bytes, AF_INET);
  bytes.writeUInt16BE(port, 2);
  addressBytes(address, AF_INET).copy(bytes, 4);
  return bytes;
}

/** struct sockaddr_in6; the scope is an interface index, 0 for none, and raw sockets want port 0. */
export function inet6Address(address: string, scope: number, port = 0): Buffer {
  const bytes = Buffer.alloc(SOCKADDR_IN6_LENGTH);
  writeFamily(bytes, AF_INET6);
  bytes.writeUInt16BE(port, 2);
  addressBytes(address, AF_INET6).copy(bytes, 8);
  int32(scope).copy(bytes, 24);
  return bytes;
}

/** The text of a sockaddr_in or sockaddr_in6; empty for any other. */
export function ipAddressText(bytes: Buffer): string {
  const family = familyOf(bytes);
  if (family === AF_INET && bytes.length >= 8) return addressText(bytes.subarray(4, 8)) ?? '';
  if (family === AF_INET6 && bytes.length >= 24) return addressText(bytes.subarray(8, 24)) ?? '';
  return '';
}

/** packet(7): where a frame came from or goes to. */
export interface LinkAddress {
  readonly interfaceIndex: number;
  /** EtherType, such as 0x0806. */
  readonly etherType: number;
  /** Link-layer address, at most 8 bytes. */
  readonly address: Uint8Array;
}

/** struct sockaddr_ll. */
export function linkAddress(link: LinkAddress): Buffer {
  if (link.address.length > MAX_LINK_ADDRESS) {
    throw new SocketAddressError(`a link-layer address of ${link.address.length} bytes`);
  }
  const bytes = Buffer.alloc(SOCKADDR_LL_LENGTH);
  writeFamily(bytes, AF_PACKET);
  bytes.writeUInt16BE(link.etherType, 2);
  int32(link.interfaceIndex).copy(bytes, 4);
  bytes.writeUInt8(link.address.length, 11);
  bytes.set(link.address, SOCKADDR_LL_ADDRESS_OFFSET);
  return bytes;
}

/** Reads a sockaddr_ll; undefined when the bytes are none. */
export function parseLinkAddress(bytes: Buffer): (LinkAddress & { packetType: number }) | undefined {
  if (familyOf(bytes) !== AF_PACKET || bytes.length < SOCKADDR_LL_ADDRESS_OFFSET) return undefined;
  const length = Math.min(bytes.readUInt8(11), bytes.length - SOCKADDR_LL_ADDRESS_OFFSET);
  return {
    etherType: bytes.readUInt16BE(2),
    interfaceIndex: LITTLE ? bytes.readInt32LE(4) : bytes.readInt32BE(4),
    packetType: bytes.readUInt8(10),
    address: bytes.subarray(SOCKADDR_LL_ADDRESS_OFFSET, SOCKADDR_LL_ADDRESS_OFFSET + length),
  };
}

/**
 * struct sockaddr_un. A path that begins with `@` is in the abstract namespace (unix(7)).
 *
 * @throws {SocketAddressError} when it is empty, has a zero byte or does not fit.
 */
export function unixAddress(path: string): Buffer {
  const name = Buffer.from(path);
  const abstract = path.startsWith('@');
  if (name.length === 0 || name.includes(0) || name.length + (abstract ? 0 : 1) > MAX_UNIX_PATH) {
    throw new SocketAddressError(`${JSON.stringify(path)} is no path of a unix socket`);
  }
  if (abstract) name.writeUInt8(0, 0);
  const bytes = Buffer.alloc(2 + name.length + (abstract ? 0 : 1));
  writeFamily(bytes, AF_UNIX);
  name.copy(bytes, 2);
  return bytes;
}

/** The path of a sockaddr_un, `@` for the abstract namespace; empty for an unnamed socket. */
export function unixAddressText(bytes: Buffer): string {
  if (familyOf(bytes) !== AF_UNIX || bytes.length <= 2) return '';
  if (bytes.readUInt8(2) === 0) return `@${bytes.toString('utf8', 3)}`;
  const end = bytes.indexOf(0, 2);
  return bytes.toString('utf8', 2, end < 0 ? bytes.length : end);
}
