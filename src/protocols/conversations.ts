/** The dialogue that a configured conversation is. */
import type { Conversation, ScriptStep } from '../config/model-protocols.js';
import { hexBytes } from '../util/hex.js';
import { Dialogue, type Step } from './dialogue.js';
import { mysql } from './mysql.js';
import { postgresql } from './postgresql.js';
import { shownExactly } from './shown.js';
import { ftp, imap, pop3, redis, smtp } from './text-protocols.js';

export function dialogueOf(conversation: Conversation): Dialogue {
  return conversation.protocol === 'script'
    ? new Dialogue(conversation.steps.map(scriptStep), true)
    : new Dialogue(stepsOf(conversation));
}

function stepsOf(conversation: Exclude<Conversation, { protocol: 'script' }>): readonly Step[] {
  switch (conversation.protocol) {
    case 'smtp':
      return smtp(conversation.helo);
    case 'imap':
      return imap();
    case 'pop3':
      return pop3();
    case 'ftp':
      return ftp();
    case 'redis':
      return redis();
    case 'mysql':
      return mysql(conversation.user);
    case 'postgresql':
      return postgresql(conversation.user, conversation.database);
  }
}

function scriptStep({ type, bytes: hex }: ScriptStep): Step {
  const bytes = hexBytes(hex);
  if (type === 'send') return { type, bytes };
  return {
    type: 'read',
    wanted: shownExactly(bytes),
    read: (heard, seen) => {
      // It may have begun in what was seen.
      const at = indexOf(heard, bytes, Math.max(0, seen - bytes.length + 1));
      return at < 0 ? { type: 'more' } : { type: 'taken', used: at + bytes.length };
    },
  };
}

/** Where `wanted`, of one byte at least, first stands in `bytes` from `from` on; -1: nowhere. */
function indexOf(bytes: Uint8Array, wanted: Uint8Array, from: number): number {
  const first = wanted[0] ?? 0;
  const last = bytes.length - wanted.length;
  for (let at = bytes.indexOf(first, from); at >= 0 && at <= last; at = bytes.indexOf(first, at + 1)) {
    if (wanted.every((byte, index) => bytes[at + index] === byte)) return at;
  }
  return -1;
}
