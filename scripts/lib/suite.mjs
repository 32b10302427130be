// Runs the compiled tests with tap and counts what came out.
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
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
const QUICK = { folders: ['unit', 'property'], timeoutSeconds: 600 };

/** Of one failure's diagnostics; the whole is in what `node dist/test/...` prints. */
const DIAGNOSTIC_LINES = 40;

/** Runs all tests, or those whose path holds one of `filters`. Returns the exit status. */
export async function runSuite({ filters, judgesFolder }) {
  const total = { passed: 0, failed: 0, skips: [], failures: [] };
  let status = 0;
  for (const stage of STAGES) {
    const files = filesOf(stage, filters);
    if (files.length === 0) continue;
    say(`running ${files.length} test files of ${stage.folders.join(', ')}`);
    const tap = await runTap(stage, files, judgesFolder);
    status = Math.max(status, tap.status);
    add(total, tally(tap.output));
  }
  return report(total, status);
}

/**
 * Runs the quick ones, each by Node alone: tap(1) takes longer to load for each file than most of them run. Returns the
 * exit status.
 */
export async function runQuickly(filters) {
  const total = { passed: 0, failed: 0, skips: [], failures: [] };
  const files = filesOf(QUICK, filters);
  say(`running ${files.length} test files of ${QUICK.folders.join(', ')}`);
  const waiting = files[Symbol.iterator]();
  const worker = async () => {
    for (const file of waiting) add(total, await runFile(file));
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return report(total, 0);
}

/** What one file has to say, which is at least one failure when its process failed. */
function runFile(file) {
  const startedMs = performance.now();
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [file], {
      cwd: PROJECT,
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: QUICK.timeoutSeconds * 1000,
    });
    const parts = [];
    child.stdout.on('data', (part) => parts.push(part));
    const ended = (how) => {
      const counts = tally(Buffer.concat(parts).toString());
      const isBad = how !== 0 || counts.failed > 0;
      if (isBad && counts.failed === 0) {
        counts.failed = 1;
        counts.failures.push([`${file}: it ended with ${how}`]);
      }
      const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
      console.log(`${isBad ? 'FAILED' : 'ok    '} ${file} (${seconds} s)`);
      resolve(counts);
    };
    child.once('error', (error) => ended(error.message));
    child.once('close', (status, signal) => ended(status ?? signal));
  });
}

function add(total, { passed, failed, skips, failures }) {
  total.passed += passed;
  total.failed += failed;
  total.skips.push(...skips);
  total.failures.push(...failures);
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
    PATH: [process.env.PATH ?? '', '/usr/sbin', '/sbin', judgesFolder].join(delimiter),
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
