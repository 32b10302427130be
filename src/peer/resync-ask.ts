/**
 * The director that lacks connections: asks a peer to replay its table over the sync group, compares what came with what was
 * sent, asks again, and says when it is complete. Pure. It always comes to an end: nobody waits for ever for a peer that is
 * not there.
 */
import type { ReplayAnswer, TableCount } from './hello.js';

/** So long no peer may answer before this director counts as complete: it is alone. */
export const NO_PEER_MS = 10_000;
/** A replay that has not begun after so long is asked for anew. */
export const STALL_MS = 20_000;
/** After a replay the kernel's backup daemon still has messages to read: what is missing then was lost. */
export const SETTLE_MS = 2500;
/** Replays that are asked for one after the other. */
export const MAX_ASKS = 3;
/** And of those that lost datagrams on the way, which the next one may not. */
export const MAX_LOSSY_ASKS = 20;
/** From the peer's word that it has sent all to the last of its datagrams, which take another way. */
export const HEARD_MS = 500;
/** From the first question to the end, whatever happens. */
export const RESYNC_LIMIT_MS = 600_000;
/** Connections end while others are sent: a table that holds this part of what was sent has all there was. */
export const ENOUGH = 0.98;

/** A peer that answers on the channel. */
export interface ReplayPeer {
  readonly name: string;
  /** It is master of an instance: its table counts before others. */
  readonly isMaster: boolean;
  readonly replays: boolean;
  readonly table: Pick<TableCount, 'connections' | 'lasting' | 'fresh'> | undefined;
  readonly answer: ReplayAnswer | undefined;
  /** Datagrams of the replay that it has answered with that were lost on the way; undefined where that is not known. */
  readonly lost: number | undefined;
}

export interface Around {
  /** This director is master of an instance. */
  readonly isMaster: boolean;
  /** Those that are up, in the file's order. */
  readonly peers: readonly ReplayPeer[];
  /** How many lasting connections this host's kernel holds, and when it was asked. */
  readonly held: { readonly lasting: number; readonly atMs: number } | undefined;
}

export type AskState =
  /** It is not known yet whether the table has a gap. */
  | { readonly phase: 'unknown' }
  | {
      readonly phase: 'asking';
      /** 1 to 2^32 - 1. */
      readonly request: number;
      /** Since the gap. */
      readonly sinceMs: number;
      readonly asks: number;
      /** Of those, whose datagrams did not all arrive. */
      readonly lossyAsks: number;
      /** Whom; undefined while nobody is there. */
      readonly peer: string | undefined;
      /** By its word, when it is done. */
      readonly sent: number;
      /** When it was asked, or was seen at work last. */
      readonly changedAtMs: number;
      /** When the peer said that it had sent all. */
      readonly doneAtMs: number | undefined;
      /** Nobody was there for long: complete, as far as can be told, and still asking. */
      readonly isAlone: boolean;
      /** Of the replay before. */
      readonly coverage: number | undefined;
    }
  | {
      readonly phase: 'ended';
      /** It was found to have all; else there is nothing more to be asked. */
      readonly isWhole: boolean;
      readonly coverage: number | undefined;
      readonly text: string;
    };

export type AskInput =
  /** The kernel's backup daemon was not running until now: what was told meanwhile is missing here. */
  | { readonly type: 'gap' }
  /** It has been running since before this process. */
  | { readonly type: 'kept' }
  /** A peer is heard again after it was silent for a while: what it told meanwhile may be missing. */
  | { readonly type: 'healed' }
  /** By the counts of both kernels this one lacks connections (`stepLag`). */
  | { readonly type: 'behind' }
  /** Time has passed, or something around has changed. */
  | { readonly type: 'look' };

/** `nonce`: 32 random bits, for the number of the next request. */
export function stepAsk(
  state: AskState,
  input: AskInput,
  around: Around,
  { nowMs, nonce }: { readonly nowMs: number; readonly nonce: number },
): AskState {
  switch (input.type) {
    case 'gap':
      return look(begin(nowMs, nonce), around, { nowMs, nonce });
    case 'healed':
    case 'behind':
      return state.phase === 'ended' ? look(begin(nowMs, nonce), around, { nowMs, nonce }) : state;
    case 'kept':
      return state.phase === 'unknown'
        ? { phase: 'ended', isWhole: true, coverage: undefined, text: 'the table was kept' }
        : state;
    case 'look':
      return state.phase === 'asking' ? look(state, around, { nowMs, nonce }) : state;
  }
}

/** For people, and for peers. */
export function askProgress(state: AskState): { readonly complete: boolean; readonly text: string } {
  if (state.phase === 'unknown') return { complete: false, text: 'the sync daemon does not run yet' };
  if (state.phase === 'ended') return { complete: true, text: state.text };
  const { peer, sent, doneAtMs, isAlone } = state;
  if (isAlone) return { complete: true, text: 'no peer answers' };
  if (peer === undefined) return { complete: false, text: 'waits for a peer that can replay its table' };
  if (doneAtMs !== undefined) return { complete: false, text: `counts what ${peer} has sent: ${sent}` };
  return { complete: false, text: `receives the connections of ${peer}` };
}

/** For the election, which waits a while for a table that may yet come: what was not compared is not complete. */
export function askWord(state: AskState): { readonly complete: boolean; readonly text: string } {
  return { ...askProgress(state), complete: state.phase === 'ended' && state.isWhole };
}

type Asking = Extract<AskState, { phase: 'asking' }>;
type Now = { readonly nowMs: number; readonly nonce: number };

