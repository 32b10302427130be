/** IPv4 addresses as text and as 32-bit numbers. */

/** Why a text is no IPv4 address, as the end of a sentence, or its number. */
export type Ipv4Result =
  | { readonly ok: true; readonly value: number }
  | { readonly ok: false; readonly reason: string };

const IPV6_LATER = 'is an IPv6 address, not supported yet: VRRP over IPv6 comes later';

/** Dotted quad without leading zeros (`010` is 8 to one program and 10 to the next). */
export function parseIpv4(text: string): Ipv4Result {
  if (text.includes(':')) return { ok: false, reason: IPV6_LATER };
  const parts = text.split('.');
  if (
    parts.length !== 4 ||
    !parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)
  ) {
    return { ok: false, reason: 'is not an IPv4 address such as 192.168.1.253' };
  }
  return { ok: true, value: parts.reduce((sum, part) => sum * 256 + Number(part), 0) };
}

/** As `parseIpv4`, and refuses what no host can have: 0.0.0.0/8, multicast and 240.0.0.0/4 (RFC 6890). */
export function parseHostAddress(text: string): Ipv4Result {
  const parsed = parseIpv4(text);
  if (!parsed.ok) return parsed;
  const first = Math.floor(parsed.value / 2 ** 24);
  if (first === 0 || first >= 224) return { ok: false, reason: 'is not the address of a single host' };
  return parsed;
}

/** The reason why `text` is no `ADDRESS/PREFIX` that a host may hold, or undefined when it is one. */
export function refuseHostPrefix(text: string): string | undefined {
  const slash = text.indexOf('/');
  const parsed = parseHostAddress(slash < 0 ? text : text.slice(0, slash));
  if (!parsed.ok) return parsed.reason;
  if (slash < 0) return 'has no prefix length: write it as 192.168.1.253/24, or /32 for the address alone';
  const digits = text.slice(slash + 1);
  if (!/^(?:0|[1-9]\d?)$/.test(digits) || Number(digits) > 32 || Number(digits) === 0) {
    return 'has a bad prefix length: expected 1 to 32';
  }
  const length = Number(digits);
  if (length > 30) return undefined;
  const hostBits = 2 ** (32 - length);
  const host = parsed.value % hostBits;
  if (host === 0) return 'is the address of the network itself, not of a host in it';
  if (host === hostBits - 1) return 'is the broadcast address of its network, not that of a host';
  return undefined;
}

/** Splits what `refuseHostPrefix` found good. */
export function splitPrefix(text: string): { readonly address: string; readonly prefixLength: number } {
  const slash = text.indexOf('/');
  return { address: text.slice(0, slash), prefixLength: Number(text.slice(slash + 1)) };
}

/** Whether the ones of the mask stand together on the left, with at least one of them. */
export function isNetmask(text: string): boolean {
  const parsed = parseIpv4(text);
  if (!parsed.ok || parsed.value === 0) return false;
  const hosts = 2 ** 32 - parsed.value;
  return Number.isInteger(Math.log2(hosts));
}
