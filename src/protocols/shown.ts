/** Bytes of a real server, or of the file, in a reason: printable, on one line, and not many. */
import { hexText } from '../util/hex.js';

const MAX_SHOWN = 60;

/** As text in quotes: a run of white space as one space, other bytes than printable ASCII as dots. */
export function shown(bytes: Uint8Array): string {
  // Some more than are shown, since white space shrinks; the rest is not looked at.
  const text = asciiText(bytes.subarray(0, 4 * MAX_SHOWN))
    .replace(/[ \t\r\n]+/g, ' ')
    .trim();
  const cut = text.length > MAX_SHOWN || bytes.length > 4 * MAX_SHOWN;
  return `'${text.slice(0, MAX_SHOWN)}${cut ? '...' : ''}'`;
}

/** The same, but as hexadecimal digits where a byte is no printable ASCII and no white space. */
export function shownExactly(bytes: Uint8Array): string {
  if (bytes.every((byte) => isPrintable(byte) || isSpace(byte))) return shown(bytes);
  const most = MAX_SHOWN / 2;
  return `hex ${hexText(bytes.subarray(0, most))}${bytes.length > most ? '...' : ''}`;
}

function asciiText(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) =>
    isPrintable(byte) || isSpace(byte) ? String.fromCharCode(byte) : '.',
  ).join('');
}

function isPrintable(byte: number): boolean {
  return byte >= 0x20 && byte < 0x7f;
}

function isSpace(byte: number): boolean {
  return byte === 0x09 || byte === 0x0a || byte === 0x0d;
}
