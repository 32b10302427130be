// Runs the compiled tests with tap and counts what came out.
import { spawn } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { filesBelow, PROJECT } from './build.mjs';
import { say } from './progress.mjs';
import { tally } from './tally.mjs';

/** A VM takes a whole core and its memory: those tests run one after another, and have time. */
const STAGES = [
  { folders: ['unit', 'property', 'sim', 'net'], jobs: 2, timeoutSeconds: 600 },
  { folders: ['vm'], jobs: 1, timeoutSeconds: 1800 },
];

/** What needs neither root nor the programs of others. The simulator's hours are for those who wait. */
const QUICK_STAGES = [{ folders: ['unit', 'property'], jobs: 2, timeoutSeconds: 600 }];

/** Of one failure's diagnostics; the whole is in what `node dist/test/...` prints. */
const DIAGNOSTIC_LINES = 40;

/** Runs all tests, or those whose path holds one of `filters`; `quick`: the quick ones of them. Returns the exit status. */
export async function runSuite({ filters, quick = false, judgesFolder = '' }) {
  const total = { passed: 0, failed: 0, skips: [], failures: [] };
  let status = 0;
  for (const stage of quick ? QUICK_STAGES : STAGES) {
    const files = filesOf(stage, filters);
    if (files.length === 0) continue;
    say(`running ${files.length} test files of ${stage.folders.join(', ')}`);
    const tap = await runTap(stage, files, judgesFolder);
    status = Math.max(status, tap.status);
    const counts = tally(tap.output);
    total.passed += counts.passed;
    total.failed += counts.failed;
    total.skips.push(...counts.skips);
    total.failures.push(...counts.failures);
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

/** One line a file as it ends; the TAP itself is for the count. */
function runTap(stage, files, judgesFolder) {
  const options = [
    '--reporter=tap',
    '--no-color',
    `--jobs=${stage.jobs}`,
    `--timeout=${stage.timeoutSeconds}`,
  ];
  const env = {
    ...process.env,
    PATH: [process.env.PATH ?? '', '/usr/sbin', '/sbin', judgesFolder].filter(Boolean).join(delimiter),
  };
  const tap = join(PROJECT, 'node_modules', '.bin', 'tap');
  return new Promise((resolve) => {
    const child = spawn(tap, ['run', ...options, ...files], {
      cwd: PROJECT,
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const lines = [];
    createInterface({ input: child.stdout }).on('line', (line) => {
      lines.push(line);
      const file = /^(not )?ok \d+ - (.*?)( # time=([\d.]+)ms.*)?$/.exec(line);
      if (file === null) return;
      const seconds = file[4] === undefined ? '' : ` (${(Number(file[4]) / 1000).toFixed(1)} s)`;
      console.log(`${file[1] === undefined ? 'ok    ' : 'FAILED'} ${file[2]}${seconds}`);
    });
    child.once('error', (error) => {
      say(`cannot start tap: ${error.message}`);
      resolve({ status: 1, output: '' });
    });
    child.once('close', (code) => resolve({ status: code ?? 1, output: lines.join('\n') }));
  });
}

/** Where nothing stands in the way of a test, as root or in CI, a skipped one is a test that nobody ran. */
function report(total, tapStatus) {
  const strict = process.env.CI === 'true' || process.geteuid() === 0;
  for (const [name, ...diagnostics] of total.failures) {
    console.log([`\nfailed: ${name}`, ...diagnostics.slice(0, DIAGNOSTIC_LINES)].join('\n'));
  }
  for (const words of total.skips) console.log(`skipped: ${words}`);
  if (strict && total.skips.length > 0)
    console.log('skipped tests count as a failure as root or with CI=true');
  if (total.passed + total.failed === 0) console.log('no test ran');
  const skipped = total.skips.length > 0 ? `, ${total.skips.length} skipped` : '';
  const bad = total.failed > 0 || total.passed === 0 || tapStatus !== 0 || (strict && total.skips.length > 0);
  console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
  return bad ? 1 : 0;
}
