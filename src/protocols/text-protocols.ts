/** Protocols that greet and answer in lines of text. */
import type { Step } from './dialogue.js';
import { shown } from './shown.js';

const LF = 0x0a;
const encoder = new TextEncoder();
const decoder = new TextDecoder('latin1');

/** RFC 5321. */
export function smtp(helo: string): readonly Step[] {
  return [
    reply('greeting 220', 220),
    say(`HELO ${helo}`),
    reply('answer 250 to HELO', 250),
    // Else the server counts a connection that was lost.
    say('QUIT'),
  ];
}

/** RFC 959: 120 and 421 are of a server that is not ready. */
export function ftp(): readonly Step[] {
  return [reply('greeting 220', 220), say('QUIT')];
}

/** RFC 9051 section 7.1: BYE is a refusal. */
export function imap(): readonly Step[] {
  return [line('greeting OK', (text) => /^\* (OK|PREAUTH)\b/i.test(text)), say('a LOGOUT')];
}

/** RFC 1939 section 4. */
export function pop3(): readonly Step[] {
  return [line('greeting +OK', (text) => /^\+OK\b/.test(text)), say('QUIT')];
}

/** One that wants a password first, or gives its own user no right to ask, is at work as well; one that loads its data is not. */
export function redis(): readonly Step[] {
  return [say('PING'), line('+PONG', (text) => /^(\+PONG$|-NOAUTH\b|-NOPERM\b)/.test(text))];
}

function say(text: string): Step {
  return { type: 'send', bytes: encoder.encode(`${text}\r\n`) };
}

/** One line. Of one dialogue, as all steps that remember something. */
function line(wanted: string, isGood: (text: string) => boolean): Step {
  return lines(wanted, (text) => (isGood(text) ? 'good' : 'bad'));
}

/** A reply of one line or several: `220-` until `220 ` (RFC 959 section 4.2; those of SMTP are among them). */
function reply(wanted: string, code: number): Step {
  let isFirst = true;
  return lines(wanted, (text) => {
    if (text === `${code}` || text.startsWith(`${code} `)) return 'good';
    if (isFirst && !text.startsWith(`${code}-`)) return 'bad';
    isFirst = false;
    return 'next';
  });
}

/** Lines until one decides. */
function lines(wanted: string, judge: (text: string) => 'good' | 'bad' | 'next'): Step {
  /** Of the first line that was not judged. */
  let start = 0;
  return {
    type: 'read',
    wanted,
    read: (bytes, seen) => {
      for (let end = bytes.indexOf(LF, seen); end >= 0; end = bytes.indexOf(LF, start)) {
        const one = bytes.subarray(start, end);
        start = end + 1;
        const verdict = judge(decoder.decode(one).trimEnd());
        if (verdict === 'good') return { type: 'taken', used: start };
        if (verdict === 'bad') return { type: 'wrong', reason: `expected ${wanted}, got ${shown(one)}` };
      }
      return { type: 'more' };
    },
  };
}
