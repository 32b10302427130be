/** What keeps the processes small: V8 takes memory for speed that they do not need, and a start touches code that nobody needs again. */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { native } from '../sockets/native.js';

/**
 * To be called before anything large is loaded. Of what a step allocates nothing lives on, so that a larger young
 * generation is only more memory touched (it would grow to 16 MiB), and waking other threads to collect it costs more than
 * they do; the old generation is collected when it has grown by a quarter.
 */
export function staySmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1');
  setFlagsFromString('--no-parallel-scavenge');
  setFlagsFromString('--heap-growing-percent=25');
}

/** V8 11 has no compiler between its first one and TurboFan. */
const HAS_TURBOFAN_ALONE = process.versions.v8.startsWith('11.');

/**
 * For a process that reads a large file and ends soon: its young generation grows to its full size at once, instead of being
 * collected again and again while nothing in it is garbage. And TurboFan, which costs more than it saves in what runs for
 * some tenths of a second, begins later.
 */
export function endSoon(): void {
  setFlagsFromString('--semi-space-growth-factor=16');
  if (HAS_TURBOFAN_ALONE) setFlagsFromString('--interrupt-budget=500000');
}

/** Collects what the start left behind. Takes some ten milliseconds: not while an election runs. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  setFlagsFromString('--no-expose-gc');
  if (typeof collect === 'function') collect();
}

/** Lets go of the program's pages, most of which only the start needed; to be followed by what is to be fast. */
export function releaseCode(): void {
  try {
    native().releaseCode();
  } catch {
    // /proc is not readable here: it is memory, and nothing else.
  }
}
