/** The report for people: one file without any external resource. Pure. */
import type { DrillReport } from './report.js';
import { tableText } from './report.js';

export function htmlReport(report: DrillReport): string {
  return `<!doctype html><pre>${tableText(report.scenarios)}</pre>`;
}
