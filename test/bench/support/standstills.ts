/** Times at which a processor of this machine ran nobody, and what they account for. */

/** Told by test/bench/support/processor-witness.ts; times of CLOCK_MONOTONIC. */
export interface Standstill {
  readonly processor: number;
  /** When the witness was due: the standstill may be older by its sleep. */
  readonly fromMs: number;
  readonly toMs: number;
}

/** Between two advertisements of one virtual router, by the kernel's stamps (CLOCK_MONOTONIC). */
export interface Gap {
  readonly fromMs: number;
  readonly toMs: number;
}

/** A virtual router was heard from another source than before. */
export interface SourceChange {
  /** Last advertisement of the old source and first of the new one, by the kernel's stamps. */
  readonly fromMs: number;
  readonly toMs: number;
  readonly source: string;
}

/** What a witness sleeps may hide the beginning of a standstill, and a stamp be late by a little. */
const BLUR_MS = 3;

/**
 * The standstill that accounts for a change of role: a processor ran nobody from when the old master's next
 * advertisement was due at the latest, until Master_Down_Interval was over at the earliest. Its master was gone from
 * the network, so the failover was no false one; nor was the change back when it ended. Undefined when there is none.
 */
export function causeOf(
  change: SourceChange,
  standstills: readonly Standstill[],
  times: { readonly intervalMs: number; readonly masterDownMs: number },
): Standstill | undefined {
  const lastMs = change.fromMs + times.intervalMs + BLUR_MS;
  const leastMs = times.masterDownMs - times.intervalMs - 2 * BLUR_MS;
  return standstills.find(
    ({ fromMs, toMs }) => fromMs <= lastMs && toMs + BLUR_MS > change.fromMs && toMs - fromMs >= leastMs,
  );
}

/** What remains of a gap without the time in which the processor that stood still the most of it ran nobody. */
export function unaccountedMs({ fromMs, toMs }: Gap, standstills: readonly Standstill[]): number {
  const still = new Map<number, number>();
  for (const one of standstills) {
    const overlap = Math.min(one.toMs, toMs) - Math.max(one.fromMs - BLUR_MS, fromMs);
    if (overlap > 0) still.set(one.processor, (still.get(one.processor) ?? 0) + overlap);
  }
  return toMs - fromMs - Math.max(0, ...still.values());
}
