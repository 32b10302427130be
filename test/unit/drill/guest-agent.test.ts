/** The agent of the VM, here with a pipe in place of the guest's serial port. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Duplex } from 'node:stream';
import t from 'tap';
import { GUEST_AGENT } from '../../../src/drill/vm/guest-scripts.js';

void t.test('a program that ends while a line comes in does not spoil the line', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'guest-agent-'));
  t.teardown(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, '1.sh'), 'echo one');
  writeFileSync(join(folder, '2.sh'), 'echo two; exit 7');
  const { PATH } = process.env;
  // env(1) runs what busybox would.
  const agent = spawn('/bin/sh', ['-c', GUEST_AGENT], {
    env: { PATH, B: 'env', C: folder },
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
  });
  t.teardown(() => agent.kill('SIGKILL'));
  const line = agent.stdio[3];
  if (!(line instanceof Duplex)) throw new TypeError('no descriptor 3');
  const answers = createInterface({ input: line })[Symbol.asyncIterator]();
  const answer = async (): Promise<unknown> => (await answers.next()).value;
  t.equal(await answer(), 'ready');
  line.write('run 1\nru');
  t.equal(await answer(), 'done 1 0');
  line.write('n 2\n');
  t.equal(await answer(), 'done 2 7');
  t.equal(readFileSync(join(folder, '2.out'), 'utf8'), 'two\n');
});
