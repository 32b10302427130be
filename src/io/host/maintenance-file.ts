/** Which instances stay in maintenance across a restart and a reboot, as one JSON file. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { MaintenanceFile } from '../../runtime/ports.js';
import { BoundedLooks } from './bounded-looks.js';
import { readJson, writeJson } from './json-file.js';

export const STATE_DIRECTORY = '/var/lib/lvs-director';
const FILE_NAME = 'maintenance.json';
/** For one operation of the file: its file system may hang. */
const LIMIT_MS = 2000;

async function read(path: string): Promise<readonly string[]> {
  const { instances } = await readJson(path);
  if (!Array.isArray(instances)) throw new TypeError('it has no list of instances');
  return instances.filter((name) => typeof name === 'string');
}

async function write(path: string, instances: readonly string[]): Promise<void> {
  if (instances.length === 0) return rm(path, { force: true });
  return writeJson(path, { instances }, { lasting: true });
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
          await write(path, instances);
          // It was told to have failed, so it must not last.
          if (late) await write(path, held);
          return instances;
        });
      } catch (error) {
        late = true;
        throw error;
      }
    },
  };
}
