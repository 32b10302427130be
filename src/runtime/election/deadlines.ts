/**
 * One timer for all groups. Groups whose advertisements are due together, or nearly so, act in one turn of the event
 * loop: the sockets are read once for all of them, and what they send leaves together.
 */

import { DeadlineHeap, type HeapEntry } from '../../util/deadline-heap.js';
import { MAX_EARLY_MS } from '../../vrrp/timers.js';
import { Lateness } from '../lateness.js';
import type { Clock, VrrpTransport } from '../ports.js';
import { Outbox } from './outbox.js';

/** Groups that act in one turn. */
const MAX_TOGETHER = 256;

/** What is read before a deadline acts. */
export type Drained = Pick<VrrpTransport, 'drain'>;

/** A group, or a BFD session, that waits for its deadline. */
export interface Waiting {
  /** So long before its deadline it wants to be told of it, if that is a takeover; 0: not at all. */
  readonly leadMs: number;
  /** Its deadline is near, and nothing has moved it so far. Called once at most. */
  makeReady(): void;
  /** Adds those whose queues are read before the deadline acts. */
  addTransports(to: Set<Drained>): void;
  due(): void;
}

interface Entry extends HeapEntry {
  readonly fromMs: number;
  readonly group: Waiting;
  taken: boolean;
  /** When the timer has to run out for it: a little before `atMs` where the group is to be made ready. */
  wakeMs: number;
}

export class Deadlines {
  readonly outbox = new Outbox();
  readonly lateness = new Lateness();
  readonly #clock: Clock;
  readonly #beforeDue: () => void;
  readonly #heap = new DeadlineHeap<Entry>();
  #setMs = Number.POSITIVE_INFINITY;
  #cancelTimer: () => void = () => {};

  /** `beforeDue`: called before deadlines act, the last chance to see that this process stood still. */
  constructor(clock: Clock, beforeDue: () => void) {
    this.#clock = clock;
    this.#beforeDue = beforeDue;
  }

  /**
   * Lets `group` act at `atMs`; from `fromMs` on it may act along with others. Where the two are one moment, nobody
   * else acts in the same turn: what follows from it is done first. Returns what cancels it.
   */
  at(atMs: number, fromMs: number, group: Waiting): () => void {
    const wakeMs = atMs - group.leadMs;
    const entry: Entry = { atMs, fromMs, group, cancelled: false, taken: false, wakeMs };
    this.#heap.add(entry);
    // One that is later than what the timer is set to does not touch it: a stray wake is harmless.
    if (wakeMs < this.#setMs) this.#set();
    return () => {
      if (entry.taken) entry.cancelled = true;
      else this.#heap.cancel(entry);
      if (this.#heap.first === undefined) this.#set();
    };
  }

  #set(): void {
    this.#cancelTimer();
    this.#cancelTimer = () => {};
    this.#setMs = this.#heap.first?.wakeMs ?? Number.POSITIVE_INFINITY;
    if (this.#setMs === Number.POSITIVE_INFINITY) return;
    this.#cancelTimer = this.#clock.at(this.#setMs, () => this.#round());
  }

  /** A stalled loop must not elect a second master while advertisements lie in the queue: they are read first. */
  #round(): void {
    this.#cancelTimer = () => {};
    const now = this.#clock.nowMs();
    const entries = this.#take(now);
    if (entries.length === 0) return this.#makeReady(now);
    for (const { atMs } of entries) this.lateness.record(Math.max(0, now - atMs));
    this.catchUp(entries.map(({ group }) => group));
    this.#act(entries);
  }

  /** What has come for these is read, and a time in which this process stood still is seen: before they act by themselves. */
  catchUp(waiting: readonly Waiting[]): void {
    this.#beforeDue();
    const transports = new Set<Drained>();
    for (const one of waiting) one.addTransports(transports);
    for (const transport of transports) transport.drain();
  }

  /** Nothing is due yet. What is due next may be a takeover, and has something to do that can be done before. */
  #makeReady(now: number): void {
    const { first } = this.#heap;
    if (first !== undefined && first.wakeMs <= now) {
      first.wakeMs = first.atMs;
      first.group.makeReady();
    }
    this.#set();
  }

  /** What is due, out of the queue. */
  #take(now: number): Entry[] {
    const heap = this.#heap;
    const taken: Entry[] = [];
    const left: Entry[] = [];
    for (let next = heap.first; next !== undefined && taken.length < MAX_TOGETHER; next = heap.first) {
      const isAlone = next.fromMs === next.atMs;
      if (taken.length === 0 ? next.atMs > now : next.atMs > now + MAX_EARLY_MS) break;
      heap.shift();
      if (taken.length > 0 && (isAlone || next.fromMs > now)) {
        left.push(next);
        continue;
      }
      next.taken = true;
      taken.push(next);
      if (isAlone) break;
    }
    for (const entry of left) heap.add(entry);
    return taken;
  }

  #act(entries: readonly Entry[]): void {
    this.#setMs = Number.NEGATIVE_INFINITY;
    try {
      this.outbox.together(() => {
        for (const entry of entries) {
          // What was read meanwhile may have moved it.
          if (!entry.cancelled) entry.group.due();
        }
      });
    } finally {
      this.#set();
    }
  }
}
