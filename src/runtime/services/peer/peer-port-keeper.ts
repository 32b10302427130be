/** The channel's socket and key: opened when they can be, again and again; counts what is not taken. */

import type { PeerChannel } from '../../../config/model.js';
import {
  DISCARD_REASONS,
  type DiscardReason,
  type Mac,
  openDatagram,
  type PeerMessage,
  sealDatagram,
} from '../../../peer/wire.js';
import { messageOf } from '../../../util/error-message.js';
import type { Clock, Log } from '../../ports.js';
import type { PeerPorts, PeerSocket } from './peer-ports.js';

/** An address may come later, and so may a key. */
const RETRY_MS = 2000;
/** Discards are told in the log no more often, all together. */
const TELL_MS = 60_000;

export type Discards = Readonly<Record<DiscardReason, number>>;

export interface PeerPortKeeperPorts extends Pick<PeerPorts, 'open' | 'readKey'> {
  readonly clock: Clock;
  readonly log: Log;
  /** A datagram of a peer, whose MAC is right if there is a key. */
  take(message: PeerMessage, source: string, receivedAtMs: number): void;
  isPeer(address: string): boolean;
}

export class PeerPortKeeper {
  readonly #ports: PeerPortKeeperPorts;
  readonly #counts: Record<DiscardReason, number> = zeros();
  #told: Record<DiscardReason, number> = zeros();
  #config: PeerChannel | undefined;
  #socket: PeerSocket | undefined;
  #place = '';
  #sessions: readonly bigint[] = [];
  #mac: Mac | undefined;
  #fault: string | undefined;
  #droppedBefore = 0;
  #cancelRetry: () => void = () => {};
  #cancelTelling: () => void = () => {};
  #isTelling = false;

  constructor(ports: PeerPortKeeperPorts) {
    this.#ports = ports;
  }

  /** Why the channel does not work, as a sentence without a full stop. */
  get fault(): string | undefined {
    return this.#fault;
  }

  /** Since the start of this process. */
  get discards(): Discards {
    return { ...this.#counts, unread: this.#droppedBefore + (this.#socket?.droppedCount() ?? 0) };
  }

  /** Reads the key anew. Without the key that the file asks for the channel is closed: never unauthenticated instead. */
  async configure(config: PeerChannel | undefined): Promise<void> {
    this.#config = config;
    await this.#bring();
  }

  send(message: PeerMessage, address: string): void {
    try {
      this.#socket?.send(sealDatagram(message, this.#mac), address);
    } catch {
      // A peer that cannot be reached falls silent on its side, and is silent here: that is told.
    }
  }

  /** Of the peers, as they were taken. */
  expect(sessions: readonly bigint[]): void {
    this.#sessions = sessions;
    this.#socket?.expect(sessions);
  }

  drain(): void {
    this.#socket?.drain();
  }

  discard(reason: DiscardReason): void {
    this.#counts[reason] += 1;
    if (!this.#isTelling) this.#tellLater();
  }

  close(): void {
    this.#config = undefined;
    this.#cancelRetry();
    this.#cancelTelling();
    this.#shut();
  }

  async #bring(): Promise<void> {
    this.#cancelRetry();
    const config = this.#config;
    if (config === undefined) {
      this.#fault = undefined;
      return this.#shut();
    }
    try {
      const mac = config.keyFile === undefined ? undefined : await this.#ports.readKey(config.keyFile);
      if (this.#config !== config) return;
      this.#mac = mac;
      const place = `${config.address} ${config.port}`;
      if (place !== this.#place) this.#shut();
      this.#socket ??= this.#ports.open(config.address, config.port, (bytes, source, receivedAtMs) =>
        this.#take(bytes, source, receivedAtMs),
      );
      this.#socket.expect(this.#sessions);
      this.#place = place;
      if (this.#fault !== undefined)
        this.#ports.log.info({ event: 'peer-channel' }, 'the peer channel is open');
      this.#fault = undefined;
    } catch (error) {
      if (this.#config !== config) return;
      this.#shut();
      this.#see(messageOf(error));
      const { clock } = this.#ports;
      this.#cancelRetry = clock.at(clock.nowMs() + RETRY_MS, () => void this.#bring());
    }
  }

  #see(words: string): void {
    const fault = `the peer channel is closed: ${words}`;
    if (fault !== this.#fault) this.#ports.log.error({ event: 'peer-channel' }, fault);
    this.#fault = fault;
  }

  #shut(): void {
    this.#droppedBefore += this.#socket?.droppedCount() ?? 0;
    this.#socket?.close();
    this.#socket = undefined;
    this.#place = '';
  }

  #take(bytes: Uint8Array, source: string, receivedAtMs: number): void {
    if (!this.#ports.isPeer(source)) return this.discard('stranger');
    const result = openDatagram(bytes, this.#mac);
    if (!result.ok) return this.discard(result.reason);
    this.#ports.take(result.message, source, receivedAtMs);
  }

  /** However many come: one line in a minute. The first unproven datagrams of a peer are its start, and no matter. */
  #tellLater(): void {
    const { clock, log } = this.#ports;
    this.#isTelling = true;
    this.#cancelTelling = clock.at(clock.nowMs() + TELL_MS, () => {
      this.#isTelling = false;
      const counts = this.discards;
      const fresh = DISCARD_REASONS.flatMap((reason) => {
        const count = counts[reason] - this.#told[reason];
        return count === 0 || (reason === 'unproven' && count < FEW) ? [] : [`${count} ${reason}`];
      });
      this.#told = { ...counts };
      if (fresh.length > 0)
        log.warn(
          { event: 'peer-channel', discards: counts },
          `datagrams on the peer channel were not taken: ${fresh.join(', ')}`,
        );
    });
  }
}

/** As many as the start of a peer may bring. */
const FEW = 10;

function zeros(): Record<DiscardReason, number> {
  return Object.fromEntries(DISCARD_REASONS.map((reason) => [reason, 0])) as Record<DiscardReason, number>;
}
