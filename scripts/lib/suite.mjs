// Runs the compiled tests with tap and counts what came out.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { filesBelow, PROJECT } from './build.mjs';
import { say } from './progress.mjs';
import { tally } from './tally.mjs';

/** A VM takes a whole core and its memory: those tests run one after another, and have time. */
const STAGES = [
  { folders: ['unit', 'property', 'sim', 'net'], jobs: 2, timeoutSeconds: 180 },
  { folders: ['vm'], jobs: 1, timeoutSeconds: 900 },
];

/** Runs all tests, or those whose path holds one of `filters`. Returns the exit status. */
export async function runSuite(filters, judgesFolder) {
  const work = mkdtempSync(join(tmpdir(), 'lvs-director-test-'));
  const total = { passed: 0, failed: 0, skips: [] };
  let status = 0;
  try {
    for (const [index, stage] of STAGES.entries()) {
      const files = filesOf(stage, filters);
      if (files.length === 0) continue;
      say(`running ${files.length} test files: ${stage.folders.join(', ')}`);
      const output = join(work, `${index}.tap`);
      status = Math.max(status, await runTap(stage, files, output, judgesFolder));
      const counts = tally(readFileSync(output, 'utf8'));
      total.passed += counts.passed;
      total.failed += counts.failed;
      total.skips.push(...counts.skips);
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return report(total, status);
}

function filesOf(stage, filters) {
  const files = stage.folders.flatMap((folder) => filesBelow(`dist/test/${folder}`));
  const tests = files.filter((file) => file.endsWith('.test.js'));
  return filters.length === 0
    ? tests
    : tests.filter((file) => filters.some((filter) => file.includes(filter)));
}

function runTap(stage, files, output, judgesFolder) {
  const options = [`--jobs=${stage.jobs}`, `--timeout=${stage.timeoutSeconds}`, `--output-file=${output}`];
  const reporter = process.stdout.isTTY === true ? [] : ['--reporter=terse', '--no-color'];
  const env = {
    ...process.env,
    PATH: [process.env.PATH ?? '', '/usr/sbin', '/sbin', judgesFolder].join(delimiter),
  };
  const tap = join(PROJECT, 'node_modules', '.bin', 'tap');
  return new Promise((resolve) => {
    const child = spawn(tap, ['run', ...options, ...reporter, ...files], {
      cwd: PROJECT,
      env,
      stdio: 'inherit',
    });
    child.once('error', (error) => {
      say(`cannot start tap: ${error.message}`);
      resolve(1);
    });
    child.once('close', (code) => resolve(code ?? 1));
  });
}

/** Where nothing stands in the way of a test, as root or in CI, a skipped one is a test that nobody ran. */
function report(total, tapStatus) {
  const strict = process.env.CI === 'true' || process.geteuid() === 0;
  for (const words of total.skips) console.log(`skipped: ${words}`);
  if (strict && total.skips.length > 0)
    console.log('skipped tests count as a failure as root or with CI=true');
  if (total.passed + total.failed === 0) console.log('no test ran');
  const skipped = total.skips.length > 0 ? `, ${total.skips.length} skipped` : '';
  const bad = total.failed > 0 || total.passed === 0 || tapStatus !== 0 || (strict && total.skips.length > 0);
  console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
  return bad ? 1 : 0;
}
