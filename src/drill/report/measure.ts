/** Numbers out of observations. Pure; times are wall-clock milliseconds. */
import type { AddressChange } from '../lab/observations.js';

export interface Span {
  readonly fromMs: number;
  readonly toMs: number;
}

/** The longest stretch of `window` without an answer; its edges count, so a dead service is seen. */
export function longestGap(answersMs: readonly number[], window: Span): Span {
  let longest: Span = { fromMs: window.fromMs, toMs: window.fromMs };
  let last = window.fromMs;
  const inside = answersMs.filter((atMs) => atMs >= window.fromMs && atMs <= window.toMs);
  for (const atMs of [...inside, window.toMs]) {
    if (atMs - last > longest.toMs - longest.fromMs) {
      longest = { fromMs: last, toMs: atMs };
    }
    last = atMs;
  }
  return longest;
}

/** All stretches of `window` without an answer that last longer than `thresholdMs`. */
export function gaps(answersMs: readonly number[], window: Span, thresholdMs: number): Span[] {
  const found: Span[] = [];
  let last = window.fromMs;
  for (const atMs of [...answersMs, window.toMs]) {
    if (atMs >= window.fromMs && atMs <= window.toMs) {
      if (atMs - last > thresholdMs) {
        found.push({ fromMs: last, toMs: atMs });
      }
      last = atMs;
    }
  }
  return found;
}

/** When a director held an address, from the changes seen since the lab began; open ends reach `untilMs`. */
export function holdings(
  changes: readonly AddressChange[],
  director: string,
  address: string,
  untilMs: number,
): Span[] {
  const spans: Span[] = [];
  let since: number | undefined;
  for (const change of changes) {
    if (change.director === director && change.address === address) {
      if (change.held) {
        since ??= change.atMs;
      } else if (since !== undefined) {
        spans.push({ fromMs: since, toMs: change.atMs });
        since = undefined;
      }
    }
  }
  if (since !== undefined && since < untilMs) {
    spans.push({ fromMs: since, toMs: untilMs });
  }
  return spans;
}

/** Those of `addresses` that a director holds now. */
export function heldNow(
  changes: readonly AddressChange[],
  director: string,
  addresses: readonly string[],
): string[] {
  return addresses.filter(
    (address) =>
      changes.findLast((one) => one.director === director && one.address === address)?.held === true,
  );
}

/** `spans` without the parts that lie in `holes`. */
export function subtract(spans: readonly Span[], holes: readonly Span[]): Span[] {
  return holes.reduce<Span[]>(
    (rest, hole) =>
      rest.flatMap((span) =>
        [
          { fromMs: span.fromMs, toMs: Math.min(span.toMs, hole.fromMs) },
          { fromMs: Math.max(span.fromMs, hole.toMs), toMs: span.toMs },
        ].filter((part) => part.toMs > part.fromMs),
      ),
    [...spans],
  );
}

/** The parts that two lists of spans have in common. */
export function intersect(left: readonly Span[], right: readonly Span[]): Span[] {
  return left.flatMap((a) =>
    right
      .map((b) => ({ fromMs: Math.max(a.fromMs, b.fromMs), toMs: Math.min(a.toMs, b.toMs) }))
      .filter((common) => common.toMs > common.fromMs),
  );
}

export function totalMs(spans: readonly Span[]): number {
  return spans.reduce((sum, span) => sum + span.toMs - span.fromMs, 0);
}

/** A director that could not be heard: its own view of its addresses harms nobody then. */
export interface Outage extends Span {
  readonly director: string;
}

/**
 * How long both directors held one virtual address and could both be heard; of several addresses the longest.
 */
export function duplicateAddressMs(
  changes: readonly AddressChange[],
  outages: readonly Outage[],
  directors: readonly [string, string],
  addresses: readonly string[],
  window: Span,
): number {
  const perAddress = addresses.map((address) => {
    const [first, second] = directors.map((director) =>
      subtract(
        holdings(changes, director, address, window.toMs),
        outages.filter((outage) => outage.director === director),
      ),
    );
    return totalMs(intersect(intersect(first ?? [], second ?? []), [window]));
  });
  return Math.max(0, ...perAddress);
}

/** When a director had come to hold all of `addresses` at or after `sinceMs`; undefined when it never did. */
export function heldAllAt(
  changes: readonly AddressChange[],
  director: string,
  addresses: readonly string[],
  sinceMs: number,
): number | undefined {
  const held = new Set<string>();
  for (const change of changes) {
    if (change.director === director && addresses.includes(change.address)) {
      if (change.held) {
        held.add(change.address);
      } else {
        held.delete(change.address);
      }
      if (held.size === addresses.length && change.atMs >= sinceMs) {
        return change.atMs;
      }
    }
  }
  return undefined;
}

/** To a tenth of a millisecond: more the witnesses do not know. */
export function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
