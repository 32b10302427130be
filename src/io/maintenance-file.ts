/** Which instances stay in maintenance across a restart and a reboot, as one JSON file. */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MaintenanceFile } from '../runtime/ports.js';

export const STATE_DIRECTORY = '/var/lib/lvs-director';
const FILE_NAME = 'maintenance.json';
const VERSION = 1;

async function read(path: string): Promise<string[]> {
  const content: unknown = JSON.parse(await readFile(path, 'utf8'));
  if (typeof content !== 'object' || content === null) throw new TypeError('it is no object');
  const { version, instances } = content as { version?: unknown; instances?: unknown };
  if (version !== VERSION || !Array.isArray(instances))
    throw new TypeError(`it is not of version ${VERSION}`);
  return instances.filter((name) => typeof name === 'string');
}

/** A missing file is empty; so is a damaged one, after `onDamaged` was told why. Saves are atomic. */
export function openMaintenanceFile(
  directory: string,
  onDamaged: (path: string, reason: Error) => void,
): MaintenanceFile {
  const path = join(directory, FILE_NAME);
  return {
    load: async () => {
      try {
        return await read(path);
      } catch (error) {
        const reason = error instanceof Error ? error : new Error(String(error));
        if (!('code' in reason && reason.code === 'ENOENT')) onDamaged(path, reason);
        return [];
      }
    },
    save: async (instances) => {
      if (instances.length === 0) {
        return rm(path, { force: true });
      }
      await mkdir(directory, { recursive: true, mode: 0o700 });
      const text = `${JSON.stringify({ version: VERSION, instances }, undefined, 2)}\n`;
      await writeFile(`${path}.new`, text, { mode: 0o600, flush: true });
      await rename(`${path}.new`, path);
    },
  };
}
