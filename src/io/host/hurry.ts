/** Work that clients wait for goes before other programs' work, where a busy host has few processors. */
import { getPriority, setPriority } from 'node:os';

/** The main thread of this process. */
const SELF = 0;
/** Nice value: some twenty times the share of a program that has none. */
const HIGH = -14;
let underWay = 0;
let usual = 0;

/** Runs at a high priority, for a moment: nothing that goes on may be done so. Where this is not allowed, as usual. */
export async function inHurry<T>(work: () => Promise<T>): Promise<T> {
  if (underWay++ === 0) {
    usual = getPriority(SELF);
    set(HIGH);
  }
  try {
    return await work();
  } finally {
    if (--underWay === 0) set(usual);
  }
}

function set(priority: number): void {
  try {
    setPriority(SELF, priority);
  } catch {
    // Without CAP_SYS_NICE it takes as long as it takes.
  }
}
