/** IP addresses as people write them in the file. */
import {
  type AddressFamily,
  addressBytes,
  addressText,
  canonicalAddress,
  familyOf,
} from '../util/ip-address.js';

/** Why a text is no address, as the end of a sentence, or its bytes in network order. */
export type AddressResult =
  | { readonly ok: true; readonly family: AddressFamily; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly reason: string };

const BITS = { ipv4: 32, ipv6: 128 } as const;
const EXAMPLE = { ipv4: '192.168.1.253', ipv6: '2001:db8::1' } as const;
const PREFIX_EXAMPLE = { ipv4: '192.168.1.253/24', ipv6: '2001:db8::1/64' } as const;

export function parseAddress(text: string): AddressResult {
  const family = familyOf(text);
  if (family === 'ipv6' && text.includes('%')) {
    return { ok: false, reason: 'has a zone: leave it out, the interface is told apart from the address' };
  }
  const bytes = addressBytes(text);
  if (bytes !== undefined) return { ok: true, family, bytes };
  return { ok: false, reason: `is not an ${familyName(family)} address such as ${EXAMPLE[family]}` };
}

/** `IPv4` or `IPv6`. */
export function familyName(family: AddressFamily): string {
  return family === 'ipv4' ? 'IPv4' : 'IPv6';
}

/**
 * As `parseAddress`, and refuses what no host can have: 0.0.0.0/8, 224.0.0.0/3 (RFC 6890), `::`, `::1`, ff00::/8
 * and IPv4-mapped addresses (RFC 4291 section 2.5).
 */
export function parseHostAddress(text: string): AddressResult {
  const parsed = parseAddress(text);
  if (!parsed.ok) return parsed;
  const { bytes, family } = parsed;
  const first = bytes[0] ?? 0;
  if (family === 'ipv4') {
    return first === 0 || first >= 224
      ? { ok: false, reason: 'is not the address of a single host' }
      : parsed;
  }
  if (bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff) {
    return { ok: false, reason: 'is an IPv4-mapped address: write it as IPv4' };
  }
  const unspecifiedOrLoopback = bytes.subarray(0, 15).every((byte) => byte === 0) && (bytes[15] ?? 0) <= 1;
  if (unspecifiedOrLoopback || first === 0xff) {
    return { ok: false, reason: 'is not the address of a single host' };
  }
  return parsed;
}

type PrefixResult =
  | { readonly ok: true; readonly family: AddressFamily; readonly bytes: Uint8Array; readonly length: number }
  | { readonly ok: false; readonly reason: string };

function parsePrefix(
  text: string,
  parse: (address: string) => AddressResult,
  shortest: number,
  without: (family: AddressFamily) => string,
): PrefixResult {
  const slash = text.indexOf('/');
  const parsed = parse(slash < 0 ? text : text.slice(0, slash));
  if (!parsed.ok) return parsed;
  const { family } = parsed;
  if (slash < 0) return { ok: false, reason: `has no prefix length: ${without(family)}` };
  const digits = text.slice(slash + 1);
  const length = Number(digits);
  if (!/^(?:0|[1-9]\d{0,2})$/.test(digits) || length > BITS[family] || length < shortest) {
    return { ok: false, reason: `has a bad prefix length: expected ${shortest} to ${BITS[family]}` };
  }
  return { ...parsed, length };
}

/** Whether all bits behind the prefix are `bit`. */
function hostBitsAre(bit: 0 | 1, bytes: Uint8Array, length: number): boolean {
  return bytes.every((byte, index) => {
    const prefixBits = Math.min(8, Math.max(0, length - 8 * index));
    const mask = 0xff >> prefixBits;
    return (byte & mask) === (bit === 0 ? 0 : mask);
  });
}

/** The reason why `text` is no `ADDRESS/PREFIX` that a host may hold, or undefined when it is one. */
export function refuseHostPrefix(text: string): string | undefined {
  const parsed = parsePrefix(text, parseHostAddress, 1, (family) => {
    return `write it as ${PREFIX_EXAMPLE[family]}, or /${BITS[family]} for the address alone`;
  });
  if (!parsed.ok) return parsed.reason;
  const { family, bytes, length } = parsed;
  if (length > BITS[family] - 2) return undefined;
  if (hostBitsAre(0, bytes, length)) {
    return family === 'ipv4'
      ? 'is the address of the network itself, not of a host in it'
      : 'is the anycast address of all routers of its network (RFC 4291 section 2.6.1), not that of a host in it';
  }
  if (family === 'ipv4' && hostBitsAre(1, bytes, length)) {
    return 'is the broadcast address of its network, not that of a host';
  }
  return undefined;
}

/** The reason why `text` is no `NETWORK/PREFIX` that a route may lead to, or undefined when it is one. */
export function refuseNetwork(text: string): string | undefined {
  const parsed = parsePrefix(
    text,
    parseAddress,
    0,
    (family) => `write /${BITS[family]} for the address alone, or 'default' for everything`,
  );
  if (!parsed.ok) return parsed.reason;
  if (hostBitsAre(0, parsed.bytes, parsed.length)) return undefined;
  const network = parsed.bytes.map(
    (byte, index) => byte & ~(0xff >> Math.min(8, Math.max(0, parsed.length - 8 * index))),
  );
  return `is not the address of a network: did you mean ${addressText(network)}/${parsed.length}?`;
}

/** RFC 5952 text of an `ADDRESS/PREFIX` that was found good; any other word as it is. */
export function canonicalPrefix(text: string): string {
  const slash = text.indexOf('/');
  return slash < 0 ? text : canonicalAddress(text.slice(0, slash)) + text.slice(slash);
}

/** Interface names that a ruleset of nftables can have in quotes, and that stand for themselves alone. */
export const NFT_INTERFACE = /^[\w.@+-]+$/;

/** Splits what `refuseHostPrefix` or `refuseNetwork` found good. */
export function splitPrefix(text: string): { readonly address: string; readonly prefixLength: number } {
  const slash = text.indexOf('/');
  return { address: text.slice(0, slash), prefixLength: Number(text.slice(slash + 1)) };
}

/** Whether the ones of the IPv4 mask stand together on the left, with at least one of them. */
export function isNetmask(text: string): boolean {
  const bytes = addressBytes(text);
  if (bytes?.length !== 4) return false;
  const value = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  return value !== 0 && Number.isInteger(Math.log2(2 ** 32 - value));
}
