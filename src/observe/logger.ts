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
  /** Of the readable lines. */
  readonly colors: boolean;
}

/** Takes whole lines, at once. */
export interface LogDestination {
  write(line: string): void;
}

/** Lines to `destination`. JSON lines carry `time` in epoch milliseconds. */
export async function openLog(
  { format, level, colors, ...base }: LogOptions,
  destination: LogDestination,
): Promise<Logger> {
  const options = { level, base };
  if (format === 'json') return pino(options, destination);
  if (format === 'journal') {
    return pino(options, { write: (line) => destination.write(journalLine(line)) });
  }
  // Loaded only here: a service starts faster without it.
  const { prettyLines } = await import('./pretty-lines.js');
  const pretty = prettyLines({ colors, withFields: level === 'debug' });
  return pino(options, { write: (line) => destination.write(pretty(line)) });
}
