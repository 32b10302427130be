/** IPv4 and IPv6 addresses between text and network-order bytes: the one place for it. Pure. */

export type AddressFamily = 'ipv4' | 'ipv6';

/** Address families of the kernel's interfaces (linux/socket.h). */
export const AF_INET = 2;
export const AF_INET6 = 10;

const IPV4_OCTETS = 4;
const IPV6_GROUPS = 8;

/** By the look of the text: a colon makes it IPv6. */
export function familyOf(address: string): AddressFamily {
  return address.includes(':') ? 'ipv6' : 'ipv4';
}

const DOT = 0x2e;
const DIGIT_0 = 0x30;
const DIGIT_9 = 0x39;

/** Character by character: tables of tens of thousands of real servers pass here on every reconciliation. */
function ipv4Bytes(text: string): Uint8Array | undefined {
  const bytes = new Uint8Array(IPV4_OCTETS);
  let octet = 0;
  let digits = 0;
  let value = 0;
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code === DOT) {
      if (digits === 0 || octet === IPV4_OCTETS - 1) return undefined;
      bytes[octet] = value;
      octet += 1;
      digits = 0;
      value = 0;
      continue;
    }
    // A leading zero would be read as octal by some.
    if (code < DIGIT_0 || code > DIGIT_9 || (digits > 0 && value === 0)) return undefined;
    value = value * 10 + code - DIGIT_0;
    digits += 1;
    if (value > 255) return undefined;
  }
  if (digits === 0 || octet !== IPV4_OCTETS - 1) return undefined;
  bytes[octet] = value;
  return bytes;
}

/** 16-bit groups of one side of `::`, the address's last one possibly dotted; undefined when malformed. */
function ipv6Groups(text: string, endsAddress: boolean): number[] | undefined {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (part.includes('.')) {
      const tail = endsAddress && index === parts.length - 1 ? ipv4Bytes(part) : undefined;
      if (tail === undefined) return undefined;
      const view = new DataView(tail.buffer);
      groups.push(view.getUint16(0), view.getUint16(2));
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return undefined;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups;
}

function ipv6Bytes(text: string): Uint8Array | undefined {
  const halves = text.split('::');
  if (halves.length > 2) return undefined;
  const head = ipv6Groups(halves[0] ?? '', halves.length === 1);
  const tail = halves.length === 2 ? ipv6Groups(halves[1] ?? '', true) : [];
  if (head === undefined || tail === undefined) return undefined;
  const zeros = IPV6_GROUPS - head.length - tail.length;
  if (halves.length === 2 ? zeros < 1 : zeros !== 0) return undefined;
  const bytes = new Uint8Array(IPV6_GROUPS * 2);
  const view = new DataView(bytes.buffer);
  for (const [index, group] of head.entries()) view.setUint16(index * 2, group);
  for (const [index, group] of tail.entries()) view.setUint16((head.length + zeros + index) * 2, group);
  return bytes;
}

/** 4 or 16 bytes in network order; undefined when `text` is no address. Scope ids are not accepted. */
export function addressBytes(text: string): Uint8Array | undefined {
  return familyOf(text) === 'ipv4' ? ipv4Bytes(text) : ipv6Bytes(text);
}

/** The longest run of two or more zero groups, the first of equals (RFC 5952 section 4.2). */
function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: -1, length: 1 };
  let start = -1;
  for (const [index, group] of groups.entries()) {
    if (group !== 0) {
      start = -1;
      continue;
    }
    if (start === -1) start = index;
    if (index - start + 1 > best.length) best = { start, length: index - start + 1 };
  }
  return best;
}

/** As `addressBytes`, for text that was validated before. @throws RangeError when it is no address after all. */
export function knownAddressBytes(text: string): Uint8Array {
  const bytes = addressBytes(text);
  if (bytes === undefined) throw new RangeError(`'${text}' is no IP address`);
  return bytes;
}

/** Canonical text (RFC 5952) of 4 or 16 bytes; undefined for any other length. */
export function addressText(bytes: Uint8Array): string | undefined {
  if (bytes.length === IPV4_OCTETS) return bytes.join('.');
  return bytes.length === 2 * IPV6_GROUPS ? ipv6Text(bytes) : undefined;
}

/** The one text of an address (RFC 5952). @throws RangeError when it is no address. */
export function canonicalAddress(text: string): string {
  const bytes = knownAddressBytes(text);
  // Without leading zeros there is one way to write it.
  return bytes.length === IPV4_OCTETS ? text : (addressText(bytes) ?? text);
}

/** Negative, zero or positive as `a` is the lower, the same or the higher address of one family, unsigned. */
export function compareAddresses(a: string, b: string): number {
  const left = knownAddressBytes(a);
  const right = knownAddressBytes(b);
  for (const [index, byte] of left.entries()) {
    const difference = byte - (right[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}

function ipv6Text(bytes: Uint8Array): string {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const groups = Array.from({ length: IPV6_GROUPS }, (_, index) => view.getUint16(index * 2));
  // RFC 5952 section 5, as inet_ntop(3): IPv4-mapped addresses keep their dotted tail.
  if (groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff) {
    return `::ffff:${bytes.subarray(12, 16).join('.')}`;
  }
  const hex = groups.map((group) => group.toString(16));
  const run = longestZeroRun(groups);
  if (run.start === -1) return hex.join(':');
  return `${hex.slice(0, run.start).join(':')}::${hex.slice(run.start + run.length).join(':')}`;
}

/** `192.0.2.1:80` or `[2001:db8::1]:80`. */
export function endpointText(address: string, port: number): string {
  return familyOf(address) === 'ipv6' ? `[${address}]:${port}` : `${address}:${port}`;
}

/** fe80::/10 (RFC 4291 section 2.5.6); false for what is no address. */
export function isLinkLocal(text: string): boolean {
  if (familyOf(text) === 'ipv4') return false;
  const bytes = addressBytes(text);
  return bytes?.length === 16 && bytes[0] === 0xfe && ((bytes[1] ?? 0) & 0xc0) === 0x80;
}
