/** How every bench ends. */
import { DrillInterrupted } from '../../src/drill/errors.js';

/**
 * Runs a bench and sets the exit status: what `main` gives, 130 after Ctrl-C, 2 for wrong arguments (RangeError), 1 for
 * anything else, with one sentence on standard error.
 */
export async function runBench(name: string, main: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await main();
  } catch (error) {
    const interrupted = error instanceof DrillInterrupted;
    const failure = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${name}: ${interrupted ? 'interrupted' : failure}\n`);
    process.exitCode = interrupted ? 130 : error instanceof RangeError ? 2 : 1;
  }
}
