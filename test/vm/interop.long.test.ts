/**
 * A director and FRR's vrrpd as one pair, in the VM where this kernel has no macvlan. The cases at 10 ms are left to
 * `npm run interop`: on a busy machine a role may move for good reasons.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { CASES, caseName } from '../interop/cases.js';
import type { PeerResults } from '../interop/document.js';
import { hasMacvlan } from '../interop/peer-frr.js';
import { skip as noNamespaces } from '../net/daemon-helpers.js';
import { noVm } from './no-vm.js';

const MAIN = fileURLToPath(new URL('../interop/main.js', import.meta.url));
const LEFT_OUT = ' 10 ms';

t.setTimeout(900_000);

function interop(onLine: (line: string) => void): Promise<readonly PeerResults[]> {
  return new Promise((resolve, reject) => {
    const argv = [MAIN, '--peer', 'frr', '--not', LEFT_OUT, '--json'];
    const child = spawn(process.execPath, argv, { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    child.stdout.on('data', (bytes: Buffer) => (output += bytes.toString()));
    child.stderr.on('data', (bytes: Buffer) => onLine(bytes.toString().trimEnd()));
    child.once('error', reject);
    child.once('close', () => {
      try {
        resolve(JSON.parse(output));
      } catch (cause) {
        reject(new Error('no results', { cause }));
      }
    });
  });
}

const skip = noNamespaces || (!hasMacvlan() && noVm());
void t.test("FRR's vrrpd and a director, each in each role", { skip, timeout: 900_000 }, async (t) => {
  const all = await interop((line) => t.comment(line));
  const results = all.flatMap((one) => one.results);
  const wanted = CASES.map(caseName).filter((name) => name.startsWith('frr') && !name.includes(LEFT_OUT));
  t.strictSame(
    results.map((result) => caseName(result.case)),
    wanted,
  );
  for (const result of results) {
    t.equal(result.failure, undefined, caseName(result.case));
    t.strictSame(result.complaints, []);
  }
});
