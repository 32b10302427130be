/**
 * Sleeps, again and again, and prints each time that it was woken late as a line (`Standstill`). Bound to one processor
 * at a higher real-time priority than the directors' it waits for nobody else there: its processor stood still.
 */
import { createInterface } from 'node:readline';
import { monotonicMs } from './clock.js';
import type { Standstill } from './standstills.js';

/** What a standstill may have lasted longer than is told. */
const SLEEP_MS = 2;
/** Shorter ones change nothing at the shortest advertisement interval, 10 ms, unless there are several. */
const TELL_FROM_MS = 3;

const [processor = 0] = process.argv.slice(2).map(Number);

function sleepFrom(fromMs: number): void {
  setTimeout(() => {
    const nowMs = monotonicMs();
    const dueMs = fromMs + SLEEP_MS;
    if (nowMs - dueMs >= TELL_FROM_MS) {
      const told: Standstill = { processor, fromMs: dueMs, toMs: nowMs };
      process.stdout.write(`${JSON.stringify(told)}\n`);
    }
    sleepFrom(nowMs);
  }, SLEEP_MS);
}

createInterface({ input: process.stdin }).on('close', () => process.exit());
process.stdout.write('{"ready":true}\n');
sleepFrom(monotonicMs());
