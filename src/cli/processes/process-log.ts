/** The log of a process that runs on whatever becomes of its log: the VRRP process and the services process. */
import { isatty } from 'node:tty';
import { LogWriter } from '../../io/operator/log-writer.js';
import { native } from '../../io/sockets/native.js';
import { type LogOptions, openLog } from '../../observe/logger.js';
import type { Log } from '../../runtime/ports.js';
import type { LogStatus } from '../../runtime/status.js';

const STANDARD_OUTPUT = 1;
/** How long a process that leaves waits for its last lines. */
const LAST_LINES_MS = 1000;
/** And for whatever else is under way. */
const LAST_TURNS_MS = 500;
/** How long one that crashes may take to say why. */
const LAST_WORDS_MS = 2000;

export interface ProcessLog {
  readonly log: Log;
  readonly status: () => LogStatus;
  /** The process is about to end: resolves when its last lines are out, or after a second without them. */
  end(): Promise<void>;
}

/**
 * Logs to standard output. From here on nothing in this process waits for standard output or standard error but its
 * last words in a crash, and those not for long.
 */
export async function openProcessLog(options: Omit<LogOptions, 'colors'>): Promise<ProcessLog> {
  const writer = new LogWriter({
    descriptor: STANDARD_OUTPUT,
    onRoom: ({ linesLost, reason }) => {
      const why = reason ?? 'it is written too slowly';
      log.warn(
        { event: 'log', lines_lost: linesLost, reason },
        linesLost === 0
          ? `the log could not be written for a while: ${why}`
          : `${linesLost} lines of this log are lost here: ${why}`,
      );
    },
  });
  const log: Log = await openLog({ ...options, colors: isatty(STANDARD_OUTPUT) }, writer);
  // Node itself would write them to standard error, and wait for it.
  process.removeAllListeners('warning');
  process.on('warning', (warning) => log.warn({ err: warning }, warning.message));
  let crashed = false;
  process.on('uncaughtExceptionMonitor', (error) => {
    crashed = true;
    native().killIn(LAST_WORDS_MS);
    log.error({ err: error }, 'this process crashes');
    writer.writeNow();
  });
  process.on('exit', (status) => {
    // Node waits for what hangs in other threads, at its exit too: a write to the log or a state file, a look at a file.
    if (!crashed) native().exitNow(status);
  });
  return {
    log,
    status: () => writer.status(),
    end: async () => {
      // Where something hangs, even the end of the process would wait for it.
      native().killIn(LAST_WORDS_MS + LAST_LINES_MS);
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, LAST_LINES_MS);
      });
      await Promise.race([writer.settled(), late]);
      clearTimeout(timer);
      // What is under way would keep the process alive. The exit status is not known yet in this turn.
      setTimeout(() => native().exitNow(Number(process.exitCode ?? 0)), LAST_TURNS_MS).unref();
    },
  };
}
