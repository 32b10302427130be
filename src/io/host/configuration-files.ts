/** Resolved configurations as JSON in the runtime directory: written by the loader, read by the services process. */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { DirectorConfig } from '../../config/model.js';

const NAME = /^configuration-[0-9a-f-]{36}\.json$/;
const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

/** Writes a new file for root alone; resolves with its path when all of it is there. A file that failed is removed. */
export async function writeConfiguration(runtimeDirectory: string, config: DirectorConfig): Promise<string> {
  await mkdir(runtimeDirectory, { recursive: true, mode: DIRECTORY_MODE });
  const path = join(runtimeDirectory, `configuration-${randomUUID()}.json`);
  const file = await open(path, 'wx', FILE_MODE);
  try {
    await file.writeFile(JSON.stringify(config));
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
  return path;
}

/** What JSON leaves out reads as undefined, which is what it was. */
export async function readConfiguration(path: string): Promise<DirectorConfig> {
  return JSON.parse(await readFile(path, 'utf8'));
}

/** Removes all but one: those of reloads that were refused, and of an earlier run. */
export async function keepConfiguration(runtimeDirectory: string, kept: string | undefined): Promise<void> {
  const names = (await readdir(runtimeDirectory)).filter((name) => NAME.test(name));
  const paths = names.map((name) => join(runtimeDirectory, name)).filter((path) => path !== kept);
  await Promise.all(paths.map((path) => rm(path, { force: true })));
}
