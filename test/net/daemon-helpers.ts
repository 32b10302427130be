/** How a test of running daemons begins, and what it works with. */
import t, { type Test } from 'tap';
import { skip } from './daemons.js';

export * from './daemons.js';

/** Above what the waits in one test give up after, and what a whole file may take on a busy machine. */
const TEST_LIMIT_MS = 240_000;
export const FILE_LIMIT_MS = 540_000;

/** Tests with daemons, on hosts of their own each; left out for the reason given. */
export function testUnless(reason: string | false): (name: string, body: (t: Test) => Promise<void>) => void {
  return (name, body) => void t.test(name, { skip: reason, timeout: TEST_LIMIT_MS }, body);
}

export const test = testUnless(skip);
