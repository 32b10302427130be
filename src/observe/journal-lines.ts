/** Lines for the systemd journal: a person reads them in `journalctl -u lvs-director`, and `journalctl -p` knows their priority. */

/** pino's levels, and the priorities of syslog(3) that sd-daemon(3) writes before a line. */
const DEBUG = 20;
const INFO = 30;
const WARN = 40;
const LOG_DEBUG = 7;
const LOG_INFO = 6;
const LOG_WARNING = 4;
const LOG_ERR = 3;

/** The journal cuts a line in two after 48 KiB (LineMax= of journald.conf(5)), and the second half has no priority. */
const MAX_CHARACTERS = 8192;

function priority(level: number): number {
  if (level <= DEBUG) return LOG_DEBUG;
  if (level <= INFO) return LOG_INFO;
  return level <= WARN ? LOG_WARNING : LOG_ERR;
}

/** The message with the words of the error behind it, unless either has the other in it already. */
function withCause(message: string, err: unknown): string {
  const words: unknown = Object(err).message;
  if (typeof words !== 'string' || message.includes(words)) return message;
  return words.includes(message) ? words : `${message}: ${words}`;
}

/** What is on every line, or told otherwise. */
const UNTOLD: ReadonlySet<string> = new Set(
  'level time msg err director process pid hostname event'.split(' '),
);

/** `instance=web address=192.0.2.1`: plain values that a reader of the message would miss. */
function details(line: Record<string, unknown>, message: string): string {
  return Object.entries(line)
    .filter(([name]) => !UNTOLD.has(name))
    .flatMap(([name, value]) => {
      const values = (Array.isArray(value) ? value : [value])
        .filter((each) => typeof each === 'string' || typeof each === 'number')
        .map(String)
        .filter((each) => each !== '' && !message.includes(each));
      return values.length === 0 ? [] : [`${name}=${values.join(', ')}`];
    })
    .join(' ');
}

/**
 * One line of JSON as pino writes it, as `<PRIORITY>message (NAME=VALUE ...)`, with a newline behind. Whatever stands in
 * it is one line: what a stranger or a script sent must not look like another event.
 */
export function journalLine(json: string): string {
  const line: Record<string, unknown> = JSON.parse(json);
  const message = withCause(typeof line['msg'] === 'string' ? line['msg'] : '', line['err']);
  const more = details(line, message);
  const words = (more === '' ? message : `${message} (${more})`).replaceAll(/\p{Cc}+/gu, ' ').trim();
  const cut = words.length > MAX_CHARACTERS ? `${words.slice(0, MAX_CHARACTERS)} ...` : words;
  return `<${priority(Number(line['level']))}>${cut}\n`;
}
