/** How every bench begins and ends. */
import { DrillInterrupted } from '../../../src/drill/errors.js';

/** What each bench takes beside its own options. */
export const COMMON_OPTIONS = {
  json: { type: 'boolean', default: false },
  help: { type: 'boolean', default: false },
} as const;

export interface Bench<Chosen> {
  readonly name: string;
  readonly usage: string;
  /** The arguments as understood; undefined when they ask for help. Throws RangeError. */
  readonly options: () => Chosen | undefined;
  /** Resolves with the exit status. */
  readonly run: (chosen: Chosen, signal: AbortSignal) => Promise<number>;
}

/**
 * Runs a bench and sets the exit status: what `run` gives, 0 after `--help`, 130 after Ctrl-C, 2 for wrong arguments
 * (RangeError), 1 for anything else, with one sentence on standard error.
 */
export async function runBench<Chosen>({ name, usage, options, run }: Bench<Chosen>): Promise<void> {
  try {
    const chosen = options();
    if (chosen === undefined) process.stdout.write(usage);
    else process.exitCode = await run(chosen, interruption());
  } catch (error) {
    const interrupted = error instanceof DrillInterrupted;
    const failure = error instanceof Error ? error.message : String(error);
    process.stderr.write(`${name}: ${interrupted ? 'interrupted' : failure}\n`);
    process.exitCode = interrupted ? 130 : error instanceof RangeError ? 2 : 1;
  }
}

/** An AbortSignal for Ctrl-C and SIGTERM. */
function interruption(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => controller.abort());
  }
  return controller.signal;
}
