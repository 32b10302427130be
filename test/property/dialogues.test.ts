/**
 * The protocols that checks speak: a server's answers mean the same however the network cuts them, random and damaged
 * answers never throw, never make the director send without an end, and every refusal is one short printable line.
 */
import fc from 'fast-check';
import t from 'tap';
import type { Conversation } from '../../src/config/model-protocols.js';
import { dialogueOf } from '../../src/protocols/conversations.js';
import { MAX_HEARD_BYTES, type Turn } from '../../src/protocols/dialogue.js';
import { hexText } from '../../src/util/hex.js';
import { cuts, pieces } from './stream-arbitraries.js';

const latin1 = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

/** What a good server says, all at once: the longest answers that these dialogues read. */
const GOOD: readonly (readonly [Conversation, string])[] = [
  [{ protocol: 'smtp', helo: 'a' }, '220-mail\r\n220 here\r\n250 a\r\n'],
  [{ protocol: 'ftp' }, '220-a\r\nb\r\n220 here\r\n'],
  [{ protocol: 'imap' }, '* OK IMAP4rev2 ready\r\n'],
  [{ protocol: 'pop3' }, '+OK ready\r\n'],
  [{ protocol: 'redis' }, '+PONG\r\n'],
  [{ protocol: 'mysql', user: 'u' }, `\x16\0\0\0\x0a8.0.4\0${'\x01'.repeat(15)}\x07\0\0\x02\0\0\0\x02\0\0\0`],
  [{ protocol: 'postgresql', user: 'u', database: 'd' }, 'R\0\0\0\x08\0\0\0\0'],
  [{ protocol: 'postgresql', user: 'u', database: undefined }, 'E\0\0\0\x17SFATAL\0C28000\0Mno\0\0'],
];

interface Heard {
  readonly sent: string;
  readonly end: string;
}

function hear(conversation: Conversation, parts: readonly Uint8Array[]): Heard {
  const dialogue = dialogueOf(conversation);
  let sent = '';
  let turn: Turn = dialogue.begin();
  const note = (): void => {
    if (turn.type !== 'bad') sent += turn.send.map((bytes) => hexText(bytes)).join('');
  };
  note();
  for (const part of parts) {
    if (turn.type !== 'waiting') break;
    turn = dialogue.hear(part);
    note();
  }
  const reasons = [turn.type === 'bad' ? turn.reason : '', dialogue.silence('within 1 ms')];
  for (const reason of reasons) {
    if (!/^[ -~]{0,160}$/.test(reason)) throw new Error(`a reason that is none: ${reason}`);
  }
  return { sent, end: turn.type === 'bad' ? turn.reason : turn.type };
}

const good = fc.constantFrom(...GOOD);
const same = (a: Heard, b: Heard) => a.sent === b.sent && a.end === b.end;

void t.test('a good server is good, cut as you like', async () => {
  fc.assert(
    fc.property(good, cuts, ([conversation, text], at) => {
      const whole = hear(conversation, [latin1(text)]);
      return whole.end === 'good' && same(whole, hear(conversation, pieces(latin1(text), at)));
    }),
    { numRuns: 2000 },
  );
});

void t.test('what is cut off is no good server', async () => {
  fc.assert(
    fc.property(good, fc.double({ min: 0, max: 0.999, noNaN: true }), ([conversation, text], share) => {
      const part = latin1(text).subarray(0, Math.floor(share * text.length));
      return hear(conversation, [part]).end !== 'good';
    }),
    { numRuns: 2000 },
  );
});

const byte = fc.nat(255);
/** A good answer with some bytes changed, or any bytes at all. */
const answer = fc.oneof(
  fc
    .record({
      chosen: good,
      edits: fc.array(fc.record({ at: fc.nat(60), value: fc.oneof(byte, fc.constantFrom(0, 255, 13, 10)) }), {
        minLength: 1,
        maxLength: 4,
      }),
    })
    .map(({ chosen: [conversation, text], edits }) => {
      const bytes = latin1(text);
      for (const { at, value } of edits) bytes[at % bytes.length] = value;
      return { conversation, bytes };
    }),
  fc.record({ chosen: good, bytes: fc.uint8Array({ maxLength: 300 }) }).map(({ chosen, bytes }) => ({
    conversation: chosen[0],
    bytes,
  })),
);

void t.test('damaged and random answers: no throw, one meaning, few bytes sent', async () => {
  fc.assert(
    fc.property(answer, cuts, ({ conversation, bytes }, at) => {
      const heard = hear(conversation, pieces(bytes, at));
      // A reason shows what had come when it was clear that it is wrong: the kind of end is what has to be the same.
      const kind = (end: string) => (['good', 'waiting'].includes(end) ? end : 'bad');
      return kind(hear(conversation, [bytes]).end) === kind(heard.end) && heard.sent.length < 1000;
    }),
    { numRuns: 10_000 },
  );
});

void t.test('a server that goes on without an end is not listened to for ever', async (t) => {
  for (const [conversation] of GOOD) {
    for (const filler of ['\0', 'x', '220-a\r\n', '\r\n', '\xff', 'R\0\0\x40\0']) {
      const piece = latin1(filler.repeat(1000)).subarray(0, 1000);
      const many = Array.from({ length: MAX_HEARD_BYTES / 1000 + 2 }, () => piece);
      t.not(hear(conversation, many).end, 'waiting', `${conversation.protocol} ${JSON.stringify(filler)}`);
    }
  }
});
