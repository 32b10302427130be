/**
 * Stands in for the daemon in the guardian's tests: arms a guardian with the orders of its first argument
 * and says on stdout what happens. `renew` on stdin arms again, `disarm` leaves in good order.
 */
import { createInterface } from 'node:readline';
import { startGuardian } from '../../../src/io/processes/guardian.js';
import type { GuardianOrders } from '../../../src/runtime/ports.js';

const text = process.argv[2] ?? '{}';
/** Payloads travel as hex. */
const orders: GuardianOrders = JSON.parse(text, (key, value) =>
  key === 'payload' ? Buffer.from(value, 'hex') : value,
);

const say = (words: string): boolean => process.stdout.write(`${words}\n`);
const guardian = startGuardian({
  onArmed: () => say(`armed ${guardian.pid}`),
  onActed: () => say('acted'),
  onError: (error) => say(`error ${error.message}`),
});
guardian.arm(orders);
createInterface({ input: process.stdin }).on('line', (line) => {
  if (line === 'renew') guardian.arm(orders);
  if (line !== 'disarm') return;
  guardian.disarm();
  process.exit(0);
});
