/**
 * A table of connections made of what sync messages tell: what the kernel has said, and a peer's, without asking the kernel.
 * Numbers in typed arrays: of 1,000,000 connections of IPv6 they are 84 MB. Pure.
 */

import type { ConnectionDigest } from './digest.js';
import { bucketOf, DigestBuilder, hashOf } from './digest.js';
import type { SyncConnection } from './message.js';
import { CONN_F } from './uapi.js';

/** Of one family. What comes beyond it is not kept. */
export const MAX_SHADOWED = 1 << 20;
/** Connections with sequence numbers or persistence data, which are objects. */
export const MAX_PARAMETERS = 1 << 16;

/** Records of a chunk: a table grows without being copied. */
const CHUNK = 1 << 14;
const FEWEST_HEADS = 1 << 10;
const NONE = -1;

/** Words of a record behind its three addresses. */
const PORTS = 0;
const MORE = 1;
const FLAGS = 2;
const FWMARK = 3;
const TIMEOUT = 4;
/** In seconds of the caller's clock; 0: the record is free. */
const ENDS = 5;
const HASH = 6;
/** The next record of the same head, or of the free ones. */
const NEXT = 7;
const WORDS = 8;

type Parameters = Pick<SyncConnection, 'sequences' | 'persistenceData' | 'persistenceEngine'>;

/** Connections of one family. */
class FamilyTable {
  readonly #addressBytes: number;
  readonly #addressWords: number;
  readonly #stride: number;
  readonly #chunks: Int32Array[] = [];
  readonly #parameters = new Map<number, Parameters>();
  #heads = new Int32Array(FEWEST_HEADS).fill(NONE);
  #free = NONE;
  #used = 0;
  size = 0;

  constructor(addressBytes: 4 | 16) {
    this.#addressBytes = addressBytes;
    this.#addressWords = (3 * addressBytes) / 4;
    this.#stride = this.#addressWords + WORDS;
  }

