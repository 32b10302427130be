/**
 * What two directors compare instead of their tables: every connection belongs to a bucket, and a bucket has a count and a
 * sum in which the order plays no part. Pure.
 */
import type { SyncConnection } from './message.js';
import { CONN_F, PROTOCOLS, TCP_STATES } from './uapi.js';

/** Of 1,000,000 connections each has about 4,000: what a lost message costs to repeat. */
export const BUCKETS = 256;

export interface ConnectionDigest {
  /** Connections by bucket. */
  readonly counts: Uint32Array;
  /** Sums of their hashes modulo 2^32, by bucket. */
  readonly sums: Uint32Array;
}

const ESTABLISHED = TCP_STATES.indexOf('ESTABLISHED');
/** IP_VS_SCTP_S_ESTABLISHED. */
const SCTP_ESTABLISHED = 8;

/** The two seeds: one says which bucket, the other what is added there. */
const BUCKET_SEED = 0x9747b28c;
const SUM_SEED = 0x1b873593;

/** 0 to BUCKETS - 1, by protocol, client and virtual address: the real server may be another and the bucket is the same. */
export function bucketOf(connection: SyncConnection): number {
  return hashOf(connection) % BUCKETS;
}

/** 32 bits over what a connection is found by: all but its real server. */
export function hashOf({
  protocol,
  flags,
  clientAddress,
  clientPort,
  virtualAddress,
  virtualPort,
}: SyncConnection): number {
  let hash = mixed(BUCKET_SEED, protocol | (flags & CONN_F.TEMPLATE));
  hash = mixed(hash, (clientPort << 16) | virtualPort);
  return finished(mixedBytes(mixedBytes(hash, clientAddress), virtualAddress));
}

/**
 * Whether it is compared: what is half open is not told of by the kernel, and what is being closed goes by itself, here sooner
 * than there. Templates, established connections, and those of protocols without states are.
 */
export function isCompared({ protocol, flags, state }: SyncConnection): boolean {
  if ((flags & CONN_F.TEMPLATE) !== 0) return true;
  if (protocol === PROTOCOLS.TCP) return state === ESTABLISHED;
  return protocol !== PROTOCOLS.SCTP || state === SCTP_ESTABLISHED;
}

export class DigestBuilder {
  readonly #counts = new Uint32Array(BUCKETS);
  readonly #sums = new Uint32Array(BUCKETS);

  /** What is not compared is left out. */
  add(connection: SyncConnection): void {
    if (!isCompared(connection)) return;
    const bucket = bucketOf(connection);
    this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
    this.#sums[bucket] = (this.#sums[bucket] ?? 0) + sumOf(connection);
  }

  digest(): ConnectionDigest {
    return { counts: this.#counts.slice(), sums: this.#sums.slice() };
  }
}

/** Over what makes it this connection: neither its state nor its timer. */
function sumOf(connection: SyncConnection): number {
  const { protocol, flags, clientPort, virtualPort, destinationPort } = connection;
  let hash = mixed(SUM_SEED, protocol | (flags & CONN_F.TEMPLATE));
  hash = mixed(mixed(hash, (clientPort << 16) | virtualPort), destinationPort);
  hash = mixedBytes(hash, connection.clientAddress);
  hash = mixedBytes(mixedBytes(hash, connection.virtualAddress), connection.destinationAddress);
  return finished(hash);
}

/** MurmurHash3 (x86, 32 bits): spreads evenly, and guards nothing. */
function mixed(hash: number, word: number): number {
  let block = Math.imul(word, 0xcc9e2d51);
  block = Math.imul((block << 15) | (block >>> 17), 0x1b873593);
  const turned = hash ^ block;
  return (Math.imul((turned << 13) | (turned >>> 19), 5) + 0xe6546b64) | 0;
}

/** Of 4 or 16 bytes. */
function mixedBytes(hash: number, bytes: Uint8Array): number {
  let result = hash;
  for (let at = 0; at + 4 <= bytes.length; at += 4) {
    result = mixed(
      result,
      ((bytes[at] ?? 0) << 24) |
        ((bytes[at + 1] ?? 0) << 16) |
        ((bytes[at + 2] ?? 0) << 8) |
        (bytes[at + 3] ?? 0),
    );
  }
  return result;
}

function finished(hash: number): number {
  let result = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  result = Math.imul(result ^ (result >>> 13), 0xc2b2ae35);
  return (result ^ (result >>> 16)) >>> 0;
}
