/**
 * Checks the real servers of `npm run bench:checks` as the services process does, and prints each verdict as a line
 * (`VerdictLine`). Usage: checker.js TCP HTTP
 */
import { createInterface } from 'node:readline';
import { openProber } from '../../../src/io/checks/probes.js';
import { monotonicClock } from '../../../src/io/host/clock.js';
import { takeLowPriority } from '../../../src/io/host/real-time.js';
import { openCommands } from '../../../src/io/processes/command.js';
import type { Log } from '../../../src/runtime/ports.js';
import { HealthRunner } from '../../../src/runtime/services/health-runner.js';
import { WorkCounts } from '../../../src/runtime/services/work-counts.js';
import { checkedServers } from './checked-servers.js';

export interface VerdictLine {
  /** CLOCK_MONOTONIC. */
  readonly atMs: number;
  /** `ADDRESS:PORT`. */
  readonly realServer: string;
  readonly state: 'up' | 'down';
  readonly reason?: string;
}

const [tcp = 0, http = 0] = process.argv.slice(2).map(Number);

function tell(fields: object): void {
  process.stdout.write(`${JSON.stringify({ ...fields, atMs: monotonicClock.nowMs() })}\n`);
}

const log: Log = {
  debug: () => {},
  info: tell,
  warn: tell,
  error: (_, message) => void process.stderr.write(`${message}\n`),
};

takeLowPriority();
process.stdout.write('{"ready":true}\n');
const runner = new HealthRunner(checkedServers({ tcp, http }), {
  clock: monotonicClock,
  prober: openProber(openCommands()),
  log,
  counts: new WorkCounts(),
  onVerdict: () => {},
});
const end = (): void => {
  runner.close();
  process.exit();
};
process.on('SIGTERM', end);
createInterface({ input: process.stdin }).on('close', end);
