/** Reloads while clients ask: no request fails, and what was removed ends in order. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { startVm } from '../../src/drill/vm/session.js';
import type { ReloadLoadReport } from './guest/reload-load.js';
import { noVm } from './no-vm.js';

t.setTimeout(900_000);

const SECONDS = 60;
/** New connections a second: what the emulated machine carries beside the reloads, unless others want its processors. */
const RATE = 150;
/** Of all that are made: a slow machine makes as many, in a longer time. */
const ENOUGH = 0.9 * SECONDS * RATE;

await t.test('thirteen reloads under load', { skip: noVm() }, async (t) => {
  const outDir = mkdtempSync(join(tmpdir(), 'reload-load-test-'));
  const vm = await startVm({ outDir, onProgress: (line) => t.comment(line) });
  t.teardown(async () => {
    await vm.stop();
    rmSync(outDir, { recursive: true, force: true });
  });
  const program = ['node', 'dist/test/vm/guest/reload-load.js', vm.outDir];
  const { status, stdout, stderr } = await vm.run([...program, String(SECONDS), String(RATE)], {
    onOutput: (line) => t.comment(line),
  });
  t.equal(status, 0, 'the guest program ran to its end', { said: stderr.split('\n').slice(-20) });
  if (status !== 0) {
    t.comment(stderr);
    t.comment(readFileSync(join(outDir, 'lb1.log'), 'utf8'));
    return;
  }
  const { asked, complaints, downloads, seconds, reloads, draining, table }: ReloadLoadReport =
    JSON.parse(stdout);
  t.comment(JSON.stringify(asked));
  t.equal(asked.failed, 0, `no request failed: ${complaints.join()}`);
  t.ok(seconds >= SECONDS && asked.made > ENOUGH, `${asked.made} requests in ${seconds} s`);
  t.equal(reloads, 13);
  t.match(draining, /^-a -t 192\.168\.1\.253:81 -r 10\.10\.10\.3:81 -m -w 0$/m, 'the removed one drains');
  t.strictSame(
    downloads.map(({ whole, end }) => [whole, end]),
    [
      [true, 'in order'],
      [true, 'in order'],
    ],
    'also the one from the real server that was removed',
  );
  t.match(table, /^-a -t 192\.168\.1\.253:80 -r 10\.10\.10\.2:80 -m -w 3$/m);
  t.match(table, /^-a -t 192\.168\.1\.253:80 -r 10\.10\.10\.3:81 -m -w 1$/m);
  // Connections that are over count for a while.
  t.notMatch(table, /10\.10\.10\.3:80 -m -w [1-9]/);
});
