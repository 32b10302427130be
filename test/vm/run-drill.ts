/** `director drill` in the VM, as a test runs it. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { DrillReport } from '../../src/drill/report/report.js';
import { MAIN } from '../program.js';

/** New requests of a scenario with which it says something; how many a second there are is the machine's affair. */
export const ENOUGH_REQUESTS = 50;

/** Runs it to its end and asserts that it passed. The folder with its report is there as long as the test. */
export function runDrill(t: Test, options: readonly string[]): { report: DrillReport; outDir: string } {
  const outDir = mkdtempSync(join(tmpdir(), 'drill-test-'));
  t.teardown(() => rmSync(outDir, { recursive: true, force: true }));
  const args = [MAIN, 'drill', '--kernel', 'vm', ...options, '--out', outDir];
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
  t.comment(stdout);
  t.comment(stderr);
  const report = JSON.parse(readFileSync(join(outDir, 'report.json'), 'utf8')) as DrillReport;
  t.same(report.failures, []);
  t.equal(status === 0, report.passed, 'the exit status says what the report says');
  return { report, outDir };
}
