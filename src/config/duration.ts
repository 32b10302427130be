/** Durations as text with a unit. */

const UNIT_MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** Shape of a duration: a decimal number and a unit, without a sign. */
export const DURATION_PATTERN = /^(\d{1,9}(?:\.\d{1,6})?)(ms|s|m|h)$/;

/** Milliseconds, or undefined when `text` is not a duration or not a whole number of milliseconds. */
export function parseDuration(text: string): number | undefined {
  const match = DURATION_PATTERN.exec(text);
  const unit = UNIT_MS[match?.[2] ?? ''];
  if (unit === undefined) return undefined;
  // 1.001 * 1000 is 1000.9999999999999 in floating point.
  const milliseconds = Number((Number(match?.[1]) * unit).toFixed(6));
  return Number.isInteger(milliseconds) ? milliseconds : undefined;
}

/** The shortest exact text for a number of milliseconds. */
export function formatDuration(milliseconds: number): string {
  for (const unit of ['h', 'm', 's']) {
    const unitMs = UNIT_MS[unit] ?? 1;
    if (milliseconds >= unitMs && Number.isInteger((milliseconds * 100) / unitMs)) {
      return `${milliseconds / unitMs}${unit}`;
    }
  }
  return `${milliseconds}ms`;
}
