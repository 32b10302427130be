/** Runs one BFD session: its packets, its deadline, its counters, and who is to hear of it. */
import {
  type BfdEffect,
  type BfdInput,
  type BfdSession,
  createBfd,
  detectionTimeMs,
  stepBfd,
  transmitIntervalMs,
} from '../../../bfd/machine.js';
import { type BfdPacket, type BfdState, diagnosticText, encodeBfd } from '../../../bfd/packet.js';
import type { WantedBfd } from '../../../planning/bfd-sessions.js';
import type { BfdTransport, Clock, Log, VrrpTransport } from '../../ports.js';
import type { Deadlines, Waiting } from '../deadlines.js';
import { DebouncedVerdict } from '../interface-tracks.js';

/** A session that was not up by then is down for those who track it: speaking slowly, two hosts need three seconds. */
export const FIRST_VERDICT_MS = 5000;

export interface LostPeer {
  readonly source: string;
  readonly heardAtMs: number;
  readonly intervalMs: number;
}

export interface BfdRunnerPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly deadlines: Deadlines;
  random(): number;
  /** Whether one more line of the log may be said: a neighbour can make sessions come and go. */
  allowsLine(): boolean;
  onVerdict(object: string, up: boolean): void;
  onLost(instance: string, lost: LostPeer): void;
  /** It came up or went down. */
  onChange(): void;
  /** Where an instance hears advertisements, which are read before the peer is given up. */
  transport(instance: string): VrrpTransport | undefined;
}

export type BfdCounter =
  | 'packets_sent'
  | 'packets_received'
  | 'send_errors'
  | 'ups'
  | 'downs'
  | 'expirations';

export class BfdRunner implements Waiting {
  readonly leadMs = 0;
  wanted: WantedBfd;
  /** Undefined while there is none to speak from, and `fault` says why, as a sentence's end. */
  link: BfdTransport | undefined;
  fault: string | undefined;
  readonly counters: Record<BfdCounter, number> = {
    packets_sent: 0,
    packets_received: 0,
    send_errors: 0,
    ups: 0,
    downs: 0,
    expirations: 0,
  };
  /** By reason, such as `bad-length`. */
  readonly discards = new Map<string, number>();
  readonly #ports: BfdRunnerPorts;
  #session: BfdSession;
  #verdicts: readonly DebouncedVerdict[] = [];
  #deadlineMs = Number.NaN;
  #cancelTimer: () => void = () => {};
  #cancelFirst: () => void;
  #said: { readonly packet: BfdPacket; readonly bytes: Uint8Array } | undefined;

  constructor(wanted: WantedBfd, discriminator: number, ports: BfdRunnerPorts) {
    const { clock } = ports;
    this.#ports = ports;
    this.wanted = wanted;
    this.#session = createBfd(wanted.settings, discriminator, clock.nowMs());
    this.#track();
    this.#cancelFirst = clock.at(clock.nowMs() + FIRST_VERDICT_MS, () => this.#tellVerdicts());
    this.#rearm(clock.nowMs());
  }

  get session(): BfdSession {
    return this.#session;
  }

