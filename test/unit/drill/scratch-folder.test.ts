import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { scratchFolder } from '../../../src/drill/lab/scratch-folder.js';

await t.test('a killed run leaves its folder no longer than until the next', async (t) => {
  const parent = t.testdir({});
  const { pid } = spawnSync('true');
  const dead = join(parent, `lvs-director-lab-${pid}-abc`);
  const stranger = join(parent, `lvs-director-${pid}-abc`);
  mkdirSync(join(dead, 'below'), { recursive: true });
  mkdirSync(stranger);
  const first = scratchFolder(parent);
  t.equal(statSync(first).mode & 0o777, 0o700);
  t.notOk(existsSync(dead));
  t.ok(existsSync(stranger));
  t.not(scratchFolder(parent), first);
  t.ok(existsSync(first), 'that of a living process stays');
});
