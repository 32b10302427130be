import { LOG_FORMATS, LOG_LEVELS, type LogFormat, type LogLevel } from '../observe/logger.js';
import { UsageError } from './command.js';

/** Options of the commands that log, for `parseArgs`. */
export const LOG_OPTIONS = {
  log: { type: 'string' },
  'log-level': { type: 'string', default: 'info' },
} as const;

export const LOG_OPTIONS_USAGE = `  --log FORMAT        ${LOG_FORMATS.join(', ')} (default pretty on a terminal, else json)
  --log-level LEVEL   ${LOG_LEVELS.join(', ')} (default info)
`;

/** @throws UsageError for a format or level that there is not. */
export function logOptions(values: { log?: string | undefined; 'log-level': string }): {
  format: LogFormat;
  level: LogLevel;
} {
  const wanted = values.log ?? (process.stdout.isTTY ? 'pretty' : 'json');
  const format = LOG_FORMATS.find((name) => name === wanted);
  if (format === undefined)
    throw new UsageError(`--log is one of ${LOG_FORMATS.join(', ')}, not '${wanted}'`);
  const level = LOG_LEVELS.find((name) => name === values['log-level']);
  if (level === undefined) throw new UsageError(`--log-level is one of ${LOG_LEVELS.join(', ')}`);
  return { format, level };
}
