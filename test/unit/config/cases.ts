/** Rules of the configuration, each case one edit of a good file. */
import type { Test } from 'tap';
import { parseConfig } from '../../../src/config/parse.js';

/** What is replaced, by what, and the faults as `PATH: message` (a part of it is enough); none when it is good. */
export type Case = readonly [from: string, to: string, ...faults: RegExp[]];

export function checkEdits(t: Test, good: string, cases: readonly Case[]): void {
  for (const [from, to, ...expected] of cases) {
    if (!good.includes(from)) throw new Error(`the good file has no ${from}`);
    const result = parseConfig(
      good.replace(from, () => to),
      { name: 'lb1' },
    );
    const faults = result.ok ? [] : result.faults.map(({ path, message }) => `${path}: ${message}`);
    t.match(faults, expected, `${to}\n${faults.join('\n')}`);
    t.equal(faults.length, expected.length, `${to}: ${faults.join('\n')}`);
  }
}
