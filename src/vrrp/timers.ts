/** Timer arithmetic of RFC 9568 section 6.1 and RFC 3768 section 6.1, in milliseconds. */

/** Skew_Time = ((256 - priority) * Active_Adver_Interval) / 256. */
export function skewTimeMs(priority: number, activeAdverIntervalMs: number): number {
  return ((256 - priority) * activeAdverIntervalMs) / 256;
}

/** Active_Down_Interval (Master_Down_Interval) = 3 * Active_Adver_Interval + Skew_Time. */
export function masterDownIntervalMs(priority: number, activeAdverIntervalMs: number): number {
  return 3 * activeAdverIntervalMs + skewTimeMs(priority, activeAdverIntervalMs);
}

/** VRRPv2, RFC 3768 section 6.1: Skew_Time = (256 - priority) / 256 seconds, whatever the interval. */
export function skewTimeV2Ms(priority: number): number {
  return skewTimeMs(priority, 1000);
}

/** VRRPv2: Master_Down_Interval = 3 * Advertisement_Interval + Skew_Time. */
export function masterDownIntervalV2Ms(priority: number, advertisementIntervalMs: number): number {
  return 3 * advertisementIntervalMs + skewTimeV2Ms(priority);
}

/** An advertisement may leave so much before it is due, together with others: as a share of its interval, and at most. */
const EARLY_SHARE = 0.04;
export const MAX_EARLY_MS = 4;

/** How much before Adver_Timer fires an advertisement may leave, at most MAX_EARLY_MS. The timer itself goes by no other time. */
export function earlyMs(advertisementIntervalMs: number): number {
  return Math.min(EARLY_SHARE * advertisementIntervalMs, MAX_EARLY_MS);
}

/** Slack for a successor that is slow to speak. */
const SUCCESSOR_SLACK_MS = 250;

/**
 * How long a master that said farewell waits for its successor. A backup speaks Skew_Time after a
 * priority-0 advertisement, which is less than one interval whatever its priority.
 */
export function handOverHoldMs(advertisementIntervalMs: number): number {
  return advertisementIntervalMs + SUCCESSOR_SLACK_MS;
}
