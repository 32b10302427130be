/** Which instances stay in maintenance across a restart and a reboot, as one JSON file. */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { MaintenanceFile } from '../../runtime/ports.js';
import { BoundedLooks } from './bounded-looks.js';

export const STATE_DIRECTORY = '/var/lib/lvs-director';
const FILE_NAME = 'maintenance.json';
const VERSION = 1;
/** For one operation of the file: its file system may hang. */
const LIMIT_MS = 2000;

async function read(path: string): Promise<readonly string[]> {
  const content: unknown = JSON.parse(await readFile(path, 'utf8'));
  if (typeof content !== 'object' || content === null) throw new TypeError('it is no object');
  const { version, instances } = content as { version?: unknown; instances?: unknown };
  if (version !== VERSION || !Array.isArray(instances))
    throw new TypeError(`it is not of version ${VERSION}`);
  return instances.filter((name) => typeof name === 'string');
}

async function write(directory: string, path: string, instances: readonly string[]): Promise<void> {
  if (instances.length === 0) return rm(path, { force: true });
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const text = `${JSON.stringify({ version: VERSION, instances }, undefined, 2)}\n`;
  await writeFile(`${path}.new`, text, { mode: 0o600, flush: true });
  await rename(`${path}.new`, path);
}

/**
 * A missing file is empty; so is one that is damaged or does not come, after `onDamaged` was told why. Saves are atomic. To be
 * called one after the other.
 */
export function openMaintenanceFile(
  directory: string,
  onDamaged: (path: string, reason: Error) => void,
  limitMs: number = LIMIT_MS,
): MaintenanceFile {
  const path = join(directory, FILE_NAME);
  const looks = new BoundedLooks<readonly string[]>(1, limitMs);
  /** As it was last read or written in time. */
  let held: readonly string[] = [];
  const inTime = async (work: () => Promise<readonly string[]>): Promise<void> => {
    const look = await looks.look(path, work);
    if (look.type === 'late') throw new Error(look.reason);
    held = look.value;
  };
  return {
    load: async () => {
      try {
        await inTime(() => read(path));
      } catch (error) {
        const reason = error instanceof Error ? error : new Error(String(error));
        if (!('code' in reason && reason.code === 'ENOENT')) onDamaged(path, reason);
        held = [];
      }
      return held;
    },
    save: async (instances) => {
      let late = false;
      try {
        await inTime(async () => {
          await write(directory, path, instances);
          // It was told to have failed, so it must not last.
          if (late) await write(directory, path, held);
          return instances;
        });
      } catch (error) {
        late = true;
        throw error;
      }
    },
  };
}
