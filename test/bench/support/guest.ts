/** The VM of the drill for a bench: runs programs of test/bench/guest, which tell their results as lines of JSON. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startVm } from '../../../src/drill/vm/session.js';

export interface Guest {
  /** Runs a program to its end and says each result as it comes. Rejects with its words when it fails. */
  results<Result>(script: string, args: readonly string[], timeoutMs: number): Promise<Result[]>;
}

/** Progress, where `--json` does not look. */
export function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

/** `use` has a VM, of which nothing is left however that ends. */
export async function inGuest<T>(
  options: { readonly signal: AbortSignal; readonly memoryMiB?: number },
  use: (guest: Guest) => Promise<T>,
): Promise<T> {
  const outDir = mkdtempSync(join(tmpdir(), 'bench-guest-'));
  try {
    const vm = await startVm({ ...options, outDir, onProgress: say });
    try {
      return await use({
        results: async <Result>(script: string, args: readonly string[], timeoutMs: number) => {
          const results: Result[] = [];
          const onOutput = (line: string): void => {
            if (!line.startsWith('{"')) return;
            say(`  ${line}`);
            results.push(JSON.parse(line));
          };
          const command = ['node', `dist/test/bench/guest/${script}`, ...args];
          const { status, stderr } = await vm.run(command, { timeoutMs, onOutput });
          if (status !== 0) throw new Error(`the guest's program failed: ${stderr.trim()}`);
          return results;
        },
      });
    } finally {
      await vm.stop();
    }
  } finally {
    rmSync(outDir, { recursive: true, force: true });
  }
}
