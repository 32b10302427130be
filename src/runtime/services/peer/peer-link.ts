/** One peer on the channel: its session, what it said last, and how far its clock is from ours. */
import type { Hello } from '../../../peer/hello.js';
import { createSession, type SessionInput, type SessionState, stepSession } from '../../../peer/session.js';
import type { DiscardReason, PeerMessage } from '../../../peer/wire.js';
import type { Clock } from '../../ports.js';

export type OwnWords = Omit<Hello, 'wallClockMs' | 'stampUs' | 'echo'>;

export interface PeerLinkPorts {
  readonly clock: Clock;
  random64(): bigint;
  nowEpochMs(): number;
  /** What is to be said to this peer now. */
  words(): OwnWords;
  send(message: PeerMessage): void;
  /** Takes what lies in the socket: before time alone decides. */
  drain(): void;
  discard(reason: DiscardReason): void;
  /** It is up again after it was silent; `isNew`: as another process. */
  heardAgain(isNew: boolean): void;
  /** It has a new session. */
  expect(): void;
  /** It spoke, appeared or fell silent. */
  changed(): void;
}

/** A round trip beyond this is somebody's invention. */
const MAX_ROUND_TRIP_MS = 60_000;

export class PeerLink {
  readonly name: string;
  readonly address: string;
  readonly #ports: PeerLinkPorts;
  #session: SessionState;
  #hello: { readonly said: Hello; readonly atMs: number } | undefined;
  #roundTripMs: number | undefined;
  #clockOffsetMs: number | undefined;
  #cancel: () => void = () => {};
  #closed = false;
  #wasSilent = false;

  constructor({ name, address }: { name: string; address: string }, ports: PeerLinkPorts) {
    this.name = name;
    this.address = address;
    this.#ports = ports;
    const session = ports.random64();
    this.#session = createSession(session === 0n ? 1n : session, ports.random64(), ports.clock.nowMs());
    this.#await(this.#session.sendAtMs);
  }

  /** That was taken last. */
  get session(): bigint | undefined {
    return this.#session.peer?.session;
  }

  get isUp(): boolean {
    return this.#session.isUp;
  }

  /** Since when it is up or not, CLOCK_MONOTONIC. */
  get sinceMs(): number {
    return this.#session.sinceMs;
  }

  /** What it said last, and when; undefined: nothing since this process started. */
  get hello(): { readonly said: Hello; readonly atMs: number } | undefined {
    return this.#hello;
  }

  get roundTripMs(): number | undefined {
    return this.#roundTripMs;
  }

  /** The peer's wall clock less ours. */
  get clockOffsetMs(): number | undefined {
    return this.#clockOffsetMs;
  }

  /** One whose source and MAC are right. */
  take(message: PeerMessage, receivedAtMs: number): void {
    if (this.#closed) return;
    const input = { type: 'datagram', message, receivedAtMs, nonce: this.#ports.random64() } as const;
    this.#step(input);
  }

  /** Our words are others than a moment ago. */
  tellSoon(): void {
    this.#step({ type: 'changed' });
  }

  close(): void {
    this.#closed = true;
    this.#cancel();
  }

  #step(input: SessionInput): void {
    if (this.#closed) return;
    const { state, effects, deadlineMs } = stepSession(this.#session, input, this.#ports.clock.nowMs());
    this.#session = state;
    let isChanged = false;
    let isNew = false;
    for (const effect of effects) {
      switch (effect.type) {
        case 'send':
          this.#ports.send({ ...effect.header, hello: this.#words() });
          break;
        case 'discard':
          this.#ports.discard(effect.reason);
          break;
        case 'taken':
          if (input.type === 'datagram') this.#heard(input.message.hello, input.receivedAtMs);
          if (this.#wasSilent) this.#ports.heardAgain(isNew);
          this.#wasSilent = false;
          isChanged = true;
          break;
        case 'up':
          isNew = effect.isNew;
          if (isNew) this.#ports.expect();
          isChanged = true;
          break;
        case 'silent':
          this.#wasSilent = true;
          isChanged = true;
      }
    }
    this.#await(deadlineMs);
    if (isChanged) this.#ports.changed();
  }

  #await(deadlineMs: number): void {
    this.#cancel();
    this.#cancel = this.#ports.clock.at(deadlineMs, () => {
      // A process that stood still has heard nothing, and its queue may be full of what was said.
      this.#ports.drain();
      this.#step({ type: 'deadline' });
    });
  }

  #words(): Hello {
    const nowMs = this.#ports.clock.nowMs();
    const hello = this.#hello;
    return {
      ...this.#ports.words(),
      wallClockMs: Math.max(0, Math.round(this.#ports.nowEpochMs())),
      stampUs: microseconds(nowMs),
      echo: hello && { stampUs: hello.said.stampUs, heldUs: microseconds(nowMs - hello.atMs) },
    };
  }

  #heard(said: Hello, atMs: number): void {
    this.#hello = { said, atMs };
    const ports = this.#ports;
    if (said.echo !== undefined) {
      const roundTripMs = (microseconds(atMs) - said.echo.stampUs - said.echo.heldUs) / 1000;
      if (roundTripMs >= 0 && roundTripMs < MAX_ROUND_TRIP_MS) this.#roundTripMs = roundTripMs;
    }
    const here = ports.nowEpochMs() - (ports.clock.nowMs() - atMs);
    this.#clockOffsetMs = said.wallClockMs + (this.#roundTripMs ?? 0) / 2 - here;
  }
}

function microseconds(ms: number): number {
  return Math.max(0, Math.round(ms * 1000));
}
