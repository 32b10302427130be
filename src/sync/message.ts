/**
 * Messages of the IPVS sync protocol, version 1 (`struct ip_vs_sync_mesg`, net/netfilter/ipvs/ip_vs_sync.c). A message is
 * read as a backup's kernel reads it: what stands before a fault counts, what stands behind it does not. Pure.
 */
import {
  CONN_F,
  ENTRY_V0_BYTES,
  ENTRY_V4_BYTES,
  ENTRY_V6_BYTES,
  HEADER_BYTES,
  HEADER_V0_BYTES,
  IPVS_OPT,
  MAX_ENTRIES,
  PE_DATA_MAX,
  PE_NAME_MAX,
  SEQUENCES_BYTES,
  STYPE_F_INET6,
  SVER_MASK,
  SVER_SHIFT,
  SYNC_VERSION,
} from './uapi.js';

/** A connection or a template as a message tells of it (`struct ip_vs_sync_v4`, `struct ip_vs_sync_v6`). */
export interface SyncConnection {
  /** IPPROTO_*, 0 to 255. */
  readonly protocol: number;
  /** IP_VS_CONN_F_*, 32 bits. */
  readonly flags: number;
  /** IP_VS_TCP_S_* or of another protocol, 0 to 65535. */
  readonly state: number;
  /** The three addresses in network order, all of 4 or all of 16 bytes. Of a template of a firewall mark the virtual one is the mark. */
  readonly clientAddress: Uint8Array;
  readonly clientPort: number;
  readonly virtualAddress: Uint8Array;
  readonly virtualPort: number;
  readonly destinationAddress: Uint8Array;
  readonly destinationPort: number;
  /** 0: the virtual server has none. */
  readonly fwmark: number;
  /** Until it goes, if no packet comes, in seconds; 0: as its state has it at the backup. */
  readonly timeoutSeconds: number;
  /** IPVS_OPT_SEQ_DATA: `struct ip_vs_sync_conn_options` in network order, 24 bytes. */
  readonly sequences?: Uint8Array | undefined;
  /** IPVS_OPT_PE_DATA, 1 to 255 bytes. */
  readonly persistenceData?: Uint8Array | undefined;
  /** IPVS_OPT_PE_NAME, 1 to 16 bytes. */
  readonly persistenceEngine?: Uint8Array | undefined;
}

/** Why a message, or the rest of it, is not taken. */
export type SyncFault =
  | 'short header'
  | 'wrong size'
  | 'short entry'
  | 'unknown entry version'
  | 'unknown entry type'
  | 'bad parameter';

export interface SyncMessage {
  /** Undefined where the header tells none. */
  readonly version: 0 | 1 | undefined;
  /** 0 to 255; undefined with `version`. */
  readonly syncid: number | undefined;
  /** Of version 1; those of version 0 are counted alone. */
  readonly connections: readonly SyncConnection[];
  /** Entries that a backup takes, or, with an unknown mandatory parameter, passes over. */
  readonly entries: number;
  readonly fault: SyncFault | undefined;
}

export function decodeMessage(bytes: Uint8Array): SyncMessage {
  if (bytes.length < HEADER_V0_BYTES) return faulty('short header');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint16(2) !== bytes.length) return faulty('wrong size');
  const syncid = view.getUint8(1);
  const isFirstVersion =
    bytes.length >= HEADER_BYTES &&
    view.getUint8(0) === 0 &&
    view.getInt8(5) === SYNC_VERSION &&
    view.getUint16(6) === 0;
  return isFirstVersion ? decodeEntries(bytes, view, syncid) : countEntriesV0(view, syncid);
}

function faulty(fault: SyncFault): SyncMessage {
  return { version: undefined, syncid: undefined, connections: [], entries: 0, fault };
}

