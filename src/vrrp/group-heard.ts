/** What was last heard on an instance, whatever its state: who may still live, and who has left. */
import { type Draft, masterDownOf } from './group-draft.js';
import type { Advertisement } from './packet.js';

/**
 * How much later than a farewell an advertisement may arrive that was sent before it, at most, and no more than an interval:
 * far more than two paths of one segment differ by, and too short for anybody to leave and be back.
 */
const OVERTAKEN_MS = 50;

/** A master that was taken for lost and spoke: for so long its BFD session is believed no more. */
export const TRUSTED_MS = 60_000;

/** An ordinary advertisement: its sender lives for its Master_Down_Interval, unless it says farewell. */
export function remember(
  draft: Draft,
  index: number,
  source: string,
  { advertisementIntervalMs }: Advertisement,
  atMs: number,
): void {
  const member = draft.edit(index);
  if (member.lost?.source === source && !member.lost.lives && atMs < member.lost.untilMs)
    member.lost = { source, untilMs: atMs + TRUSTED_MS, lives: true };
  member.heardAtMs = atMs;
  member.heardUntilMs = atMs + masterDownOf(member, advertisementIntervalMs);
}

/** `source` said farewell at `atMs`, here or on another instance of its group. */
export function depart(draft: Draft, index: number, source: string, atMs: number, intervalMs: number): void {
  const member = draft.edit(index);
  member.departed = { source, untilMs: atMs + Math.min(OVERTAKEN_MS, intervalMs) };
  member.heardUntilMs = Number.NEGATIVE_INFINITY;
}

/**
 * Whether an ordinary advertisement is older than the farewell that was heard before it. Taken at its word it would bring
 * back a master that is gone, and nobody would hold the addresses for a Master_Down_Interval. One only: a router that
 * goes on speaking is there, whatever it or somebody in its name said (docs/decisions/0023).
 */
export function isOvertaken(draft: Draft, index: number, source: string, atMs: number): boolean {
  const departed = draft.members[index]?.departed;
  if (departed === undefined || departed.source !== source || atMs >= departed.untilMs) return false;
  const member = draft.edit(index);
  member.departed = undefined;
  draft.count(member, 'discarded_overtaken');
  return true;
}
