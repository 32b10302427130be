/**
 * The session between two directors: who is on the other side now, and what of it is old or false. Pure.
 *
 * A session of the peer is taken when it answers this side's challenge, which is random and made anew each time: a recording
 * of an earlier session, of either side, answers an older one. Within a session the sequence grows. Without a key the same
 * keeps out whoever cannot hear the channel.
 */
import type { DiscardReason, Header, PeerMessage } from './wire.js';

/** Between two datagrams of a director. */
export const HELLO_MS = 1000;
/** Without a datagram for so long, the peer counts as silent: three are lost. */
export const SILENT_MS = 3500;
/** A change is told sooner than the next hello, but not sooner than so long behind the last. */
export const SOON_MS = 50;
/** At most one answer to sessions that are not proven in so long: recordings may come in any number. */
export const ANSWER_PAUSE_MS = 100;

export interface SessionState {
  readonly own: { readonly session: bigint; readonly challenge: bigint; readonly sequence: number };
  /** The peer's session that was taken last. */
  readonly peer:
    | {
        readonly session: bigint;
        readonly sequence: number;
        readonly challenge: bigint;
        readonly heardAtMs: number;
      }
    | undefined;
  readonly isUp: boolean;
  /** Since when it is up or not. */
  readonly sinceMs: number;
  readonly sentAtMs: number;
  readonly sendAtMs: number;
  readonly answeredAtMs: number;
}

export type SessionInput =
  /** `nonce`: 64 random bits, for the next challenge. */
  | {
      readonly type: 'datagram';
      readonly message: PeerMessage;
      readonly receivedAtMs: number;
      readonly nonce: bigint;
    }
  /** There is news to tell. */
  | { readonly type: 'changed' }
  | { readonly type: 'deadline' };

export type SessionEffect =
  | { readonly type: 'send'; readonly header: Header }
  | { readonly type: 'discard'; readonly reason: DiscardReason }
  /** What the datagram says counts. */
  | { readonly type: 'taken' }
  /** `isNew`: another process than the one before speaks there. */
  | { readonly type: 'up'; readonly isNew: boolean }
  | { readonly type: 'silent' };

export interface SessionStep {
  readonly state: SessionState;
  readonly effects: readonly SessionEffect[];
  readonly deadlineMs: number;
}

/** `session` and `challenge`: 64 random bits each, `session` not 0. */
export function createSession(session: bigint, challenge: bigint, nowMs: number): SessionState {
  return {
    own: { session, challenge, sequence: 0 },
    peer: undefined,
    isUp: false,
    sinceMs: nowMs,
    sentAtMs: Number.NEGATIVE_INFINITY,
    sendAtMs: nowMs,
    answeredAtMs: Number.NEGATIVE_INFINITY,
  };
}

export function stepSession(state: SessionState, input: SessionInput, nowMs: number): SessionStep {
  switch (input.type) {
    case 'datagram':
      return take(state, input, nowMs);
    case 'changed':
      return done(sooner(state, nowMs), []);
    case 'deadline':
      return due(state, nowMs);
  }
}

function due(state: SessionState, nowMs: number): SessionStep {
  const effects: SessionEffect[] = [];
  let next = state;
  if (next.isUp && nowMs >= silentAtMs(next)) {
    next = { ...next, isUp: false, sinceMs: nowMs };
    effects.push({ type: 'silent' });
  }
  if (nowMs >= next.sendAtMs) next = send(next, next.peer?.challenge ?? 0n, effects, nowMs);
  return done(next, effects);
}

function take(
  state: SessionState,
  { message, receivedAtMs, nonce }: Extract<SessionInput, { type: 'datagram' }>,
  nowMs: number,
): SessionStep {
  const { session, sequence, challenge, answer } = message;
  const { own, peer } = state;
  const refuse = (reason: DiscardReason): SessionStep => done(state, [{ type: 'discard', reason }]);
  if (session === own.session) return refuse('reflected');
  const heard = { session, sequence, challenge, heardAtMs: receivedAtMs };
  if (session === peer?.session) {
    if (sequence <= peer.sequence) return refuse('replayed');
    return up({ ...state, peer: heard }, { isNew: false, nowMs });
  }
  if (answer !== own.challenge) {
    if (nowMs < state.answeredAtMs + ANSWER_PAUSE_MS) return refuse('unproven');
    const effects: SessionEffect[] = [{ type: 'discard', reason: 'unproven' }];
    return done(send({ ...state, answeredAtMs: nowMs }, challenge, effects, nowMs), effects);
  }
  const proven = { ...state, own: { ...own, challenge: nonce }, peer: heard };
  return up(sooner(proven, nowMs), { isNew: true, nowMs });
}

function up(state: SessionState, { isNew, nowMs }: { isNew: boolean; nowMs: number }): SessionStep {
  const taken: SessionEffect = { type: 'taken' };
  if (state.isUp && !isNew) return done(state, [taken]);
  return done({ ...state, isUp: true, sinceMs: nowMs }, [{ type: 'up', isNew }, taken]);
}

function send(state: SessionState, answer: bigint, effects: SessionEffect[], nowMs: number): SessionState {
  const sequence = state.own.sequence + 1;
  const { session, challenge } = state.own;
  effects.push({ type: 'send', header: { session, sequence, challenge, answer } });
  return { ...state, own: { ...state.own, sequence }, sentAtMs: nowMs, sendAtMs: nowMs + HELLO_MS };
}

function sooner(state: SessionState, nowMs: number): SessionState {
  const atMs = Math.max(nowMs, state.sentAtMs + SOON_MS);
  return atMs < state.sendAtMs ? { ...state, sendAtMs: atMs } : state;
}

function silentAtMs({ peer }: SessionState): number {
  return (peer?.heardAtMs ?? 0) + SILENT_MS;
}

function done(state: SessionState, effects: readonly SessionEffect[]): SessionStep {
  const deadlineMs = state.isUp ? Math.min(state.sendAtMs, silentAtMs(state)) : state.sendAtMs;
  return { state, effects, deadlineMs };
}
