/** What a director says of itself on the peer channel, and its fields as bytes. Unknown fields are of a later version. */

/** As of /proc/net/ip_vs. */
export interface TableCount {
  /** ActiveConn, InActConn and persistence templates of all virtual servers. */
  readonly connections: number;
  /** Of those, the ones that do not go by themselves within minutes. */
  readonly lasting: number;
  /** Of those, what the kernel tells a peer in any case: established connections and templates of TCP and SCTP. */
  readonly established: number;
  /** Connections that came in the last seconds, of which the peer may not have been told yet. */
  readonly fresh: number;
  /** How long ago the kernel was asked. */
  readonly ageMs: number;
}

/** What became of the peer's request to replay this director's table. */
export interface ReplayAnswer {
  readonly request: number;
  readonly state: 'waiting' | 'running' | 'done' | 'failed';
  /** Connections that last, when it is done: of those that are closing nobody asks a moment later. */
  readonly sent: number;
}

/** A replay that has ended, whoever asked for it: how many datagrams there are to be heard. */
export interface ReplaySent {
  /** Its number, which its datagrams have: that of the request for it, or any other. */
  readonly replay: number;
  readonly messages: number;
}

export type PeerRole = 'initialize' | 'backup' | 'master' | 'fault';
export type GatewayVerdict = 'unprobed' | 'answers' | 'silent';

export interface Hello {
  /** Key under `directors`. */
  readonly director: string;
  /** Of the program. */
  readonly version: string;
  /** Wall-clock time of the sender when it sent, in milliseconds since 1970. */
  readonly wallClockMs: number;
  /** The sender's monotonic clock when it sent, in microseconds. */
  readonly stampUs: number;
  /** The receiver's last stamp, and how long the sender has had it. */
  readonly echo: { readonly stampUs: number; readonly heldUs: number } | undefined;
  /** By top-level section of the file: the first 16 hexadecimal digits of the SHA-256 of what it says. */
  readonly sections: Readonly<Record<string, string>>;
  /** Of the instances, in the file's order. */
  readonly roles: readonly PeerRole[];
  /** Undefined while the kernel's table was not read. */
  readonly table: TableCount | undefined;
  readonly gateway: GatewayVerdict;
  /** The sender can replay its table. */
  readonly replays: boolean;
  /** The sender's own table is complete, as far as it knows. */
  readonly isComplete: boolean;
  /** Number of the replay that it asks the receiver for; 0: none. */
  readonly asks: number;
  readonly answer: ReplayAnswer | undefined;
  /** The sender's last replay. */
  readonly replayed: ReplaySent | undefined;
}

export interface Field {
  readonly type: number;
  readonly value: Uint8Array;
}

/** Beyond these numbers nothing is told: a datagram has its bounds. */
export const MAX_SECTIONS = 16;
export const MAX_ROLES = 256;
const MAX_NAME = 64;
const MAX_VERSION = 32;
const MAX_SECTION_NAME = 24;
const HASH_BYTES = 8;

const FIELD = {
  director: 1,
  version: 2,
  clock: 3,
  echo: 4,
  sections: 5,
  roles: 6,
  table: 7,
  flags: 8,
  asks: 9,
  answer: 10,
  replayed: 11,
} as const;

const ROLES: readonly PeerRole[] = ['initialize', 'backup', 'master', 'fault'];
const GATEWAYS: readonly GatewayVerdict[] = ['unprobed', 'answers', 'silent'];
const ANSWERS: readonly ReplayAnswer['state'][] = ['waiting', 'running', 'done', 'failed'];
const REPLAYS = 1;
const COMPLETE = 2;
/** Bits of the flags where the gateway's verdict begins. */
const GATEWAY_SHIFT = 2;
/** A number of 64 bits that JavaScript counts exactly: an age or a stamp beyond it is none. */
const MAX_COUNT = Number.MAX_SAFE_INTEGER;
const MAX_U32 = 0xffff_ffff;

export function fieldsOf(hello: Hello): Field[] {
  const { echo, table, answer, replayed } = hello;
  const sections = Object.entries(hello.sections).slice(0, MAX_SECTIONS);
  return [
    { type: FIELD.director, value: ascii(hello.director.slice(0, MAX_NAME)) },
    { type: FIELD.version, value: ascii(hello.version.slice(0, MAX_VERSION)) },
    { type: FIELD.clock, value: counts([hello.wallClockMs, hello.stampUs]) },
    ...(echo === undefined ? [] : [{ type: FIELD.echo, value: counts([echo.stampUs, echo.heldUs]) }]),
    { type: FIELD.sections, value: joined(sections.map(([name, hash]) => sectionBytes(name, hash))) },
    {
      type: FIELD.roles,
      value: Uint8Array.from(hello.roles.slice(0, MAX_ROLES), (role) => ROLES.indexOf(role)),
    },
    ...(table === undefined ? [] : [{ type: FIELD.table, value: counts(numbersOf(table)) }]),
    { type: FIELD.flags, value: Uint8Array.of(flagsOf(hello)) },
    { type: FIELD.asks, value: counts([hello.asks]) },
    ...(answer === undefined
      ? []
      : [
          {
            type: FIELD.answer,
            value: counts([answer.request, ANSWERS.indexOf(answer.state), answer.sent]),
          },
        ]),
    ...(replayed === undefined
      ? []
      : [{ type: FIELD.replayed, value: counts([replayed.replay, replayed.messages]) }]),
  ];
}

/** Type and length of the field at `at`, three bytes of which are there. */
export function fieldBytes(bytes: Uint8Array, at: number): { type: number; length: number } {
  return { type: bytes[at] ?? 0, length: (bytes[at + 1] ?? 0) * 256 + (bytes[at + 2] ?? 0) };
}

