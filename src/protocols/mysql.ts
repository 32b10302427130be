/**
 * The beginning of a connection to MySQL or MariaDB: its greeting, a login without a password, and the farewell. The
 * login is what makes the difference to a connection alone: a server blocks hosts that break off before it
 * (`max_connect_errors`).
 */
import type { Reading, Step } from './dialogue.js';
import { shown } from './shown.js';

/** Length in three bytes, the lowest first, and the number of the packet. */
const HEADER = 4;
/** Greetings, errors and the answer to a login are shorter. */
const MAX_PAYLOAD = 4096;
const PROTOCOL_VERSION = 10;
/** First bytes of a payload. */
const OK = 0x00;
const AUTH_SWITCH = 0xfe;
const ERROR = 0xff;
const COM_QUIT = 0x01;
/** Of the greeting behind the server's version: thread, first part of the challenge, filler, capabilities. */
const GREETING_REST = 4 + 8 + 1 + 2;
/** CLIENT_LONG_PASSWORD, CLIENT_PROTOCOL_41, CLIENT_SECURE_CONNECTION and CLIENT_PLUGIN_AUTH. */
const CAPABILITIES = 0x0000_0001 | 0x0000_0200 | 0x0000_8000 | 0x0008_0000;
const MAX_PACKET = 0x0100_0000;
const UTF8MB4 = 45;
/**
 * A server says so that is at work and does not let the check's user in: access denied (two ways), authentication it
 * cannot be asked for, password expired (two ways), TLS wanted, account locked (two servers).
 */
const NOT_LET_IN: ReadonlySet<number> = new Set([1045, 1698, 1251, 1820, 1862, 3159, 3118, 4151]);

export function mysql(user: string): readonly Step[] {
  return [
    { type: 'read', wanted: 'greeting of MySQL', read: greeting },
    { type: 'send', bytes: packet(1, login(user)) },
    { type: 'read', wanted: 'answer to the login', read: loginAnswer },
  ];
}

function greeting(bytes: Uint8Array): Reading {
  const found = payloadOf(bytes, 0);
  if (found === undefined || 'type' in found) return found ?? { type: 'more' };
  const { payload, used } = found;
  if (payload[0] === ERROR) return { type: 'wrong', reason: errorOf(payload).words };
  if (payload[0] !== PROTOCOL_VERSION) return stranger(bytes);
  const versionEnd = payload.indexOf(0, 1);
  if (versionEnd < 0 || payload.length - versionEnd - 1 < GREETING_REST) return stranger(bytes);
  return { type: 'taken', used };
}

function loginAnswer(bytes: Uint8Array): Reading {
  const found = payloadOf(bytes, 2);
  if (found === undefined || 'type' in found) return found ?? { type: 'more' };
  const { payload, used } = found;
  const quit = packet(0, Uint8Array.of(COM_QUIT));
  if (payload[0] === OK) return { type: 'taken', used, answer: quit };
  // Another way to prove who it is: no password that way, either. Whatever the answer, it was one.
  if (payload[0] === AUTH_SWITCH) {
    return { type: 'taken', used, answer: Uint8Array.of(...packet(3, new Uint8Array()), ...quit) };
  }
  if (payload[0] !== ERROR) return stranger(bytes);
  const { code, words } = errorOf(payload);
  return NOT_LET_IN.has(code) ? { type: 'taken', used } : { type: 'wrong', reason: words };
}

type Payload = { readonly payload: Uint8Array; readonly used: number };

/** Of the first packet, which has this number; undefined: not all of it is there. */
function payloadOf(bytes: Uint8Array, number: number): Payload | Reading | undefined {
  const [low, middle, high, sequence] = bytes;
  if (low === undefined || middle === undefined || high === undefined || sequence === undefined) {
    return undefined;
  }
  const length = low | (middle << 8) | (high << 16);
  if (length === 0 || length > MAX_PAYLOAD || sequence !== number) return stranger(bytes);
  const used = HEADER + length;
  return bytes.length < used ? undefined : { payload: bytes.subarray(HEADER, used), used };
}

function stranger(bytes: Uint8Array): Reading {
  return { type: 'wrong', reason: `the answer is not MySQL: ${shown(bytes)}` };
}

/** The code in two bytes, `#` and five digits of SQLSTATE where there is one, and a message. */
function errorOf(payload: Uint8Array): { readonly code: number; readonly words: string } {
  const [, low = 0, high = 0, mark] = payload;
  const code = low | (high << 8);
  return { code, words: `error ${code}: ${shown(payload.subarray(mark === 0x23 ? 9 : 3))}` };
}

/** HandshakeResponse41. */
function login(user: string): Uint8Array {
  const fixed = new DataView(new ArrayBuffer(32));
  fixed.setUint32(0, CAPABILITIES, true);
  fixed.setUint32(4, MAX_PACKET, true);
  fixed.setUint8(8, UTF8MB4);
  const names = new TextEncoder().encode(`${user}\0\0mysql_native_password\0`);
  return Uint8Array.of(...new Uint8Array(fixed.buffer), ...names);
}

function packet(number: number, payload: Uint8Array): Uint8Array {
  const { length } = payload;
  return Uint8Array.of(length & 0xff, (length >> 8) & 0xff, length >> 16, number, ...payload);
}
