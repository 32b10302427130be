// Runs the compiled tests, each file by Node alone, and counts what came out: tap(1) takes longer to load for a file than most
// of them run.
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { filesBelow, PROJECT } from './build.mjs';
import { say } from './progress.mjs';
import { tally } from './tally.mjs';

/** A VM takes a whole core and its memory: those tests run one after another, and have time. */
const STAGES = [
  { folders: ['unit', 'property', 'sim', 'net'], jobs: 2, timeoutSeconds: 600 },
  { folders: ['vm'], jobs: 1, timeoutSeconds: 1800 },
];

/** What needs neither root nor the programs of others. The simulator's hours are for those who wait. */
const QUICK = [{ folders: ['unit', 'property'], jobs: availableParallelism(), timeoutSeconds: 600 }];

/** Files that run when all do, or when they are named: an everyday run is over in less than half an hour without them. */
const LONG = '.long.test.js';

/** Of one failure's diagnostics; the whole is in what `node dist/test/...` prints. */
const DIAGNOSTIC_LINES = 40;

/** Processes of test files. */
const running = new Set();

/** Who ends this process alone, and not its whole group as a terminal does, ends the tests too. */
function endTogether() {
  for (const signal of ['SIGTERM', 'SIGHUP']) {
    process.once(signal, () => {
      for (const child of running) child.kill(signal);
      process.kill(process.pid, signal);
    });
  }
}

/** Runs the everyday tests, or all whose path holds one of `filters`. Returns the exit status. */
export function runSuite(filters) {
  return runStages(STAGES, filters.length === 0 ? isEveryday : holding(filters));
}

/** Runs all tests there are. */
export function runWhole() {
  return runStages(STAGES, () => true);
}

/** Runs the quick ones, or those of them whose path holds one of `filters`. */
export function runQuickly(filters) {
  return runStages(QUICK, filters.length === 0 ? isEveryday : holding(filters));
}

const isEveryday = (file) => !file.endsWith(LONG);

function holding(filters) {
  return (file) => filters.some((filter) => file.includes(filter));
}

async function runStages(stages, isChosen) {
  endTogether();
  const total = { passed: 0, failed: 0, skips: [], failures: [] };
  for (const stage of stages) {
    const all = filesOf(stage);
    const files = all.filter(isChosen);
    if (files.length === 0) continue;
    const left = isChosen === isEveryday ? all.length - files.length : 0;
    const word = left > 0 ? `, without ${left} long ones ('npm test -- --whole' runs them)` : '';
    say(`running ${files.length} test files of ${stage.folders.join(', ')}${word}`);
    const waiting = files[Symbol.iterator]();
    const worker = async () => {
      for (const file of waiting) add(total, await runFile(file, stage.timeoutSeconds));
    };
    await Promise.all(Array.from({ length: stage.jobs }, worker));
  }
  return report(total);
}

/** What one file has to say, which is at least one failure when its process failed, or said nothing. */
function runFile(file, timeoutSeconds) {
  const startedMs = performance.now();
  return new Promise((resolve) => {
    const child = spawn(process.execPath, [file], {
      cwd: PROJECT,
      // Or each test in it has half a minute.
      env: { ...process.env, TAP_TIMEOUT: String(timeoutSeconds) },
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: timeoutSeconds * 1000,
    });
    running.add(child);
    const parts = [];
    child.stdout.on('data', (part) => parts.push(part));
    const ended = (how) => {
      running.delete(child);
      const counts = tally(Buffer.concat(parts).toString());
      const isEmpty = counts.passed + counts.failed + counts.skips.length === 0;
      const isBad = how !== 0 || counts.failed > 0 || isEmpty;
      if (isBad && counts.failed === 0) {
        counts.failed = 1;
        counts.failures.push([`${file}: ${isEmpty ? 'it tested nothing and' : 'it'} ended with ${how}`]);
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

function filesOf({ folders }) {
  const files = folders.flatMap((folder) => filesBelow(`dist/test/${folder}`));
  return files.filter((file) => file.endsWith('.test.js'));
}

/** Where nothing stands in the way of a test, as root or in CI, a skipped one is a test that nobody ran. */
function report(total) {
  const strict = process.env.CI === 'true' || process.geteuid() === 0;
  for (const [name, ...diagnostics] of total.failures) {
    console.log([`\nfailed: ${name}`, ...diagnostics.slice(0, DIAGNOSTIC_LINES)].join('\n'));
  }
  for (const words of total.skips) console.log(`skipped: ${words}`);
  if (strict && total.skips.length > 0)
    console.log('skipped tests count as a failure as root or with CI=true');
  if (total.passed + total.failed === 0) console.log('no test ran');
  const skipped = total.skips.length > 0 ? `, ${total.skips.length} skipped` : '';
  const bad = total.failed > 0 || total.passed === 0 || (strict && total.skips.length > 0);
  console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
  return bad ? 1 : 0;
}
