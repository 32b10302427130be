/** The log in the look that the systemd journal wants. */
import { pino } from 'pino';
import t from 'tap';
import { journalLine } from '../../../src/observe/journal-lines.js';

/** What `work` logs, as the journal gets it. */
function journal(work: (log: pino.Logger) => void): string {
  let text = '';
  work(pino({ level: 'debug', base: { director: 'lb1' } }, { write: (line) => (text += journalLine(line)) }));
  return text;
}

void t.test('each level has its priority of syslog(3)', async (t) => {
  const text = journal((log) => {
    log.debug('a');
    log.info({ event: 'role' }, 'web: backup -> master');
    log.warn('c');
    log.error('d');
    log.fatal('e');
  });
  t.equal(text, '<7>a\n<6>web: backup -> master\n<4>c\n<3>d\n<3>e\n');
});

void t.test('an error is told with its cause, once, without its stack', async (t) => {
  const error = new Error('cannot write', { cause: new Error('no space left') });
  t.equal(
    journal((log) => log.warn({ err: error }, 'the state file')),
    '<4>the state file: cannot write: no space left\n',
  );
  t.equal(
    journal((log) => log.error(error)),
    '<3>cannot write: no space left\n',
  );
});

void t.test('fields that the message does not tell stand behind it', async (t) => {
  const text = journal((log) => {
    log.warn(
      { event: 'address', instance: 'web', address: '192.0.2.1', up: true },
      'web: somebody removed it',
    );
    log.info({ refusals: ['EPERM', 'ENOSYS'], count: 3, nothing: null, inner: { a: 1 } }, 'not permitted');
  });
  t.equal(
    text,
    '<4>web: somebody removed it (address=192.0.2.1)\n<6>not permitted (refusals=EPERM, ENOSYS count=3)\n',
  );
});

void t.test('one event is one line, whatever stands in it', async (t) => {
  const forged = 'bad\n<3>forged\r\nby \u001b[31ma script\u0085\u0000';
  const text = journal((log) => log.warn(forged));
  t.equal(text, '<4>bad <3>forged by  [31ma script\n');
  const long = journal((log) => log.info('x'.repeat(100_000)));
  t.ok(long.length < 48 * 1024, 'the journal does not cut it');
  t.match(long, /^<6>x+ \.\.\.\n$/);
});
