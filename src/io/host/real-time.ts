/** What keeps the election, and what clients wait for, from waiting for a busy machine, as far as the system permits. */

import { writeFileSync } from 'node:fs';
import { getPriority, setPriority } from 'node:os';
import type { Log } from '../../runtime/ports.js';
import { messageOf } from '../../util/error-message.js';
import { native } from '../sockets/native.js';

/** Of SCHED_RR, 1 to 99. Below the kernel's own threads (50), and low among those who ask at all. */
const PRIORITY = 10;
/** How often a priority that was lost is taken again. */
const REGAIN_MS = 10_000;
/** The services process and the loader yield to whoever else works. */
const LOW_NICE = 5;
/** Of work that clients wait for: some twenty times the share of a program that has none. */
const HIGH_NICE = -14;

/** The kernel's words where it does not permit something. */
function attempt(action: () => void): string | undefined {
  try {
    action();
    return undefined;
  } catch (error) {
    return messageOf(error);
  }
}

/**
 * Real-time scheduling for all threads that this process has now, and program pages that stay in memory. What is not
 * permitted is logged once and done without. Returns what ends the watch over it.
 */
export function takeRealTime(log: Log): () => void {
  const refusals = [
    attempt(() => native().setRealTime(PRIORITY)),
    attempt(() => native().lockMemory()),
  ].filter((words) => words !== undefined);
  if (refusals.length > 0) {
    log.info(
      { event: 'real-time', refusals },
      'no real-time scheduling or locked memory: not permitted here',
    );
    if (refusals.length > 1) return () => {};
  }
  const timer = setInterval(() => {
    if (!native().realTimeLost()) return;
    log.warn(
      { event: 'real-time' },
      'this process was busy for more than a second without a pause and lost its real-time priority for a while',
    );
    attempt(() => native().setRealTime(PRIORITY));
  }, REGAIN_MS);
  timer.unref();
  return () => clearInterval(timer);
}

/**
 * For what must not weigh on the election: normal priority and a little less, first to go when memory runs out, never
 * without its parent. Returns the kernel's words where something is not permitted.
 */
export function takeLowPriority(): string[] {
  return [
    attempt(() => native().dieWithParent()),
    attempt(() => setPriority(LOW_NICE)),
    attempt(() => writeFileSync('/proc/self/oom_score_adj', '0')),
  ].filter((words) => words !== undefined);
}

let underWay = 0;
let usual = 0;

/** Runs before other programs' work, for a moment: nothing that goes on may be done so. Where this is not allowed, as usual. */
export async function inHurry<T>(work: () => Promise<T>): Promise<T> {
  if (underWay++ === 0) {
    usual = getPriority();
    attempt(() => setPriority(HIGH_NICE));
  }
  try {
    return await work();
  } finally {
    if (--underWay === 0) attempt(() => setPriority(usual));
  }
}
