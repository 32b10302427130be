/** The virtual MAC address and the accept filter on a kernel that surely has what they need. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { projectFolder, startVm } from '../../src/drill/vm/session.js';
import { noVm } from './no-vm.js';

t.setTimeout(900_000);
const RUN_MS = 400_000;

void t.test('tests of test/net, in the VM', { skip: noVm() }, async (t) => {
  const outDir = mkdtempSync(join(tmpdir(), 'virtual-mac-test-'));
  const vm = await startVm({ outDir, onProgress: (line) => t.comment(line) });
  t.teardown(async () => {
    await vm.stop();
    rmSync(outDir, { recursive: true, force: true });
  });
  for (const name of ['virtual-mac', 'accept-filter']) {
    await t.test(name, async (t) => {
      // tap keeps notes where it is started, and the project is read-only there.
      const command = ['node', join(projectFolder(), 'dist', 'test', 'net', `${name}.test.js`)];
      const { status, stdout } = await vm.run(command, { timeoutMs: RUN_MS, cwd: '/tmp' });
      t.equal(status, 0);
      t.notMatch(stdout, /# SKIP|^1\.\.0/m, 'nothing is left out');
      if (status !== 0) t.comment(stdout);
    });
  }
});
