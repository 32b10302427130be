/** Pages of the program that only the start needed go, and what is needed comes back. In a process of its own. */
import { spawnSync } from 'node:child_process';
import t from 'tap';
import { nativeFile } from '../../../src/io/sockets/native.js';

/** Prints RssFile (proc_pid_status(5), KiB) before and after, what was released, and the sum of what it computed since. */
const PROGRAM = `
const { readFileSync } = require('node:fs');
const addon = require(process.argv[1]);
const mapped = () => Number(/^RssFile:\\s+(\\d+)/m.exec(readFileSync('/proc/self/status', 'utf8'))[1]);
if (process.argv[2] === 'locked') addon.lockMemory();
const before = mapped();
const released = addon.releaseCode();
const after = mapped();
let sum = 0;
for (let i = 0; i < 200; i++) sum += JSON.parse(JSON.stringify(Array.from({ length: 1000 }, (_, n) => n))).length;
console.log(JSON.stringify({ before, released, after, sum }));
`;

function run(...args: readonly string[]): { before: number; released: number; after: number; sum: number } {
  const { stdout, stderr, status } = spawnSync(
    process.execPath,
    ['-e', PROGRAM, nativeFile('lvs-director.node'), ...args],
    { encoding: 'utf8' },
  );
  if (status !== 0) throw new Error(stderr);
  return JSON.parse(stdout);
}

const cannotLock = process.getuid?.() === 0 ? false : 'locking memory needs root';

await t.test('code that the start needed', async (t) => {
  const { before, released, after, sum } = run();
  t.ok(released > 10 * 1024 * 1024, `${released} bytes released`);
  t.ok(after < before / 2, `${before} KiB before, ${after} KiB after`);
  t.equal(sum, 200_000, 'it goes on');
});

await t.test('what is locked stays', { skip: cannotLock }, async (t) => {
  const { before, after, sum } = run('locked');
  t.ok(after > before / 2, `${before} KiB before, ${after} KiB after`);
  t.equal(sum, 200_000);
});
