/** Lines of the log for people. In a file of its own: it is loaded where somebody wants it, and no service starts slower. */
import { prettyFactory } from 'pino-pretty';

export interface PrettyOptions {
  readonly colors: boolean;
  /** The fields of a line, too. */
  readonly withFields: boolean;
}

/** What turns a line of JSON into one to read. */
export function prettyLines({ colors, withFields }: PrettyOptions): (line: string) => string {
  return prettyFactory({
    colorize: colors,
    ignore: 'pid,hostname,director,process,event',
    translateTime: 'SYS:HH:MM:ss.l',
    hideObject: !withFields,
  });
}