function decodeEntries(bytes: Uint8Array, view: DataView, syncid: number): SyncMessage {
  const connections: SyncConnection[] = [];
  const count = view.getUint8(4);
  let at = HEADER_BYTES;
  let fault: SyncFault | undefined;
  let entries = 0;
  for (; entries < count; entries++) {
    if (at + ENTRY_V4_BYTES > bytes.length) fault = 'short entry';
    const versionAndSize = fault === undefined ? view.getUint16(at + 2) : 0;
    const end = at + (versionAndSize & SVER_MASK);
    if (end > bytes.length) fault = 'short entry';
    else if (versionAndSize >> SVER_SHIFT !== 0) fault = 'unknown entry version';
    if (fault !== undefined) break;
    const connection = decodeEntry(bytes, view, at, end);
    if (typeof connection === 'string') {
      fault = connection;
      break;
    }
    if (connection !== undefined) connections.push(connection);
    at += ((versionAndSize & SVER_MASK) + 3) & ~3;
  }
  return { version: 1, syncid, connections, entries, fault };
}

/** Undefined: it has a parameter that is unknown and may not be passed over, so that the entry is. */
function decodeEntry(
  bytes: Uint8Array,
  view: DataView,
  start: number,
  end: number,
): SyncConnection | SyncFault | undefined {
  const type = view.getUint8(start);
  const isInet6 = (type & STYPE_F_INET6) !== 0;
  if (!isInet6 && type !== 0) return 'unknown entry type';
  const fixed = start + (isInet6 ? ENTRY_V6_BYTES : ENTRY_V4_BYTES);
  if (fixed > end) return 'short entry';
  const parameters = decodeParameters(bytes, fixed, end);
  if (typeof parameters === 'string' || parameters === undefined) return parameters;
  const address = (index: number): Uint8Array => {
    const length = isInet6 ? 16 : 4;
    const at = start + 24 + index * length;
    return bytes.subarray(at, at + length);
  };
  return {
    protocol: view.getUint8(start + 1),
    flags: view.getUint32(start + 4),
    state: view.getUint16(start + 8),
    clientPort: view.getUint16(start + 10),
    virtualPort: view.getUint16(start + 12),
    destinationPort: view.getUint16(start + 14),
    fwmark: view.getUint32(start + 16),
    timeoutSeconds: view.getUint32(start + 20),
    clientAddress: address(0),
    virtualAddress: address(1),
    destinationAddress: address(2),
    ...parameters,
  };
}

type Parameters = Pick<SyncConnection, 'sequences' | 'persistenceData' | 'persistenceEngine'>;

const NO_PARAMETERS: Parameters = {};

function decodeParameters(bytes: Uint8Array, start: number, end: number): Parameters | SyncFault | undefined {
  if (start === end) return NO_PARAMETERS;
  const found: { -readonly [Name in keyof Parameters]: Parameters[Name] } = {};
  let isUnknown = false;
  for (let at = start; at < end; ) {
    const length = bytes[at + 1] ?? 0;
    if (at + 2 > end || length === 0 || at + 2 + length > end) return 'bad parameter';
    const type = bytes[at] ?? 0;
    const data = bytes.subarray(at + 2, at + 2 + length);
    const name = PARAMETER_NAMES.get(type & ~IPVS_OPT.PARAM);
    if (name === undefined) isUnknown ||= (type & IPVS_OPT.PARAM) === 0;
    else if (found[name] !== undefined || !isLength(name, length)) return 'bad parameter';
    else found[name] = data;
    // The kernel does not look at what stands behind it.
    if (isUnknown) return undefined;
    at += 2 + length;
  }
  return found;
}

const PARAMETER_NAMES: ReadonlyMap<number, keyof Parameters> = new Map([
  [IPVS_OPT.SEQ_DATA, 'sequences'],
  [IPVS_OPT.PE_DATA, 'persistenceData'],
  [IPVS_OPT.PE_NAME, 'persistenceEngine'],
]);

function isLength(name: keyof Parameters, length: number): boolean {
  if (name === 'sequences') return length === SEQUENCES_BYTES;
  return length <= (name === 'persistenceData' ? PE_DATA_MAX : PE_NAME_MAX);
}

