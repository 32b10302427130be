/** Asks a peer for its table when this host's has a gap, and replays this host's when a peer asks. */
import type { ReplayAnswer, ReplaySent } from '../../../peer/hello.js';
import {
  type Around,
  type AskInput,
  type AskState,
  askProgress,
  askWord,
  stepAsk,
  wantsCount,
} from '../../../peer/resync-ask.js';
import { NOBODY_SERVED, type ServeInput, type ServeState, stepServe } from '../../../peer/resync-serve.js';
import { messageOf } from '../../../util/error-message.js';
import type { SyncProgress } from '../../../vrrp/group-types.js';
import type { Clock, Log } from '../../ports.js';
import type { Replay, Replayed, Thoroughness } from './peer-ports.js';

/** While it asks, it looks again at least so often. */
const LOOK_MS = 500;

export interface PeerResyncPorts {
  readonly clock: Clock;
  readonly log: Log;
  random64(): bigint;
  readonly replay: Replay | undefined;
  around(): Around;
  /** This director alone is master, and a peer is there to hear what it replays. */
  refreshes(): boolean;
  /** The table is to be counted now, and not when its turn comes. */
  count(): void;
  /** There is news for the peers. */
  tellPeers(): void;
  told(progress: SyncProgress): void;
}

export class PeerResync {
  readonly #ports: PeerResyncPorts;
  #ask: AskState = { phase: 'unknown' };
  #serve: ServeState = NOBODY_SERVED;
  #told = '';
  #cancelLook: () => void = () => {};
  #cancelServe: () => void = () => {};
  #replaying: AbortController | undefined;
  #replayed: ReplaySent | undefined;
  #closed = false;

  constructor(ports: PeerResyncPorts) {
    this.#ports = ports;
  }

  get progress(): SyncProgress {
    return askProgress(this.#ask);
  }

  get isAsking(): boolean {
    return this.#ask.phase === 'asking';
  }

  /** What `peer` is asked for; 0: nothing. */
  asksOf(peer: string): number {
    return this.#ask.phase === 'asking' && this.#ask.peer === peer ? this.#ask.request : 0;
  }

  answerTo(peer: string): ReplayAnswer | undefined {
    return this.#serve.answers[peer];
  }

  /** The last one that has ended. */
  get replayed(): ReplaySent | undefined {
    return this.#replayed;
  }

  step(type: AskInput['type']): void {
    if (this.#closed) return;
    const { clock } = this.#ports;
    const before = this.#ask;
    const around = this.#ports.around();
    const nowMs = clock.nowMs();
    this.#ask = stepAsk(before, { type }, around, { nowMs, nonce: this.#random32() });
    if (wantsCount(this.#ask, around, nowMs)) this.#ports.count();
    const isAsked = requestOf(this.#ask) !== requestOf(before);
    if (isAsked) this.#ports.tellPeers();
    this.#tell(type === 'gap' || before.phase !== this.#ask.phase);
    this.#cancelLook();
    if (this.#ask.phase === 'asking') this.#cancelLook = clock.at(nowMs + LOOK_MS, () => this.step('look'));
  }

  /** What `peer` asks for, as it says again and again. */
  asked(peer: string, request: number): void {
    this.#stepServe({ type: 'asked', peer, request });
  }

  /** Roles or peers have changed. */
  look(): void {
    this.step('look');
    this.#stepServe({ type: 'deadline' });
  }

  /** Of connections that go by another director from now on it would tell old news. */
  endReplay(): void {
    this.#replaying?.abort(new Error('this director is no longer master'));
  }

  close(): void {
    this.#closed = true;
    this.endReplay();
    this.#cancelLook();
    this.#cancelServe();
  }

  /** `isNews`: a comparison has begun or ended. What it found is said even if it was the same before. */
  #tell(isNews: boolean): void {
    if (this.#ask.phase === 'unknown') return;
    const { complete, text } = this.progress;
    if (!isNews && text === this.#told) return;
    this.#told = text;
    this.#ports.log.info({ event: 'resync', complete }, `connection table: ${text}`);
    this.#ports.told(askWord(this.#ask));
  }

  #stepServe(input: ServeInput): void {
    if (this.#closed) return;
    const { clock } = this.#ports;
    const before = this.#serve;
    const now = { nowMs: clock.nowMs(), refreshes: this.#ports.refreshes() };
    const { state, action, deadlineMs } = stepServe(before, input, now);
    this.#serve = state;
    this.#cancelServe();
    if (deadlineMs < Number.POSITIVE_INFINITY)
      this.#cancelServe = clock.at(deadlineMs, () => this.#stepServe({ type: 'deadline' }));
    if (state.answers !== before.answers) this.#ports.tellPeers();
    if (action?.type === 'serve') void this.#replay(action.peer);
    if (action?.type === 'refresh') void this.#refresh();
    if (action?.type === 'end-refresh') this.#replaying?.abort(new Error('a peer asks for all of it'));
  }

  /** Nobody waits for it; what of it was lost the peers find out. */
  async #refresh(): Promise<void> {
    const { log } = this.#ports;
    try {
      const replay = Math.max(1, this.#random32());
      const { lasting } = await this.#send(new AbortController(), 'again', replay);
      log.debug({ event: 'resync', sent: lasting }, `told of ${lasting} connections again`);
      this.#ports.tellPeers();
    } catch (error) {
      log.debug({ event: 'resync', err: error }, `not told of all connections again: ${messageOf(error)}`);
    }
    this.#stepServe({ type: 'refreshed' });
  }

  /** What `endReplay` ends. */
  async #send(replaying: AbortController, thoroughness: Thoroughness, replay: number): Promise<Replayed> {
    const { replay: send } = this.#ports;
    if (send === undefined) throw new Error('this director cannot');
    this.#replaying = replaying;
    const replayed = await send({ signal: replaying.signal, thoroughness, replay });
    this.#replayed = { replay, messages: replayed.messages };
    return replayed;
  }

  async #replay(peer: string): Promise<void> {
    const { clock, log } = this.#ports;
    const begunMs = clock.nowMs();
    const replaying = new AbortController();
    try {
      if (this.#ports.replay !== undefined)
        log.info({ event: 'resync', peer }, `replays the connection table for ${peer}`);
      const request = this.#serve.answers[peer]?.request ?? 0;
      const { lasting: sent } = await this.#send(replaying, 'whole', request);
      const tookMs = Math.round(clock.nowMs() - begunMs);
      log.info({ event: 'resync', peer, sent }, `replayed ${sent} connections for ${peer} in ${tookMs} ms`);
      this.#stepServe({ type: 'done', peer, sent });
    } catch (error) {
      const words = `the connection table is not replayed for ${peer}: ${messageOf(error)}`;
      log[replaying.signal.aborted ? 'info' : 'error']({ event: 'resync', peer, err: error }, words);
      this.#stepServe({ type: 'failed', peer });
    }
  }

  #random32(): number {
    return Number(BigInt.asUintN(32, this.#ports.random64()));
  }
}

function requestOf(state: AskState): number {
  return state.phase === 'asking' ? state.request : 0;
}
