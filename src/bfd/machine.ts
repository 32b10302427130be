/**
 * One BFD session (RFC 5880 section 6.8), asynchronous mode, active role, without echo and authentication. Pure: time
 * and the random number for the jitter come in with each step.
 */
import type { BfdSettings } from '../config/model.js';
import {
  ADMINISTRATIVELY_DOWN,
  type BfdPacket,
  type BfdState,
  DETECTION_TIME_EXPIRED,
  NEIGHBOR_SIGNALED_DOWN,
  NO_DIAGNOSTIC,
} from './packet.js';

/** RFC 5880 section 6.8.3: not faster while the session is not up. */
export const SLOW_INTERVAL_MS = 1000;
/** Section 6.8.7: an interval is shortened by up to a quarter; with a multiplier of 1 by a tenth at least. */
const JITTER = 0.25;
const LEAST_JITTER_OF_ONE = 0.1;
/** bfd.RemoteMinRxInterval is 1 µs until the peer has said it. */
const UNTOLD_MIN_RX_MS = 0.001;
/** In intervals of the peer: who is late by more stood still meanwhile, and listens for so long from then on. */
const LATE_INTERVALS = 0.5;
const LISTENING_INTERVALS = 1.5;

export interface BfdRemote {
  /** 0: not known. */
  readonly discriminator: number;
  readonly state: BfdState;
  readonly diagnostic: number;
  readonly demand: boolean;
  readonly multiplier: number;
  /** Required Min RX Interval and Desired Min TX Interval of the peer. */
  readonly minReceiveMs: number;
  readonly transmitMs: number;
}

export interface BfdSession {
  readonly settings: BfdSettings;
  /** 1 to 2^32 - 1, unique on this host. */
  readonly discriminator: number;
  readonly state: BfdState;
  /** bfd.LocalDiag: why it left the state up last; none while it is up. */
  readonly diagnostic: number;
  /** When the state was entered. */
  readonly sinceMs: number;
  readonly remote: BfdRemote;
  /** bfd.DesiredMinTxInterval, and the interval that is kept until the peer has confirmed a longer one. */
  readonly desiredMs: number;
  readonly transmitMs: number;
  /** The same for bfd.RequiredMinRxInterval and a shorter one. */
  readonly receiveMs: number;
  /** A Poll Sequence is under way (section 6.5). */
  readonly polling: boolean;
  /** When the next packet leaves; Infinity: none does. */
  readonly transmitAtMs: number;
  /** End of the Detection Time (section 6.8.4); Infinity: nothing was heard. */
  readonly detectAtMs: number;
  /** To this it may be put off where this process was late. */
  readonly detectLatestMs: number;
  /** When the last packet came; -Infinity: none did. */
  readonly heardAtMs: number;
}

export type BfdInput =
  | { readonly type: 'packet'; readonly packet: BfdPacket; readonly receivedAtMs: number }
  | { readonly type: 'deadline' }
  /** Other settings for the same session: told by a Poll Sequence. */
  | { readonly type: 'configure'; readonly settings: BfdSettings }
  /** Administratively down (section 6.8.16): no failure. For good. */
  | { readonly type: 'stop' };

export type BfdEffect =
  | { readonly type: 'send'; readonly packet: BfdPacket }
  | { readonly type: 'state'; readonly from: BfdState; readonly to: BfdState; readonly diagnostic: number }
  /** The Detection Time of a session that was up is over. What it says of the peer ends at `heardAtMs`. */
  | { readonly type: 'expired'; readonly heardAtMs: number; readonly intervalMs: number };

export interface BfdStep {
  readonly state: BfdSession;
  readonly effects: readonly BfdEffect[];
  readonly deadlineMs: number;
}

type Draft = { -readonly [K in keyof BfdSession]: BfdSession[K] };

const UNHEARD: BfdRemote = {
  discriminator: 0,
  state: 'down',
  diagnostic: NO_DIAGNOSTIC,
  demand: false,
  multiplier: 0,
  minReceiveMs: UNTOLD_MIN_RX_MS,
  transmitMs: 0,
};

/** It speaks first at its first deadline, which is `nowMs`. `discriminator` is random (section 6.3). */
export function createBfd(settings: BfdSettings, discriminator: number, nowMs: number): BfdSession {
  const desiredMs = Math.max(SLOW_INTERVAL_MS, settings.intervalMs);
  return {
    settings,
    discriminator,
    state: 'down',
    diagnostic: NO_DIAGNOSTIC,
    sinceMs: nowMs,
    remote: UNHEARD,
    desiredMs,
    transmitMs: desiredMs,
    receiveMs: settings.minReceiveMs,
    polling: false,
    transmitAtMs: nowMs,
    detectAtMs: Number.POSITIVE_INFINITY,
    detectLatestMs: Number.POSITIVE_INFINITY,
    heardAtMs: Number.NEGATIVE_INFINITY,
  };
}

