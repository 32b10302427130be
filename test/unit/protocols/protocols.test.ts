import t from 'tap';
import type { Conversation } from '../../../src/config/model-protocols.js';
import { dialogueOf } from '../../../src/protocols/conversations.js';
import type { Turn } from '../../../src/protocols/dialogue.js';

const latin1 = (text: string) => Uint8Array.from(text, (character) => character.charCodeAt(0));

/** What a dialogue says to these answers, the last of which decides: what was sent, and a reason or `good`. */
function held(conversation: Conversation, ...answers: string[]): string[] {
  const dialogue = dialogueOf(conversation);
  const said: string[] = [];
  const note = (turn: Turn): string => {
    if (turn.type === 'bad') return turn.reason;
    said.push(...turn.send.map((bytes) => String.fromCharCode(...bytes)));
    return turn.type;
  };
  let last = note(dialogue.begin());
  for (const answer of answers) if (last === 'waiting') last = note(dialogue.hear(latin1(answer)));
  return [...said, last];
}

void t.test('smtp', async (t) => {
  const smtp = { protocol: 'smtp', helo: 'lb.example' } as const;
  const all = ['HELO lb.example\r\n', 'QUIT\r\n', 'good'];
  t.strictSame(held(smtp, '220 mail\r\n', '250 ok\r\n'), all);
  t.strictSame(held(smtp, '220-mail\r\n220-and more\r\n', '220 \r\n', '250\r\n'), all);
  t.strictSame(held(smtp, '554 go away\r\n'), ["expected greeting 220, got '554 go away'"]);
  t.strictSame(held(smtp, '2200\r\n'), ["expected greeting 220, got '2200'"]);
  t.strictSame(held(smtp, '220 mail\r\n', '421 4.3.2 closing\n'), [
    'HELO lb.example\r\n',
    "expected answer 250 to HELO, got '421 4.3.2 closing'",
  ]);
  t.strictSame(held(smtp, '220 mail'), ['waiting'], 'not the whole line');
});

void t.test('ftp, imap and pop3', async (t) => {
  const ftp = { protocol: 'ftp' } as const;
  t.strictSame(held(ftp, '220-Hello\r\n 500 files here\r\n220 go on\r\n'), ['QUIT\r\n', 'good']);
  t.strictSame(held(ftp, '421 too many users\r\n'), ["expected greeting 220, got '421 too many users'"]);
  t.strictSame(held(ftp, '120 in 5 minutes\r\n'), ["expected greeting 220, got '120 in 5 minutes'"]);
  const imap = { protocol: 'imap' } as const;
  t.strictSame(held(imap, '* OK [CAPABILITY IMAP4rev1] ready\r\n'), ['a LOGOUT\r\n', 'good']);
  t.strictSame(held(imap, '* preauth welcome\r\n'), ['a LOGOUT\r\n', 'good']);
  t.strictSame(held(imap, '* BYE busy\r\n'), ["expected greeting OK, got '* BYE busy'"]);
  t.strictSame(held(imap, '* OKAY\r\n'), ["expected greeting OK, got '* OKAY'"]);
  const pop3 = { protocol: 'pop3' } as const;
  t.strictSame(held(pop3, '+OK <1896.697170952@dbc.example>\r\n'), ['QUIT\r\n', 'good']);
  t.strictSame(held(pop3, '-ERR busy\r\n'), ["expected greeting +OK, got '-ERR busy'"]);
});

void t.test('redis', async (t) => {
  const redis = { protocol: 'redis' } as const;
  t.strictSame(held(redis, '+PO', 'NG\r\n'), ['PING\r\n', 'good']);
  t.strictSame(held(redis, '-NOAUTH Authentication required.\r\n'), ['PING\r\n', 'good']);
  const loading = '-LOADING Redis is loading the dataset in memory';
  t.strictSame(held(redis, `${loading}\r\n`), ['PING\r\n', `expected +PONG, got '${loading}'`]);
  t.strictSame(held(redis, '+PONGO\r\n'), ['PING\r\n', "expected +PONG, got '+PONGO'"]);
});

/** Packet `number` with this payload. */
const packet = (number: number, payload: string) =>
  String.fromCharCode(payload.length & 255, payload.length >> 8, 0, number) + payload;
