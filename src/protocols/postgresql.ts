/** The beginning of a connection to PostgreSQL: StartupMessage, its first answer, and Terminate (protocol 3.0). */
import type { Reading, Step } from './dialogue.js';
import { shown } from './shown.js';

const PROTOCOL_3_0 = 196_608;
/** Type, and length of itself and what follows. */
const HEADER = 5;
/** Above what libpq takes for an error before it knows the server. */
const MAX_LENGTH = 32_768;
const AUTHENTICATION = 'R'.charCodeAt(0);
const ERROR = 'E'.charCodeAt(0);
const TERMINATE = Uint8Array.of('X'.charCodeAt(0), 0, 0, 0, 4);
/**
 * A server says so that is at work and does not let the check's user in: of class 28 (invalid authorization), no such
 * database, no right to connect to it.
 */
const NOT_LET_IN = /^(28|3D000$|42501$)/;

export function postgresql(user: string, database: string | undefined): readonly Step[] {
  return [
    { type: 'send', bytes: startup({ user, ...(database !== undefined && { database }) }) },
    { type: 'read', wanted: 'answer of PostgreSQL', read },
  ];
}

function startup(parameters: Readonly<Record<string, string>>): Uint8Array {
  const texts = Object.entries({ ...parameters, application_name: 'lvs-director' }).flat();
  const body = new TextEncoder().encode(`${texts.join('\0')}\0\0`);
  const head = new DataView(new ArrayBuffer(8));
  head.setUint32(0, 8 + body.length);
  head.setUint32(4, PROTOCOL_3_0);
  return Uint8Array.of(...new Uint8Array(head.buffer), ...body);
}

function read(bytes: Uint8Array): Reading {
  const type = bytes[0];
  if (type === undefined) return { type: 'more' };
  if (type !== AUTHENTICATION && type !== ERROR) return stranger(bytes);
  if (bytes.length < HEADER) return { type: 'more' };
  const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(1);
  // One that cannot fork says so in the old way: a text behind the E, without a length.
  if (length < 8 || length > MAX_LENGTH) return type === ERROR ? refusal(bytes.subarray(1)) : stranger(bytes);
  if (bytes.length < 1 + length) return { type: 'more' };
  const used = 1 + length;
  if (type === AUTHENTICATION) return { type: 'taken', used, answer: TERMINATE };
  const fields = fieldsOf(bytes.subarray(HEADER, used));
  const code = fields.get('C');
  if (code === undefined || !/^[0-9A-Z]{5}$/.test(code)) return stranger(bytes);
  if (NOT_LET_IN.test(code)) return { type: 'taken', used };
  return {
    type: 'wrong',
    reason: `error ${code}: ${shown(new TextEncoder().encode(fields.get('M') ?? ''))}`,
  };
}

function refusal(text: Uint8Array): Reading {
  const end = text.indexOf(0);
  return end < 0 ? { type: 'more' } : { type: 'wrong', reason: `error: ${shown(text.subarray(0, end))}` };
}

function stranger(bytes: Uint8Array): Reading {
  return { type: 'wrong', reason: `the answer is not PostgreSQL: ${shown(bytes)}` };
}

/** Each a letter and a text with a zero byte behind it; a zero byte ends them. */
function fieldsOf(body: Uint8Array): ReadonlyMap<string, string> {
  const texts = new TextDecoder('latin1').decode(body).split('\0');
  return new Map(
    texts.flatMap((text): [string, string][] => (text === '' ? [] : [[text.slice(0, 1), text.slice(1)]])),
  );
}
