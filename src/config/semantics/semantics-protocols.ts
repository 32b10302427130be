/** Checks across the values of health checks that speak a protocol. */
import type { FileHealthCheck } from '../schema/schema-checks.js';
import type { Section } from '../section.js';
import type { Report } from './report.js';

export function checkProtocols(check: Section<FileHealthCheck>, report: Report): void {
  for (const { keys, path } of check.part('tcp')?.each('script') ?? []) {
    // An unknown key is told as such, and most likely is one of the two, mistyped.
    if (keys.length === 1 || keys.some((key) => key !== 'expect' && key !== 'send')) continue;
    report(path, () => "expected either 'expect' or 'send'");
  }
}