function begin(nowMs: number, nonce: number): Asking {
  return {
    phase: 'asking',
    request: requestOf(nonce),
    sinceMs: nowMs,
    asks: 0,
    lossyAsks: 0,
    peer: undefined,
    sent: 0,
    changedAtMs: nowMs,
    doneAtMs: undefined,
    isAlone: false,
    coverage: undefined,
  };
}

function look(state: Asking, { isMaster, peers, held }: Around, now: Now): AskState {
  const { nowMs } = now;
  // What a backup would tell it may be old news of connections that it forwards itself. Two masters each have their own.
  if (isMaster && !peers.some((peer) => peer.isMaster))
    return ended(state, 'this director is master, and nobody has what its table lacks');
  if (!state.isAlone && nowMs >= state.sinceMs + RESYNC_LIMIT_MS) return ended(state, 'took too long');
  const peer = peers.find(({ name }) => name === state.peer);
  if (peer === undefined) return withoutPeer(state, peers, now);
  const { answer } = peer;
  if (answer === undefined || answer.request !== state.request) return stalled(state, now);
  if (answer.state === 'failed') return again(state, now, `${peer.name} cannot replay its table`);
  if (answer.state === 'running') return { ...state, changedAtMs: nowMs };
  if (answer.state === 'waiting') return stalled(state, now);
  const { doneAtMs } = state;
  const next = { ...state, sent: answer.sent };
  if (doneAtMs === undefined) return { ...next, doneAtMs: nowMs };
  // Counts do not see it where this table has connections whose end was lost, too.
  if (peer.lost !== undefined && peer.lost > 0)
    return nowMs < doneAtMs + HEARD_MS
      ? next
      : lossy(next, now, `${peer.lost} datagrams of ${peer.name} were lost`);
  // A kernel that cannot be asked is no reason to wait for ever.
  const patient = (): AskState =>
    nowMs < doneAtMs + STALL_MS ? next : ended(next, 'this kernel does not tell its table');
  if (held === undefined || held.atMs < doneAtMs) return patient();
  const due = dueOf(answer.sent, peer.table);
  const coverage = due === 0 ? 1 : Math.min(1, held.lasting / due);
  const told = `${held.lasting} of ${answer.sent} connections of ${peer.name} are here`;
  const isSettled = held.atMs >= doneAtMs + SETTLE_MS;
  if (coverage >= (isSettled ? ENOUGH : 1)) return { phase: 'ended', isWhole: true, coverage, text: told };
  return isSettled ? again({ ...next, coverage }, now, told) : patient();
}

/** Whether the table has to be counted now: when the peer has sent all, and again when what is on its way must be here. */
export function wantsCount(state: AskState, { held }: Pick<Around, 'held'>, nowMs: number): boolean {
  if (state.phase !== 'asking' || state.doneAtMs === undefined) return false;
  const settledAtMs = state.doneAtMs + SETTLE_MS;
  const countedAtMs = held?.atMs ?? Number.NEGATIVE_INFINITY;
  return countedAtMs < state.doneAtMs || (nowMs >= settledAtMs && countedAtMs < settledAtMs);
}

/** The one that was asked is silent, or none was yet. */
function withoutPeer(state: Asking, peers: readonly ReplayPeer[], { nowMs, nonce }: Now): AskState {
  const peer = bestOf(peers);
  if (peer !== undefined) {
    return {
      ...state,
      request: requestOf(nonce),
      asks: state.asks + 1,
      peer: peer.name,
      sent: 0,
      changedAtMs: nowMs,
      doneAtMs: undefined,
      isAlone: false,
      // One that comes late has all the time that there is.
      sinceMs: state.isAlone ? nowMs : state.sinceMs,
    };
  }
  if (peers.length > 0 && nowMs >= state.changedAtMs + NO_PEER_MS)
    return ended(state, `no peer can replay its table, such as ${peers[0]?.name}`);
  if (state.isAlone || nowMs < state.changedAtMs + NO_PEER_MS) return state;
  return { ...state, peer: undefined, isAlone: true };
}

/** Of what was sent some have ended since; of what the peer has now it may not have told of the youngest. */
function dueOf(sent: number, table: ReplayPeer['table']): number {
  return table === undefined ? sent : Math.min(sent, Math.max(0, table.lasting - table.fresh));
}

function stalled(state: Asking, now: Now): AskState {
  return now.nowMs < state.changedAtMs + STALL_MS
    ? state
    : again(state, now, `${state.peer} does not begin its replay`);
}

function lossy(state: Asking, now: Now, why: string): AskState {
  if (state.lossyAsks >= MAX_LOSSY_ASKS) return ended(state, why);
  return again({ ...state, lossyAsks: state.lossyAsks + 1 }, now, why);
}

function again(state: Asking, { nowMs, nonce }: Now, why: string): AskState {
  if (state.asks - state.lossyAsks >= MAX_ASKS) return ended(state, why);
  return {
    ...state,
    request: requestOf(nonce),
    asks: state.asks + 1,
    sent: 0,
    changedAtMs: nowMs,
    doneAtMs: undefined,
  };
}

function ended({ coverage }: Asking, why: string): AskState {
  const told = coverage === undefined ? '' : `, coverage ${Math.floor(coverage * 100)} %`;
  return { phase: 'ended', isWhole: false, coverage, text: `${why}${told}` };
}

/** A master before others, then the one with the most. */
function bestOf(peers: readonly ReplayPeer[]): ReplayPeer | undefined {
  return peers
    .filter(({ replays }) => replays)
    .toSorted(
      (a, b) =>
        Number(b.isMaster) - Number(a.isMaster) || (b.table?.connections ?? 0) - (a.table?.connections ?? 0),
    )[0];
}

function requestOf(nonce: number): number {
  return Math.max(1, nonce >>> 0);
}
