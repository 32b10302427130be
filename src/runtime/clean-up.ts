/** The end of things: every step is tried, whatever became of the others. */
import type { Log } from './ports.js';

export interface CleanUpStep {
  /** What it clears away, as in "could not clear away the sysctls". */
  readonly what: string;
  readonly run: () => Promise<void> | void;
}

/** Runs all steps in order; a failure is logged and does not stop the rest. Says whether all went well. */
export async function cleanUp(steps: readonly CleanUpStep[], log: Log): Promise<boolean> {
  let well = true;
  for (const { what, run } of steps) {
    try {
      await run();
    } catch (error) {
      well = false;
      log.error({ event: 'clean-up', err: error }, `could not clear away ${what}`);
    }
  }
  return well;
}
