/** What the peer channel needs from the world. */

import type { TableNumbers } from '../../../ipvs/count.js';
import type { Mac } from '../../../peer/wire.js';
import type { SyncProgress } from '../../../vrrp/group-types.js';
import type { Clock, Log } from '../../ports.js';

/** A UDP socket on this director's address, between whose port and the peers' the channel is. */
export interface PeerSocket {
  /** Throws what the system says. */
  send(bytes: Uint8Array, address: string): void;
  /** Datagrams of these sessions are read apart from all others, which can be any number. */
  expect(sessions: readonly bigint[]): void;
  /** Delivers at once what lies in the queue. */
  drain(): void;
  /** Datagrams that found no room, since it was opened. */
  droppedCount(): number;
  close(): void;
}

/** A datagram as it came: `receivedAtMs` of CLOCK_MONOTONIC. */
export type TakeDatagram = (bytes: Uint8Array, source: string, receivedAtMs: number) => void;

/**
 * Sends this host's connection table to the sync group, as it is when it begins. Rejects with the signal's reason, or with what reading
 * and sending refuse.
 */
export type Replay = (options: ReplayOptions) => Promise<Replayed>;

export interface ReplayOptions {
  readonly signal: AbortSignal;
  readonly thoroughness: Thoroughness;
  /** Marks its datagrams, 1 to 2^32 - 1. */
  readonly replay: number;
}

/** What was sent, which says nothing of what arrived. */
export interface Replayed {
  /** Connections that last. */
  readonly lasting: number;
  /** Datagrams. */
  readonly messages: number;
}

/** `whole`: somebody waits for every connection; `again`: what is passed over now will be told of the next time. */
export type Thoroughness = 'whole' | 'again';

export interface PeerPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** Throws what the system says. */
  open(address: string, port: number, take: TakeDatagram): PeerSocket;
  /** Rejects with an error whose message says what is the matter with the file, as a sentence's end. */
  readKey(path: string): Promise<Mac>;
  /** 64 random bits. */
  random64(): bigint;
  /** Milliseconds since 1970. */
  nowEpochMs(): number;
  /** Of the program that runs. */
  readonly version: string;
  /** What the kernel holds for all virtual servers. Rejects with its words. */
  countConnections(): Promise<TableNumbers>;
  /** Whether it answers; undefined when this host cannot ask. */
  probeGateway(address: string): Promise<boolean | undefined>;
  /** Undefined where it cannot. */
  readonly replay: Replay | undefined;
  /** Hears the datagrams of replays, by their number, until the returned function is called. Throws what the system says. */
  listenToReplays(interfaceName: string, onDatagram: (replay: number) => void): () => void;
}

export interface PeerListener {
  /** `asOfMs`: the latest `syncVoidMs` of the roles that it knows. */
  readonly syncProgress: (progress: SyncProgress, asOfMs: number) => void;
}
