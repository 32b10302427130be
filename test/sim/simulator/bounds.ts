/** How long what may last: every bound that an invariant uses, in one place. docs/SIMULATION.md has the table. */
import { earlyMs } from '../../../src/vrrp/timers.js';
import type { FaultKind, Scenario } from './scenario.js';

/** group.ts SUCCESSOR_GRACE_MS and native/withdrawal.h GRACE_MS. */
const SUCCESSOR_GRACE_MS = 150;
/** timers.ts: slack of handOverHoldMs. */
const HAND_OVER_SLACK_MS = 250;
/** group.ts ADDRESS_RETRY_MS. */
const ADDRESS_RETRY_MS = 5000;
/** group-heard.ts OVERTAKEN_MS: after a farewell one advertisement of its sender may be an older one. */
export const OVERTAKEN_MS = 50;
/** guardian-orders.ts MIN_LEASE_MS. */
export const MIN_LEASE_MS = 250;
/** From the start of a process to its first verdicts on tracked objects. */
export const VERDICT_MS = 500;
/** First of the repeats that draw.ts gives the instances. */
const FIRST_REPEAT_MS = 100;
/** virtual-mac-keeper.ts MAX_PAUSE_MS. */
const MACVLAN_PAUSE_MS = 30_000;
/** channels.ts MAX_AWAITED_MS. */
export const MAX_AWAITED_MS = 1000;
/** restorer.ts: LAST_WAIT_MS, and RETRY_MS where a device was missing. */
const RESTORE_MS = 2500;
/** For what the sums below round away; everything that counts has a term of its own. */
const ROUNDING_MS = 1;

/** The quantities of a scenario that the bounds are made of, computed once. */
export class Bounds {
  /** Greatest advertisement interval in any variant of any director's file. */
  readonly intervalMs: number;
  /** Drift stretches every time that a director measures. */
  readonly stretch: number;
  /** One-way, on a segment without faults. */
  readonly deliveryMs: number;
  /** All address work of one change of role in the largest group. */
  readonly workMs: number;
  readonly #scenario: Scenario;
  readonly #hasMacVlans: boolean;
  readonly #preemptDelayMs: number;
  readonly #startupDelayMs: number;

