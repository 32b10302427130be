/** Hexadecimal digits of bytes, two each, such as a MAC address with `:` between them. */
export function hexText(bytes: Uint8Array, separator = ''): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(separator);
}
