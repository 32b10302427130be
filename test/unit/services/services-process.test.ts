import t from 'tap';
import { launchServices } from '../../../src/io/processes/services-process.js';

void t.test('a process that the system refuses to start has ended, with the reason', async (t) => {
  // E2BIG stands for what spawn(2) throws, such as ENOMEM: an argument may have 128 KiB.
  const starter = launchServices({ main: '/nonexistent', argv: ['x'.repeat(256 * 1024)] });
  const ends: string[] = [];
  const refused = starter.start({ onMessage: () => {}, onExit: (how) => ends.push(how) });
  t.same(ends, ['spawn E2BIG']);
  t.equal(refused.pid, undefined);
  refused.send({ type: 'ping' });
  refused.kill();
  starter.close();
});
