/**
 * Takes its processor away from everybody else, as a hypervisor does: started at the highest real-time priority, it is
 * busy for a while again and again, as a line on stdin tells (`Hogging`).
 */
import { createInterface } from 'node:readline';
import { monotonicMs } from './clock.js';

export interface Hogging {
  /** The first time, CLOCK_MONOTONIC. */
  readonly fromMs: number;
  readonly lengthMs: number;
  /** From one beginning to the next; leaves others enough time. */
  readonly everyMs: number;
  readonly times: number;
}

/** At real-time priority nothing ends it but itself. */
const MAX_LENGTH_MS = 200;
const MAX_SHARE = 0.5;

function hog({ fromMs, lengthMs, everyMs, times }: Hogging): void {
  setTimeout(() => {
    const untilMs = fromMs + lengthMs;
    while (monotonicMs() < untilMs);
    if (times > 1) hog({ fromMs: fromMs + everyMs, lengthMs, everyMs, times: times - 1 });
  }, fromMs - monotonicMs());
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const wanted: Hogging = JSON.parse(line);
    if (wanted.lengthMs > Math.min(MAX_LENGTH_MS, MAX_SHARE * wanted.everyMs)) process.exit(1);
    hog(wanted);
  })
  .on('close', () => process.exit());
process.stdout.write('{"ready":true}\n');
