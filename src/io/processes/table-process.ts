/** Short-lived processes that read the kernel's connections: of a large table that takes seconds, and nobody else's. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { ReplayReport } from '../../runtime/services/sync/connection-replay.js';
import { BUCKETS, type ConnectionDigest } from '../../sync/digest.js';
import { SMALL } from './services-process.js';

/** For reading the table once; before Linux 7 about 400,000 connections on an idle machine. */
export const TABLE_LIMIT_MS = 120_000;
/** Of an answer; a digest has about 5,000. */
const MAX_ANSWER_BYTES = 65_536;

const run = promisify(execFile);

export interface TableProcesses {
  /** Rejects with what the process said when it failed. */
  replay(buckets: ReadonlySet<number> | undefined): Promise<ReplayReport>;
  digest(): Promise<ConnectionDigest>;
}

/** `main`: the program's entry, `main.js`. */
export function openTableProcesses(main: string): TableProcesses {
  return {
    async replay(buckets) {
      const which = buckets === undefined ? [] : ['--buckets', [...buckets].join(',')];
      return JSON.parse(await answer(main, ['replay', ...which]));
    },
    async digest() {
      const { counts, sums } = JSON.parse(await answer(main, ['digest']));
      const digest = { counts: Uint32Array.from(counts), sums: Uint32Array.from(sums) };
      if (digest.counts.length !== BUCKETS || digest.sums.length !== BUCKETS)
        throw new RangeError('the digest of another version: the program was replaced while it runs');
      return digest;
    },
  };
}

async function answer(main: string, args: readonly string[]): Promise<string> {
  const inherited = process.execArgv.filter((argument) => !SMALL.includes(argument));
  const argv = [...inherited, main, 'sync', ...args, '--json', '--with-parent'];
  const options = { timeout: TABLE_LIMIT_MS, killSignal: 'SIGKILL', maxBuffer: MAX_ANSWER_BYTES } as const;
  const { stdout } = await run(process.execPath, argv, options);
  return stdout;
}
