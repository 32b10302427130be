/** IPv4 addresses as text and as four bytes. */

/** @throws RangeError for what is not a dotted quad; callers pass what was validated before. */
export function parseIpv4(text: string): Uint8Array {
  const bytes = Uint8Array.from(text.split('.'), Number);
  if (bytes.length !== 4 || formatIpv4(bytes) !== text) throw new RangeError(`'${text}' is no IPv4 address`);
  return bytes;
}

export function formatIpv4(bytes: Uint8Array): string {
  return bytes.join('.');
}

/** Negative, zero or positive as `a` is the lower, the same or the higher address. */
export function compareIpv4(a: string, b: string): number {
  const left = parseIpv4(a);
  const right = parseIpv4(b);
  for (let i = 0; i < 4; i += 1) {
    const difference = (left[i] ?? 0) - (right[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
