/** Sends sync messages to the group that the kernel's sync daemons hear, at a pace that they keep up with. */
import { setTimeout as wait } from 'node:timers/promises';
import type { DumpedSyncDaemon } from '../../ipvs/model.js';
import { DEFAULT_GROUP, DEFAULT_MESSAGE_BYTES, DEFAULT_PORT, DEFAULT_TTL } from '../../sync/uapi.js';
import { familyOf } from '../../util/ip-address.js';
import { UdpSocket } from '../sockets/udp-socket.js';

/**
 * Messages between two pauses of a millisecond at least: 160,000 connections a second at most. The receiver's kernel takes
 * some ten times as many, and its buffer, whatever it is, holds a few dozen messages.
 */
const MESSAGES_AT_ONCE = 4;
const PAUSE_MS = 1;
/** Pauses in which an interface that is busy or down may take a message after all. */
const MAX_REFUSALS = 1000;
const BUSY: ReadonlySet<string> = new Set(['EAGAIN', 'ENOBUFS']);

/** Where a sync daemon of the kernel sends, and what its messages are like. */
export interface SyncGroup {
  readonly interface: string;
  readonly syncid: number;
  readonly group: string;
  readonly port: number;
  readonly ttl: number;
  readonly maxBytes: number;
}

/** Kernels before 4.3 tell nothing of the group, and have no other one. */
export function groupOf(daemon: DumpedSyncDaemon): SyncGroup {
  return {
    interface: daemon.interface,
    syncid: daemon.syncid,
    group: daemon.group ?? DEFAULT_GROUP,
    port: daemon.port ?? DEFAULT_PORT,
    ttl: daemon.ttl ?? DEFAULT_TTL,
    maxBytes: daemon.maxLength ?? DEFAULT_MESSAGE_BYTES,
  };
}

export class GroupSender {
  readonly #socket: UdpSocket;
  readonly #group: string;
  #sincePause = 0;

  /** `isHeardHere`: by this host's own daemon as well. */
  constructor({ group, port, ttl, interface: name }: SyncGroup, { isHeardHere = false } = {}) {
    this.#group = group;
    this.#socket = new UdpSocket({ type: familyOf(group) === 'ipv6' ? 'udp6' : 'udp4', port });
    try {
      this.#socket.setMulticastInterface(name);
      this.#socket.setMulticastTTL(ttl);
      // Not, as the kernel's own sender: this host's daemon knows its connections better.
      this.#socket.setMulticastLoopback(isHeardHere);
    } catch (error) {
      this.#socket.close();
      throw error;
    }
  }

  /** Resolves when it is sent. Rejects with the kernel's words. */
  async send(message: Uint8Array): Promise<void> {
    if (this.#sincePause === MESSAGES_AT_ONCE) await this.#pause();
    for (let refusals = 0; ; refusals++) {
      try {
        this.#socket.send(message, this.#group);
        this.#sincePause += 1;
        return;
      } catch (error) {
        const isBusy = error instanceof Error && 'code' in error && BUSY.has(String(error.code));
        if (!isBusy || refusals === MAX_REFUSALS) throw error;
        await this.#pause();
      }
    }
  }

  close(): void {
    this.#socket.close();
  }

  async #pause(): Promise<void> {
    await wait(PAUSE_MS);
    this.#sincePause = 0;
  }
}