  /** How long its peer waits for this director, once the session is up. */
  get watchedMs(): number | undefined {
    const { state, settings } = this.#session;
    return state === 'up' ? settings.multiplier * transmitIntervalMs(this.#session) : undefined;
  }

  get detectionMs(): number {
    return detectionTimeMs(this.#session);
  }

  /** Whoever uses it, and with which settings. */
  configure(wanted: WantedBfd): void {
    const { settings } = this.wanted;
    this.wanted = wanted;
    if (JSON.stringify(settings) !== JSON.stringify(wanted.settings))
      this.input({ type: 'configure', settings: wanted.settings });
    this.#track();
  }

  input(input: BfdInput, nowMs = this.#ports.clock.nowMs()): void {
    if (input.type === 'packet') this.counters.packets_received += 1;
    const { state, effects, deadlineMs } = stepBfd(this.#session, input, nowMs, this.#ports.random());
    this.#session = state;
    this.#rearm(deadlineMs);
    for (const effect of effects) this.#run(effect);
  }

  discarded(reason: string): void {
    this.discards.set(reason, (this.discards.get(reason) ?? 0) + 1);
  }

  /** Most deadlines are those of packets to send, a hundred in a second: only the peer's end has to be read for (`due`). */
  addTransports(): void {}

  makeReady(): void {}

  /** A stalled loop must not lose a peer whose packets, or advertisements, lie in the queue. */
  due(): void {
    this.#deadlineMs = Number.NaN;
    this.#cancelTimer = () => {};
    const nowMs = this.#ports.clock.nowMs();
    if (nowMs >= this.#session.detectAtMs) {
      this.link?.drain();
      for (const instance of this.wanted.instances) this.#ports.transport(instance)?.drain();
    }
    this.input({ type: 'deadline' }, nowMs);
  }

  close(): void {
    this.#cancelTimer();
    this.#cancelFirst();
    for (const verdict of this.#verdicts) verdict.close();
    this.#verdicts = [];
  }

  #rearm(deadlineMs: number): void {
    if (deadlineMs === this.#deadlineMs) return;
    this.#cancelTimer();
    this.#deadlineMs = deadlineMs;
    this.#cancelTimer =
      deadlineMs < Number.POSITIVE_INFINITY
        ? this.#ports.deadlines.at(deadlineMs, deadlineMs, this)
        : () => {};
  }

  #run(effect: BfdEffect): void {
    switch (effect.type) {
      case 'send':
        return this.#send(effect.packet);
      case 'expired':
        this.counters.expirations += 1;
        for (const instance of this.wanted.instances)
          this.#ports.onLost(instance, { source: this.wanted.peer, ...effect });
        return;
      case 'state':
        return this.#changed(effect.from, effect.to, effect.diagnostic);
    }
  }

  /** The network hears first, and those who track it; people afterwards. */
  #changed(from: BfdState, to: BfdState, diagnostic: number): void {
    const { clock, log } = this.#ports;
    if (to !== 'up' && from !== 'up') return;
    this.counters[to === 'up' ? 'ups' : 'downs'] += 1;
    this.#tellVerdicts();
    const { peer, interface: device } = this.wanted;
    clock.at(clock.nowMs(), () => {
      this.#ports.onChange();
      if (!this.#ports.allowsLine()) return;
      const reason = diagnosticText(diagnostic);
      const fields = { event: 'bfd', peer, interface: device, state: to, reason };
      const words = `BFD session with ${peer} on ${device} is ${to}`;
      if (to === 'down') log.warn(fields, `${words}: ${reason}`);
      else log.info(fields, words);
    });
  }

  #send(packet: BfdPacket): void {
    if (this.link === undefined) return;
    if (this.#said === undefined || !isSame(this.#said.packet, packet))
      this.#said = { packet, bytes: encodeBfd(packet) };
    try {
      this.link.send(this.wanted.peer, this.#said.bytes);
      this.counters.packets_sent += 1;
    } catch {
      // The link may have gone this very moment; the link event and the peer's silence say the rest.
      this.counters.send_errors += 1;
    }
  }

  #track(): void {
    for (const verdict of this.#verdicts) verdict.close();
    const { clock } = this.#ports;
    this.#verdicts = this.wanted.objects.map(
      ({ name, debounceMs }) =>
        new DebouncedVerdict(clock, debounceMs, (up) => this.#ports.onVerdict(name, up)),
    );
    const { state, sinceMs } = this.#session;
    if (state === 'up' || this.counters.ups > 0 || clock.nowMs() - sinceMs > FIRST_VERDICT_MS)
      this.#tellVerdicts();
  }

  #tellVerdicts(): void {
    for (const verdict of this.#verdicts) verdict.look(this.#session.state === 'up');
  }
}

function isSame(a: BfdPacket, b: BfdPacket): boolean {
  return (
    a.state === b.state &&
    a.diagnostic === b.diagnostic &&
    a.poll === b.poll &&
    a.final === b.final &&
    a.multiplier === b.multiplier &&
    a.yourDiscriminator === b.yourDiscriminator &&
    a.desiredMinTxUs === b.desiredMinTxUs &&
    a.requiredMinRxUs === b.requiredMinRxUs
  );
}