  constructor(scenario: Scenario) {
    this.#scenario = scenario;
    const all = scenario.directors.flatMap((director) => director.variants.flat());
    this.intervalMs = Math.max(...all.map((instance) => instance.advertisementIntervalMs));
    this.stretch = Math.max(...scenario.directors.map(({ clockRate }) => 1 / Math.min(clockRate, 1)));
    this.deliveryMs = scenario.delayMs + scenario.jitterMs;
    // A group gives up and takes over again: two changes for each instance may stand in line.
    const largest = Math.max(
      ...scenario.layouts.flatMap(({ groups }) => groups.map((group) => group.length)),
    );
    this.workMs = 2 * largest * scenario.addressWorkMs;
    this.#hasMacVlans = all.some(({ virtualMacInterface }) => virtualMacInterface !== undefined);
    this.#preemptDelayMs = Math.max(
      ...all.map(({ preempt }) => {
        if (preempt.mode === 'never') return 0;
        return Math.max(preempt.delayMs, preempt.mode === 'synced' ? preempt.atMostMs : 0);
      }),
    );
    this.#startupDelayMs = Math.max(...all.map((instance) => instance.startupDelayMs));
  }

  /** Packet, timer and address work: what lies between a cause and its effect on another director. */
  get reactionMs(): number {
    return this.deliveryMs + this.workMs + this.#scenario.latenessMs + ROUNDING_MS;
  }

  /**
   * I1 without a fault: a hand-over is make before break. The old master keeps its addresses until the
   * successor's first advertisement has reached it and SUCCESSOR_GRACE_MS is over; two that went master at once
   * know it one reaction later.
   */
  get overlapMs(): number {
    return SUCCESSOR_GRACE_MS * this.stretch + 2 * this.reactionMs;
  }

  /** I1 after a fault of the segment: the weaker one hears the stronger one's next advertisement. */
  get healMs(): number {
    return this.intervalMs * this.stretch + this.overlapMs;
  }

  /** The guardian's hold: longest time from its farewells to the removal. */
  get holdMs(): number {
    return (this.intervalMs + HAND_OVER_SLACK_MS) * this.stretch;
  }

  /**
   * I1 while hosts disagree about the groups: a hand-over waits for the slower of two members, or a group that is beaten
   * where it does not decide (group-election.ts) hears that at once, again half an interval later as an answer to its own
   * advertisement, which does not count yet, and then an interval later.
   */
  get disagreementMs(): number {
    return Math.max(this.holdMs, 1.5 * this.intervalMs * this.stretch + this.reactionMs);
  }

  /** I1, I5 for a paused process: the lease, then the guardian's hold. */
  get leaseMs(): number {
    return Math.max(MIN_LEASE_MS, 3 * this.intervalMs) * this.stretch;
  }

  /** Active_Down_Interval of the lowest priority: 3 intervals plus skew. */
  get masterDownMs(): number {
    return 4 * this.intervalMs * this.stretch;
  }

  /**
   * I2: from the last fault of a round until exactly one director is master. 3 intervals plus skew, and what
   * the faults of the round add: a term for each kind that was seen.
   */
  settleMs(kinds: ReadonlySet<FaultKind>): number {
    let bound = this.masterDownMs + this.overlapMs;
    const regroups = kinds.has('regroup');
    const starts = regroups || kinds.has('crash') || kinds.has('power') || kinds.has('stop');
    if (starts) bound += this.#startupDelayMs * this.stretch + VERDICT_MS;
    // The delay begins with the weaker one's first advertisement, which may itself have to be elected first; then an
    // advertisement up to an interval old resets the timer last.
    if (this.#preemptDelayMs > 0)
      bound += (this.#preemptDelayMs + this.intervalMs) * this.stretch + this.masterDownMs;
    // Who leaves keeps its role, and its group's addresses, for the hold.
    if (starts || kinds.has('pause') || kinds.has('maintenance')) bound += this.holdMs;
    if (kinds.has('pause')) bound += this.leaseMs;
    // What a reload took from its group hands over first, and two groups that hand over to each other listen anew.
    if (regroups) bound += this.holdMs + this.masterDownMs;
    // The master that could not get its addresses said farewell; the one whose turn it is tries again later.
    if (kinds.has('refuse')) bound += ADDRESS_RETRY_MS * this.stretch + this.masterDownMs;
    if (kinds.has('source') || kinds.has('device')) bound += this.#sourceMs;
    const deletes = kinds.has('macvlan') || kinds.has('device') || kinds.has('refuse');
    // Whoever deletes a device again and again finds it made ever more slowly.
    if (this.#hasMacVlans && deletes) bound += MACVLAN_PAUSE_MS * this.stretch;
    // What was sent before the end of the fault may still be under way.
    bound += this.lateMs(kinds);
    return bound;
  }

  /**
   * I2: from the right to preempt until the role: the next advertisement is discarded, and the one before it, up to an
   * interval old, restarted the timer last.
   */
  get preemptMs(): number {
    return this.intervalMs * this.stretch + this.masterDownMs + this.overlapMs;
  }

  /** An address that went is waited for, and what went with it is put back at a pace. */
  get #sourceMs(): number {
    return (Math.min(MAX_AWAITED_MS, this.intervalMs) + RESTORE_MS) * this.stretch;
  }

  /** How late a packet may be that was sent before the end of a `delay` fault. */
  lateMs(kinds: ReadonlySet<FaultKind>): number {
    if (!kinds.has('delay')) return 0;
    const extra = this.#scenario.rounds
      .flatMap((round) => round.faults)
      .map((fault) => (fault.kind === 'delay' ? fault.extraMs : 0));
    // The late packet may say anything that was true: it is answered like a new one.
    return Math.max(0, ...extra) + this.masterDownMs;
  }

  /** I3: from the other master's advertisement until the survivor's next announcement (group.ts: first repeat). */
  get announceMs(): number {
    return FIRST_REPEAT_MS * this.stretch + this.reactionMs;
  }

  /** I5: from a change of role until the addresses are gone. */
  get releaseMs(): number {
    return this.reactionMs;
  }

  /**
   * I7: a planned hand-over leaves no gap, but the hold is measured by one clock and the successor's skew by
   * another: over one interval they drift apart.
   */
  get plannedGapMs(): number {
    return 2 * (this.stretch - 1) * this.intervalMs + this.workMs + ROUNDING_MS;
  }

  /** I8: between two advertisements of a master that is neither paused nor cut off. */
  advertisementGapMs(intervalMs: number): number {
    // The one before may have left early, along with another group's (docs/decisions/0025).
    const gapMs = intervalMs + earlyMs(intervalMs);
    return gapMs * this.stretch + this.workMs + this.#scenario.latenessMs + ROUNDING_MS;
  }
}
