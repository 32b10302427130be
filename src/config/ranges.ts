/** Ranges of addresses and of ports as people write them in the file. */
import { addressText } from '../util/ip-address.js';
import { parseHostAddress } from './address.js';

/** Addresses, or ports, that one range may stand for. */
export const MAX_RANGE = 4096;

type Range<T> =
  | { readonly ok: true; readonly all: readonly T[] }
  | { readonly ok: false; readonly reason: string };

/** `192.0.2.10`, or `192.0.2.20-192.0.2.30` with both ends in it; canonical, in their order. */
export function parseAddressRange(text: string): Range<string> {
  const [fromText = '', toText, ...rest] = text.split('-');
  if (rest.length > 0) return { ok: false, reason: 'is no range: expected FIRST-LAST' };
  const from = parseHostAddress(fromText);
  if (!from.ok) return from;
  if (toText === undefined) return { ok: true, all: [addressAfter(from.bytes, 0)] };
  const to = parseHostAddress(toText);
  if (!to.ok) return { ok: false, reason: `ends with an address that ${to.reason}` };
  if (from.family !== to.family)
    return { ok: false, reason: 'begins in one address family and ends in the other' };
  const count = numberOf(to.bytes) - numberOf(from.bytes) + 1n;
  if (count < 1n) return { ok: false, reason: 'ends before it begins' };
  if (count > BigInt(MAX_RANGE)) return { ok: false, reason: `is more than ${MAX_RANGE} addresses` };
  const all = Array.from({ length: Number(count) }, (_, index) => addressAfter(from.bytes, index));
  return { ok: true, all };
}

function numberOf(bytes: Uint8Array): bigint {
  return bytes.reduce((number, byte) => number * 256n + BigInt(byte), 0n);
}

function addressAfter(first: Uint8Array, steps: number): string {
  const bytes = first.slice();
  let carry = steps;
  for (let at = bytes.length - 1; carry > 0 && at >= 0; at -= 1) {
    carry += bytes[at] ?? 0;
    bytes[at] = carry & 0xff;
    carry >>= 8;
  }
  return addressText(bytes) ?? '';
}

type Ends =
  | { readonly ok: true; readonly ends: readonly [first: number, last: number] }
  | { readonly ok: false; readonly reason: string };

function parseEnds(text: string, what: string, least: number, most: number, example: string): Ends {
  const match = /^(\d{1,5})-(\d{1,5})$/.exec(text);
  if (match === null) return { ok: false, reason: `is no ${what} and no range such as ${example}` };
  const [first, last] = [Number(match[1]), Number(match[2])];
  if (first < least || last > most)
    return { ok: false, reason: `goes beyond the ${what}s ${least} to ${most}` };
  return first > last ? { ok: false, reason: 'ends before it begins' } : { ok: true, ends: [first, last] };
}

/** `8000-8010`, both ends in it. */
export function parsePortRange(text: string): Range<number> {
  const parsed = parseEnds(text, 'port', 1, 65_535, '8000-8010');
  if (!parsed.ok) return parsed;
  const [first, last] = parsed.ends;
  if (last - first >= MAX_RANGE) return { ok: false, reason: `is more than ${MAX_RANGE} ports` };
  return { ok: true, all: Array.from({ length: last - first + 1 }, (_, index) => first + index) };
}

/** `300-399`, of HTTP. */
export function parseStatusRange(text: string): Ends {
  return parseEnds(text, 'status code', 200, 599, '300-399');
}