/** Undefined when one that is known is not what it should be, or the name is missing. */
export function helloOf(fields: readonly Field[]): Hello | undefined {
  const valueOf = new Map(fields.map(({ type, value }) => [type, value]));
  const get = (type: number): Uint8Array => valueOf.get(type) ?? new Uint8Array();
  const director = textOf(get(FIELD.director), MAX_NAME);
  const version = textOf(get(FIELD.version), MAX_VERSION);
  const clock = countsOf(get(FIELD.clock), 2);
  const sections = sectionsOf(get(FIELD.sections));
  const roles = rolesOf(get(FIELD.roles));
  const [flags, ...more] = valueOf.get(FIELD.flags) ?? [0];
  const gateway = flags === undefined ? undefined : GATEWAYS[flags >> GATEWAY_SHIFT];
  const [asks] = valueOf.has(FIELD.asks) ? (countsOf(get(FIELD.asks), 1) ?? []) : [0];
  const echo = optional(valueOf.get(FIELD.echo), 2);
  const table = optional(valueOf.get(FIELD.table), TABLE_NUMBERS.length);
  const answer = optional(valueOf.get(FIELD.answer), 3);
  const replayed = optional(valueOf.get(FIELD.replayed), 2);
  if (
    director === undefined ||
    version === undefined ||
    clock === undefined ||
    sections === undefined ||
    roles === undefined ||
    flags === undefined ||
    more.length > 0 ||
    gateway === undefined ||
    asks === undefined ||
    asks > MAX_U32 ||
    echo === undefined ||
    table === undefined ||
    answer === undefined ||
    replayed === undefined
  )
    return undefined;
  const state = ANSWERS[answer[1] ?? 0];
  if (state === undefined) return undefined;
  const [wallClockMs = 0, stampUs = 0] = clock;
  return {
    director,
    version,
    wallClockMs,
    stampUs,
    echo: echo.length === 0 ? undefined : { stampUs: echo[0] ?? 0, heldUs: echo[1] ?? 0 },
    sections,
    roles,
    table: tableOf(table),
    gateway,
    replays: (flags & REPLAYS) !== 0,
    isComplete: (flags & COMPLETE) !== 0,
    asks,
    answer: answer.length === 0 ? undefined : { request: answer[0] ?? 0, state, sent: answer[2] ?? 0 },
    replayed: replayed.length === 0 ? undefined : { replay: replayed[0] ?? 0, messages: replayed[1] ?? 0 },
  };
}

/** In this order on the wire. */
const TABLE_NUMBERS = ['connections', 'ageMs', 'lasting', 'established', 'fresh'] as const;

function numbersOf(table: TableCount): number[] {
  return TABLE_NUMBERS.map((name) => table[name]);
}

function tableOf(numbers: readonly number[]): TableCount | undefined {
  if (numbers.length < TABLE_NUMBERS.length) return undefined;
  const [connections = 0, ageMs = 0, lasting = 0, established = 0, fresh = 0] = numbers;
  return { connections, ageMs, lasting, established, fresh };
}

function flagsOf({ replays, isComplete, gateway }: Hello): number {
  return (replays ? REPLAYS : 0) | (isComplete ? COMPLETE : 0) | (GATEWAYS.indexOf(gateway) << GATEWAY_SHIFT);
}

/** Empty when there is no such field, undefined when it is wrong. */
function optional(value: Uint8Array | undefined, count: number): readonly number[] | undefined {
  return value === undefined ? [] : countsOf(value, count);
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

/** Of 1 to `max` printable characters of ASCII without a space. */
function textOf(bytes: Uint8Array, max: number): string | undefined {
  if (bytes.length === 0 || bytes.length > max) return undefined;
  return bytes.every((byte) => byte > 0x20 && byte < 0x7f) ? String.fromCharCode(...bytes) : undefined;
}

function counts(numbers: readonly number[]): Uint8Array {
  const bytes = new Uint8Array(numbers.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [index, number] of numbers.entries()) view.setBigUint64(index * 8, BigInt(number));
  return bytes;
}

function countsOf(bytes: Uint8Array, count: number): readonly number[] | undefined {
  if (bytes.length !== count * 8) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const numbers = Array.from({ length: count }, (_, index) => Number(view.getBigUint64(index * 8)));
  return numbers.every((number) => number <= MAX_COUNT) ? numbers : undefined;
}

function sectionBytes(name: string, hash: string): Uint8Array {
  const told = ascii(name.slice(0, MAX_SECTION_NAME));
  const bytes = new Uint8Array(1 + told.length + HASH_BYTES);
  bytes[0] = told.length;
  bytes.set(told, 1);
  new DataView(bytes.buffer).setBigUint64(1 + told.length, BigInt(`0x${hash}`));
  return bytes;
}

function sectionsOf(bytes: Uint8Array): Readonly<Record<string, string>> | undefined {
  const sections: Record<string, string> = Object.create(null);
  let at = 0;
  for (let count = 0; at < bytes.length; count++) {
    const length = bytes[at] ?? 0;
    const name = textOf(bytes.subarray(at + 1, at + 1 + length), MAX_SECTION_NAME);
    const hash = bytes.subarray(at + 1 + length, at + 1 + length + HASH_BYTES);
    if (count === MAX_SECTIONS || name === undefined || hash.length < HASH_BYTES) return undefined;
    sections[name] = Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
    at += 1 + length + HASH_BYTES;
  }
  return sections;
}

function rolesOf(bytes: Uint8Array): readonly PeerRole[] | undefined {
  if (bytes.length > MAX_ROLES) return undefined;
  const roles = Array.from(bytes, (byte) => ROLES[byte]);
  return roles.every((role) => role !== undefined) ? roles : undefined;
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