/** Section 6.8.4: by the peer's multiplier. 0 before anything was heard. */
export function detectionTimeMs({ remote, receiveMs }: BfdSession): number {
  return remote.multiplier * Math.max(receiveMs, remote.transmitMs);
}

/** Section 6.8.2, without the jitter; Infinity: the peer wants none, or wants to be asked. */
export function transmitIntervalMs({ state, remote, transmitMs, polling }: BfdSession): number {
  if (remote.minReceiveMs === 0) return Number.POSITIVE_INFINITY;
  if (remote.demand && state === 'up' && remote.state === 'up' && !polling) return Number.POSITIVE_INFINITY;
  return Math.max(transmitMs, remote.minReceiveMs);
}

/** Takes one input at `nowMs` (monotonic); `random` is in [0, 1). Never fails. */
export function stepBfd(session: BfdSession, input: BfdInput, nowMs: number, random: number): BfdStep {
  const draft: Draft = { ...session };
  const effects: BfdEffect[] = [];
  switch (input.type) {
    case 'packet':
      heard(draft, input.packet, input.receivedAtMs, nowMs, random, effects);
      break;
    case 'deadline':
      deadline(draft, nowMs, random, effects);
      break;
    case 'configure':
      configure(draft, input.settings, nowMs, random);
      break;
    case 'stop':
      draft.detectAtMs = Number.POSITIVE_INFINITY;
      enter(draft, 'admin-down', ADMINISTRATIVELY_DOWN, nowMs, effects);
      speak(draft, nowMs, random, effects);
  }
  return { state: draft, effects, deadlineMs: Math.min(draft.transmitAtMs, draft.detectAtMs) };
}

/** Section 6.8.6 from where the session is known. */
function heard(
  draft: Draft,
  packet: BfdPacket,
  receivedAtMs: number,
  nowMs: number,
  random: number,
  effects: BfdEffect[],
): void {
  const beforeMs = transmitIntervalMs(draft);
  draft.remote = {
    discriminator: packet.discriminator,
    state: packet.state,
    diagnostic: packet.diagnostic,
    demand: packet.demand,
    multiplier: packet.multiplier,
    minReceiveMs: packet.requiredMinRxUs / 1000,
    transmitMs: packet.desiredMinTxUs / 1000,
  };
  if (packet.final && draft.polling) {
    draft.polling = false;
    draft.transmitMs = draft.desiredMs;
    draft.receiveMs = draft.settings.minReceiveMs;
  }
  if (draft.state === 'admin-down') return;
  draft.heardAtMs = receivedAtMs;
  startDetection(draft, receivedAtMs, nowMs);
  const before = draft.state;
  const next = nextState(before, packet.state);
  if (next !== before) {
    const diagnostic =
      next === 'down' ? NEIGHBOR_SIGNALED_DOWN : next === 'up' ? NO_DIAGNOSTIC : draft.diagnostic;
    enter(draft, next, diagnostic, nowMs, effects);
  }
  // A change of state is told at once (section 6.8.7), and so is what was asked by a Poll.
  if (packet.poll) effects.push({ type: 'send', packet: packetOf(draft, true) });
  else if (next !== before) effects.push({ type: 'send', packet: packetOf(draft, false) });
  if (next !== before) rest(draft, nowMs, random);
  else transmitSooner(draft, beforeMs, nowMs, random);
}

function configure(draft: Draft, settings: BfdSettings, nowMs: number, random: number): void {
  const beforeMs = transmitIntervalMs(draft);
  draft.settings = settings;
  wantIntervals(draft);
  transmitSooner(draft, beforeMs, nowMs, random);
}

function nextState(state: BfdState, heard: BfdState): BfdState {
  if (heard === 'admin-down') return 'down';
  if (state === 'down') return heard === 'down' ? 'init' : heard === 'init' ? 'up' : 'down';
  if (state === 'init') return heard === 'down' ? 'init' : 'up';
  return heard === 'down' ? 'down' : state;
}

/** What is older than the Detection Time is long says nothing of now: this process stood still. */
function startDetection(draft: Draft, receivedAtMs: number, nowMs: number): void {
  const detectionMs = detectionTimeMs(draft);
  const fromMs = receivedAtMs + detectionMs > nowMs ? receivedAtMs : nowMs;
  draft.detectAtMs = fromMs + detectionMs;
  draft.detectLatestMs = draft.detectAtMs + detectionMs;
}

