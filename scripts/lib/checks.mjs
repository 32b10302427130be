// Types, lint and format, side by side.
import { join } from 'node:path';
import { PROJECT } from './build.mjs';
import { runQuietly, say, step } from './progress.mjs';

const CHECKS = [
  { name: 'types', command: 'tsc', args: ['--noEmit', '-p', '.'] },
  { name: 'lint', command: 'oxlint', args: ['--quiet'] },
  { name: 'format', command: 'biome', args: ['check', '.'] },
];

/** Returns the exit status. */
export async function runChecks() {
  const results = await step('types, lint, format', () =>
    Promise.all(
      CHECKS.map(async ({ name, command, args }) => {
        const path = join(PROJECT, 'node_modules', '.bin', command);
        return { name, ...(await runQuietly(path, args, { cwd: PROJECT })) };
      }),
    ),
  );
  for (const { name, status, output } of results) {
    if (status === 0) say(`${name}: ok`);
    else say(`${name}: failed\n${output.trim()}`);
  }
  return results.every(({ status }) => status === 0) ? 0 : 1;
}
