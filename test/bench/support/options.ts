/** What the benches' arguments have in common. Both throw RangeError, which `runBench` tells of. */
import { CONTENDERS, type Contender } from './contenders.js';

/** The whole number that `text` is, `10ms` among them, from `low` to `high`. */
export function numberWithin(text: string, low: number, high: number, name: string): number {
  const value = Number(text.replace(/ms$/, ''));
  if (!Number.isInteger(value) || value < low || value > high) {
    throw new RangeError(`--${name} ${text} is not within ${low} to ${high}`);
  }
  return value;
}

/** Those that `--only` leaves. */
export function contendersOf(only: string | undefined): Contender[] {
  const contenders = CONTENDERS.filter((name) => only === undefined || only === name);
  if (contenders.length === 0) throw new RangeError(`'${only}' is none of ${CONTENDERS.join(', ')}`);
  return contenders;
}
