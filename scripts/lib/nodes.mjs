// Other versions of Node than the one that runs this, for the test that starts the service under each.
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cachedFolder } from './cache.mjs';
import { run, step } from './progress.mjs';

/** Of the npm package that has nothing but Node's binary. test/vm/systemd-unit-nodes.long.test.ts has the same majors. */
const VERSIONS = { 22: '22.23.3', 24: '24.18.1' };

/** The folders `node-22` and so on of the cache, with bin/node. */
export async function ensureNodes() {
  for (const [major, version] of Object.entries(VERSIONS)) {
    await cachedFolder(`node-${major}`, async (folder) => {
      const name = `node-linux-${process.arch}`;
      const options = ['--no-save', '--ignore-scripts', '--no-audit', '--no-fund', '--prefix', folder];
      await step(`fetching Node ${version} into the cache folder (about 70 MB, not installed)`, async () => {
        await run('npm', ['install', ...options, `${name}@${version}`]);
        await cp(join(folder, 'node_modules', name, 'bin'), join(folder, 'bin'), { recursive: true });
        await rm(join(folder, 'node_modules'), { recursive: true });
      });
    });
  }
}