const mysqlError = (code: number, text: string) => `\xff${String.fromCharCode(code & 255, code >> 8)}${text}`;

void t.test('mysql', async (t) => {
  const mysql = { protocol: 'mysql', user: 'check' } as const;
  const hello = packet(0, `\x0a8.0.40\0${'\x01'.repeat(15)}`);
  const login = packet(1, `\x01\x82\x08\0\0\0\0\x01\x2d${'\0'.repeat(23)}check\0\0mysql_native_password\0`);
  const quit = packet(0, '\x01');
  t.strictSame(held(mysql, hello, packet(2, '\0\0\0\x02\0\0\0')), [login, quit, 'good']);
  t.strictSame(held(mysql, hello, packet(2, '\xfecaching_sha2_password\0abc')), [
    login,
    packet(3, '') + quit,
    'good',
  ]);
  t.strictSame(held(mysql, hello, packet(2, mysqlError(1045, '#28000Access denied'))), [login, 'good']);
  t.strictSame(held(mysql, hello, packet(2, mysqlError(1053, '#08S01Server shutdown in progress'))), [
    login,
    "error 1053: 'Server shutdown in progress'",
  ]);
  t.strictSame(held(mysql, packet(0, mysqlError(1040, 'Too many connections'))), [
    "error 1040: 'Too many connections'",
  ]);
  t.strictSame(held(mysql, packet(0, mysqlError(1129, "Host 'a' is blocked"))), [
    "error 1129: 'Host 'a' is blocked'",
  ]);
  const stranger = /^the answer is not MySQL: /;
  for (const wrong of [
    'SSH-2.0-OpenSSH_9.2\r\n',
    packet(1, hello.slice(4)),
    packet(0, ''),
    packet(0, '\x09old\0'),
    packet(0, '\x0a8.0.40'),
    packet(0, '\x0a8.0.40\0abc'),
  ]) {
    t.match(held(mysql, wrong), [stranger], JSON.stringify(wrong));
  }
  t.match(held(mysql, hello, packet(2, '\x55')), [login, stranger]);
  t.match(held(mysql, hello, packet(1, '\0')), [login, stranger]);
});

const message = (type: string, body: string) =>
  `${type}\0\0${String.fromCharCode((body.length + 4) >> 8, (body.length + 4) & 255)}${body}`;
const postgresError = (code: string, text: string) =>
  message('E', `SFATAL\0VFATAL\0C${code}\0M${text}\0Fpostmaster.c\0\0`);

void t.test('postgresql', async (t) => {
  const postgresql = { protocol: 'postgresql', user: 'check', database: undefined } as const;
  const start = (...words: string[]) => {
    const body = `\0\x03\0\0${[...words, 'application_name', 'lvs-director'].join('\0')}\0\0`;
    return `\0\0\0${String.fromCharCode(body.length + 4)}${body}`;
  };
  const hello = start('user', 'check');
  t.strictSame(held(postgresql, message('R', '\0\0\0\x0a')), [hello, 'X\0\0\0\x04', 'good']);
  t.strictSame(held({ ...postgresql, database: 'app' }, message('R', '\0\0\0\0')), [
    start('user', 'check', 'database', 'app'),
    'X\0\0\0\x04',
    'good',
  ]);
  for (const code of ['28P01', '28000', '3D000', '42501']) {
    t.strictSame(held(postgresql, postgresError(code, 'not you')), [hello, 'good'], code);
  }
  t.strictSame(held(postgresql, postgresError('57P03', 'the database system is starting up')), [
    hello,
    "error 57P03: 'the database system is starting up'",
  ]);
  t.strictSame(held(postgresql, postgresError('53300', 'sorry, too many clients already')), [
    hello,
    "error 53300: 'sorry, too many clients already'",
  ]);
  t.strictSame(held(postgresql, 'EFATAL:  could ', 'not fork\n\0'), [
    hello,
    "error: 'FATAL: could not fork'",
  ]);
  const stranger = /^the answer is not PostgreSQL: /;
  for (const wrong of [
    'HTTP/1.1 400',
    'S',
    message('R', ''),
    message('E', 'SFATAL\0\0'),
    'R\xff\xff\xff\xff',
  ]) {
    t.match(held(postgresql, wrong), [hello, stranger], JSON.stringify(wrong));
  }
});