  /** False: there is no room for one more. */
  set(connection: SyncConnection, endsAt: number): boolean {
    const hash = hashOf(connection) | 0;
    const found = this.#find(connection, hash);
    const record = found ?? this.#add(hash);
    if (record === undefined) return false;
    const { virtualAddress, clientAddress, destinationAddress } = connection;
    const [chunk, at] = [this.#chunkOf(record), this.#placeOf(record)];
    const words = this.#addressBytes / 4;
    for (const [index, bytes] of [clientAddress, virtualAddress, destinationAddress].entries()) {
      for (let word = 0; word < words; word++) chunk[at + index * words + word] = wordOf(bytes, word);
    }
    const rest = at + this.#addressWords;
    chunk[rest + PORTS] = (connection.clientPort << 16) | connection.virtualPort;
    // States of all protocols have eight bits, as /proc and the kernel's tables have them.
    chunk[rest + MORE] =
      (connection.destinationPort << 16) | (connection.protocol << 8) | (connection.state & 0xff);
    chunk[rest + FLAGS] = connection.flags;
    chunk[rest + FWMARK] = connection.fwmark;
    chunk[rest + TIMEOUT] = connection.timeoutSeconds;
    chunk[rest + ENDS] = endsAt;
    this.#keepParameters(record, connection);
    return true;
  }

  #keepParameters(record: number, { sequences, persistenceData, persistenceEngine }: SyncConnection): void {
    if (sequences === undefined && persistenceData === undefined) this.#parameters.delete(record);
    else if (this.#parameters.size < MAX_PARAMETERS || this.#parameters.has(record)) {
      // Copies: a message is a view of a batch that is read over.
      this.#parameters.set(record, {
        sequences: sequences?.slice(),
        persistenceData: persistenceData?.slice(),
        persistenceEngine: persistenceEngine?.slice(),
      });
    }
  }

  #find(connection: SyncConnection, hash: number): number | undefined {
    const ports = (connection.clientPort << 16) | connection.virtualPort;
    const isTemplate = (connection.flags & CONN_F.TEMPLATE) !== 0;
    let record = this.#heads[hash & (this.#heads.length - 1)] ?? NONE;
    while (record !== NONE) {
      const [chunk, at] = [this.#chunkOf(record), this.#placeOf(record)];
      const rest = at + this.#addressWords;
      if (
        chunk[rest + HASH] === hash &&
        chunk[rest + PORTS] === ports &&
        (((chunk[rest + MORE] ?? 0) >>> 8) & 0xff) === connection.protocol &&
        (((chunk[rest + FLAGS] ?? 0) & CONN_F.TEMPLATE) !== 0) === isTemplate &&
        this.#hasAddresses(chunk, at, connection)
      )
        return record;
      record = chunk[rest + NEXT] ?? NONE;
    }
    return undefined;
  }

  #hasAddresses(chunk: Int32Array, at: number, { clientAddress, virtualAddress }: SyncConnection): boolean {
    const words = this.#addressBytes / 4;
    for (let word = 0; word < words; word++) {
      if (chunk[at + word] !== wordOf(clientAddress, word)) return false;
      if (chunk[at + words + word] !== wordOf(virtualAddress, word)) return false;
    }
    return true;
  }

  #add(hash: number): number | undefined {
    if (this.size === MAX_SHADOWED) return undefined;
    if (this.size === this.#heads.length) this.#spread();
    let record = this.#free;
    if (record === NONE) {
      record = this.#used++;
      if (record % CHUNK === 0) this.#chunks.push(new Int32Array(CHUNK * this.#stride));
    } else this.#free = this.#word(record, NEXT);
    const [chunk, rest] = [this.#chunkOf(record), this.#placeOf(record) + this.#addressWords];
    const head = hash & (this.#heads.length - 1);
    chunk[rest + HASH] = hash;
    chunk[rest + NEXT] = this.#heads[head] ?? NONE;
    this.#heads[head] = record;
    this.size += 1;
    return record;
  }

  /** Twice as many heads: chains stay short. */
  #spread(): void {
    const heads = new Int32Array(this.#heads.length * 2).fill(NONE);
    for (let record = 0; record < this.#used; record++) {
      const [chunk, rest] = [this.#chunkOf(record), this.#placeOf(record) + this.#addressWords];
      if (chunk[rest + ENDS] === 0) continue;
      const head = (chunk[rest + HASH] ?? 0) & (heads.length - 1);
      chunk[rest + NEXT] = heads[head] ?? NONE;
      heads[head] = record;
    }
    this.#heads = heads;
  }

  #remove(record: number): void {
    const head = this.#word(record, HASH) & (this.#heads.length - 1);
    const next = this.#word(record, NEXT);
    let before = this.#heads[head] ?? NONE;
    if (before === record) this.#heads[head] = next;
    else {
      while (this.#word(before, NEXT) !== record) before = this.#word(before, NEXT);
      this.#setWord(before, NEXT, next);
    }
    this.#setWord(record, ENDS, 0);
    this.#setWord(record, NEXT, this.#free);
    this.#free = record;
    this.#parameters.delete(record);
    this.size -= 1;
  }

  /** Lets go of what has ended. */
  expire(now: number): void {
    for (let record = 0; record < this.#used; record++) {
      const ends = this.#word(record, ENDS);
      if (ends !== 0 && ends <= now) this.#remove(record);
    }
  }

  *connections(now: number): Generator<SyncConnection> {
    for (let record = 0; record < this.#used; record++) {
      if (this.#word(record, ENDS) > now) yield this.#connectionOf(record, now);
    }
  }

  #connectionOf(record: number, now: number): SyncConnection {
    const [chunk, at] = [this.#chunkOf(record), this.#placeOf(record)];
    const bytes = new Uint8Array(3 * this.#addressBytes);
    const view = new DataView(bytes.buffer);
    for (let word = 0; word < this.#addressWords; word++) view.setInt32(4 * word, chunk[at + word] ?? 0);
    const word = (name: number) => (chunk[at + this.#addressWords + name] ?? 0) >>> 0;
    const flags = word(FLAGS);
    const left = word(ENDS) - now;
    const length = this.#addressBytes;
    return {
      protocol: (word(MORE) >>> 8) & 0xff,
      flags,
      state: word(MORE) & 0xff,
      clientAddress: bytes.subarray(0, length),
      clientPort: word(PORTS) >>> 16,
      virtualAddress: bytes.subarray(length, 2 * length),
      virtualPort: word(PORTS) & 0xffff,
      destinationAddress: bytes.subarray(2 * length),
      destinationPort: word(MORE) >>> 16,
      fwmark: word(FWMARK),
      timeoutSeconds: (flags & CONN_F.TEMPLATE) === 0 ? left : word(TIMEOUT),
      ...this.#parameters.get(record),
    };
  }

  #chunkOf(record: number): Int32Array {
    const chunk = this.#chunks[Math.floor(record / CHUNK)];
    if (chunk === undefined) throw new RangeError(`no record ${record}`);
    return chunk;
  }

  #placeOf(record: number): number {
    return (record % CHUNK) * this.#stride;
  }

  #word(record: number, name: number): number {
    return this.#chunkOf(record)[this.#placeOf(record) + this.#addressWords + name] ?? 0;
  }

  #setWord(record: number, name: number, value: number): void {
    this.#chunkOf(record)[this.#placeOf(record) + this.#addressWords + name] = value;
  }
}

export class ShadowTable {
  readonly #families = { 4: new FamilyTable(4), 16: new FamilyTable(16) } as const;
  /** Connections that there was no room for. */
  lost = 0;

  /** `now`: in whole seconds of a clock that only goes forward, 0 to 2^30. */
  hear(connection: SyncConnection, now: number): void {
    const timeout = Math.min(connection.timeoutSeconds || DEFAULT_TIMEOUT, MAX_TIMEOUT);
    const table = this.#families[connection.clientAddress.length === 16 ? 16 : 4];
    if (!table.set(connection, now + timeout)) this.lost += 1;
  }

  get size(): number {
    return this.#families[4].size + this.#families[16].size;
  }

  /** Lets go of what has ended; of 1,000,000 connections that is some 20 ms. */
  expire(now: number): void {
    for (const table of Object.values(this.#families)) table.expire(now);
  }

  /** Of these buckets, of all without any; a connection has the rest of its time, a template all of it. */
  *connections(now: number, buckets?: ReadonlySet<number>): Generator<SyncConnection> {
    for (const table of Object.values(this.#families)) {
      for (const connection of table.connections(now)) {
        if (buckets?.has(bucketOf(connection)) !== false) yield connection;
      }
    }
  }

  digest(now: number): ConnectionDigest {
    const builder = new DigestBuilder();
    for (const connection of this.connections(now)) builder.add(connection);
    return builder.digest();
  }
}

/** Where a message leaves it to the backup: three minutes, as of a template there. */
const DEFAULT_TIMEOUT = 180;
const MAX_TIMEOUT = 1 << 30;

function wordOf(bytes: Uint8Array, word: number): number {
  const at = 4 * word;
  return (
    ((bytes[at] ?? 0) << 24) |
    ((bytes[at + 1] ?? 0) << 16) |
    ((bytes[at + 2] ?? 0) << 8) |
    (bytes[at + 3] ?? 0)
  );
}
