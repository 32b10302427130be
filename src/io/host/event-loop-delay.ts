/** How long the event loop keeps timers waiting. */
import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { LoopDelay } from '../../runtime/ports.js';

/**
 * Between two looks, each of which is a wake-up of the process. A shorter stall may fall between them; how late the
 * election's deadlines are is measured at each of them (runtime/lateness.ts).
 */
const RESOLUTION_MS = 40;
/** The answer covers the window that runs and the one before. */
const WINDOW_MS = 60_000;

interface Extremes {
  readonly maxMs: number;
  readonly p99Ms: number;
}

/** What the histogram holds is the time between two looks: the delay is what exceeds the resolution. */
function read(histogram: IntervalHistogram): Extremes {
  if (histogram.count === 0) return { maxMs: 0, p99Ms: 0 };
  const delayMs = (nanoseconds: number) => Math.max(0, nanoseconds / 1e6 - RESOLUTION_MS);
  return { maxMs: delayMs(histogram.max), p99Ms: delayMs(histogram.percentile(99)) };
}

function rounded(ms: number): number {
  return Math.round(ms * 100) / 100;
}

/** Starts measuring. Does not keep the process alive. */
export function openLoopDelay(windowMs = WINDOW_MS): LoopDelay {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  let before: Extremes = { maxMs: 0, p99Ms: 0 };
  const timer = setInterval(() => {
    before = read(histogram);
    histogram.reset();
  }, windowMs);
  timer.unref();
  return {
    read: () => {
      const now = read(histogram);
      return {
        max_ms: rounded(Math.max(now.maxMs, before.maxMs)),
        p99_ms: rounded(Math.max(now.p99Ms, before.p99Ms)),
      };
    },
    close: () => {
      clearInterval(timer);
      histogram.disable();
    },
  };
}
