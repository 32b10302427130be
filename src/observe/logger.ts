/** The log: JSON lines for programs, readable lines for a person at a terminal or for the journal. */
import { type Logger, pino } from 'pino';
import { journalLine } from './journal-lines.js';

export const LOG_FORMATS = ['json', 'pretty', 'journal'] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

export const LOG_LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LogOptions {
  readonly format: LogFormat;
  readonly level: LogLevel;
  /** This director's name: on every line. */
  readonly director: string;
  /** Which of the director's processes this is: on every line of a child. */
  readonly process?: string;
}

export interface OpenLog {
  readonly log: Logger;
  /** Writes out what is buffered. */
  flush(): void;
}

/** Writes to standard output. JSON lines carry `time` in epoch milliseconds. */
export async function openLog({ format, level, ...base }: LogOptions): Promise<OpenLog> {
  const options = { level, base };
  if (format === 'pretty') {
    // Loaded only here: a service starts faster without it.
    const { build } = await import('pino-pretty');
    const stream = build({
      sync: true,
      colorize: process.stdout.isTTY,
      ignore: 'pid,hostname,director,process,event',
      translateTime: 'SYS:HH:MM:ss.l',
      hideObject: level !== 'debug',
    });
    return { log: pino(options, stream), flush: () => {} };
  }
  // Not synchronous: a reader that stands still must not stop the daemon's clock.
  const destination = pino.destination({ dest: 1, sync: false, minLength: 0 });
  const log =
    format === 'json'
      ? pino(options, destination)
      : pino(options, { write: (line) => destination.write(journalLine(line)) });
  return { log, flush: () => destination.flushSync() };
}