function deadline(draft: Draft, nowMs: number, random: number, effects: BfdEffect[]): void {
  stoodStill(draft, nowMs);
  if (nowMs >= draft.detectAtMs) expire(draft, nowMs, random, effects);
  if (nowMs >= draft.transmitAtMs) speak(draft, nowMs, random, effects);
}

/**
 * Time in which this process stood still, and with it perhaps the whole host, is no time in which it heard nothing
 * (docs/decisions/0006): a living peer speaks within an interval from now on. A host that is late each time waits for
 * two Detection Times at most.
 */
function stoodStill(draft: Draft, nowMs: number): void {
  const lateMs = nowMs - Math.min(draft.transmitAtMs, draft.detectAtMs);
  const detectionMs = detectionTimeMs(draft);
  if (draft.detectAtMs === Number.POSITIVE_INFINITY || draft.remote.multiplier === 0) return;
  if (lateMs > detectionMs) {
    draft.detectAtMs = nowMs + detectionMs;
    return;
  }
  const intervalMs = detectionMs / draft.remote.multiplier;
  if (lateMs <= LATE_INTERVALS * intervalMs) return;
  const listenedMs = Math.min(nowMs + LISTENING_INTERVALS * intervalMs, draft.detectLatestMs);
  draft.detectAtMs = Math.max(draft.detectAtMs, listenedMs);
}

function expire(draft: Draft, nowMs: number, random: number, effects: BfdEffect[]): void {
  const { state, heardAtMs, remote } = draft;
  const intervalMs = detectionTimeMs(draft) / remote.multiplier;
  draft.detectAtMs = Number.POSITIVE_INFINITY;
  draft.remote = { ...UNHEARD, diagnostic: remote.diagnostic };
  if (state !== 'up' && state !== 'init') return;
  enter(draft, 'down', DETECTION_TIME_EXPIRED, nowMs, effects);
  if (state === 'up') effects.push({ type: 'expired', heardAtMs, intervalMs });
  speak(draft, nowMs, random, effects);
}

function enter(draft: Draft, to: BfdState, diagnostic: number, nowMs: number, effects: BfdEffect[]): void {
  const from = draft.state;
  if (from === to) return;
  draft.state = to;
  draft.diagnostic = diagnostic;
  draft.sinceMs = nowMs;
  wantIntervals(draft);
  effects.push({ type: 'state', from, to, diagnostic });
}

/**
 * Section 6.8.3: what is new is told by a Poll Sequence, and a longer interval is kept to when the peer knows of it. While the
 * session is not up every packet tells it, and nobody counts on the one before.
 */
function wantIntervals(draft: Draft): void {
  const { settings, state } = draft;
  const isUp = state === 'up';
  const desiredMs = isUp ? settings.intervalMs : Math.max(SLOW_INTERVAL_MS, settings.intervalMs);
  const isNew = desiredMs !== draft.desiredMs || settings.minReceiveMs !== draft.receiveMs;
  draft.desiredMs = desiredMs;
  if (!isUp || desiredMs < draft.transmitMs) draft.transmitMs = desiredMs;
  if (!isUp || settings.minReceiveMs > draft.receiveMs) draft.receiveMs = settings.minReceiveMs;
  draft.polling = isUp && (draft.polling || isNew);
}

function jittered(draft: Draft, random: number): number {
  const least = draft.settings.multiplier === 1 ? LEAST_JITTER_OF_ONE : 0;
  return transmitIntervalMs(draft) * (1 - least - (JITTER - least) * random);
}

function rest(draft: Draft, nowMs: number, random: number): void {
  draft.transmitAtMs = nowMs + jittered(draft, random);
}

/** A shorter interval than before counts from now. */
function transmitSooner(draft: Draft, beforeMs: number, nowMs: number, random: number): void {
  if (transmitIntervalMs(draft) >= beforeMs) return;
  draft.transmitAtMs = Math.min(draft.transmitAtMs, nowMs + jittered(draft, random));
}

function speak(draft: Draft, nowMs: number, random: number, effects: BfdEffect[]): void {
  effects.push({ type: 'send', packet: packetOf(draft, false) });
  rest(draft, nowMs, random);
}

function packetOf(draft: BfdSession, final: boolean): BfdPacket {
  return {
    state: draft.state,
    diagnostic: draft.diagnostic,
    poll: draft.polling && !final,
    final,
    demand: false,
    multiplier: draft.settings.multiplier,
    discriminator: draft.discriminator,
    yourDiscriminator: draft.remote.discriminator,
    desiredMinTxUs: Math.round(draft.desiredMs * 1000),
    requiredMinRxUs: Math.round(draft.settings.minReceiveMs * 1000),
  };
}