/** Version 0 tells neither IPv6 nor time-outs; `net.ipv4.vs.sync_version` 0 asks for it. */
function countEntriesV0(view: DataView, syncid: number): SyncMessage {
  const count = view.getUint8(0);
  let at = HEADER_V0_BYTES;
  let entries = 0;
  for (; entries < count; entries++) {
    if (at + ENTRY_V0_BYTES > view.byteLength) break;
    const hasSequences = (view.getUint16(at + 20) & CONN_F.SEQ_MASK) !== 0;
    at += ENTRY_V0_BYTES + (hasSequences ? SEQUENCES_BYTES : 0);
    if (at > view.byteLength) break;
  }
  const fault = entries < count ? 'short entry' : undefined;
  return { version: 0, syncid, connections: [], entries, fault };
}

/** Gathers connections into messages, as the kernel does (`ip_vs_sync_conn`). */
export class MessageWriter {
  readonly #syncid: number;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** Where the last entry ends; what pads it comes with the next one. */
  #end = HEADER_BYTES;
  #count = 0;

  /** `maxBytes`: of a message, MIN_MESSAGE_BYTES at least; IPVS_DAEMON_ATTR_SYNC_MAXLEN of the receiver. */
  constructor(syncid: number, maxBytes: number) {
    this.#syncid = syncid;
    this.#bytes = new Uint8Array(Math.max(maxBytes, MIN_MESSAGE_BYTES));
    this.#view = new DataView(this.#bytes.buffer);
  }

  /** The message before, when there was no room in it for this connection. */
  add(connection: SyncConnection): Uint8Array | undefined {
    const length = entryLength(connection);
    const isFull = this.#count === MAX_ENTRIES || aligned(this.#end) + length > this.#bytes.length;
    const before = isFull ? this.flush() : undefined;
    const start = aligned(this.#end);
    this.#bytes.fill(0, this.#end, start);
    this.#write(connection, start, length);
    this.#end = start + length;
    this.#count += 1;
    return before;
  }

  /** What was gathered; undefined when that is nothing. */
  flush(): Uint8Array | undefined {
    if (this.#count === 0) return undefined;
    this.#bytes.fill(0, 0, HEADER_BYTES);
    this.#view.setUint8(1, this.#syncid);
    this.#view.setUint16(2, this.#end);
    this.#view.setUint8(4, this.#count);
    this.#view.setInt8(5, SYNC_VERSION);
    const message = this.#bytes.slice(0, this.#end);
    this.#end = HEADER_BYTES;
    this.#count = 0;
    return message;
  }

  #write(connection: SyncConnection, start: number, length: number): void {
    const view = this.#view;
    const isInet6 = connection.clientAddress.length === 16;
    view.setUint8(start, isInet6 ? STYPE_F_INET6 : 0);
    view.setUint8(start + 1, connection.protocol);
    view.setUint16(start + 2, length);
    view.setUint32(start + 4, connection.flags);
    view.setUint16(start + 8, connection.state);
    view.setUint16(start + 10, connection.clientPort);
    view.setUint16(start + 12, connection.virtualPort);
    view.setUint16(start + 14, connection.destinationPort);
    view.setUint32(start + 16, connection.fwmark);
    view.setUint32(start + 20, connection.timeoutSeconds);
    let at = start + 24;
    for (const name of ['clientAddress', 'virtualAddress', 'destinationAddress'] as const) {
      this.#bytes.set(connection[name], at);
      at += connection[name].length;
    }
    for (const [type, name] of PARAMETER_NAMES) {
      const data = connection[name];
      if (data === undefined) continue;
      this.#bytes[at] = type;
      this.#bytes[at + 1] = data.length;
      this.#bytes.set(data, at + 2);
      at += 2 + data.length;
    }
  }
}

/** Room for the longest entry: IPv6 with all parameters. */
export const MIN_MESSAGE_BYTES =
  HEADER_BYTES + ENTRY_V6_BYTES + 2 + SEQUENCES_BYTES + 2 + PE_DATA_MAX + 2 + PE_NAME_MAX;

function aligned(at: number): number {
  return (at + 3) & ~3;
}

function entryLength(connection: SyncConnection): number {
  let length = connection.clientAddress.length === 16 ? ENTRY_V6_BYTES : ENTRY_V4_BYTES;
  for (const name of PARAMETER_NAMES.values()) {
    const data = connection[name];
    if (data !== undefined) length += 2 + data.length;
  }
  return length;
}
