// The cache folder: what is fetched once for all checkouts. src/drill/vm/lab-kernel.ts reads it.
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { StepError } from './progress.mjs';

const LOCK_WAIT_MS = 15 * 60_000;
const LOCK_RETRY_MS = 500;

export function cacheFolder() {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'lvs-director');
}

/** Runs `work` while no other process does so under the same lock file. A lock whose owner is gone is taken over. */
export async function withLock(file, work) {
  const giveUpMs = performance.now() + LOCK_WAIT_MS;
  while (!takeLock(file)) {
    if (performance.now() > giveUpMs)
      throw new StepError(`another run holds ${file}: remove it if none does`);
    await delay(LOCK_RETRY_MS);
  }
  try {
    return await work();
  } finally {
    rmSync(file, { force: true });
  }
}

function takeLock(file) {
  try {
    const descriptor = openSync(file, 'wx');
    writeSync(descriptor, String(process.pid));
    closeSync(descriptor);
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
    dropStaleLock(file);
    return false;
  }
}

function dropStaleLock(file) {
  let owner;
  try {
    owner = Number(readFileSync(file, 'utf8'));
  } catch {
    return;
  }
  // An empty file: its owner is between open and write.
  if (owner === 0 || isAlive(owner)) return;
  // Renamed first, so that of two who see it stale only one removes it, and never a fresh one of the other's.
  const aside = `${file}.${process.pid}`;
  try {
    renameSync(file, aside);
    if (Number(readFileSync(aside, 'utf8')) === owner) rmSync(aside);
    else renameSync(aside, file);
  } catch {
    // The other was faster.
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/**
 * Makes the folder `name` of the cache by `fill(temporaryFolder)`, once. It appears by a rename, so it is there
 * whole or not at all, also when this process dies half way or another does the same.
 */
export async function cachedFolder(name, fill) {
  const folder = join(cacheFolder(), name);
  if (existsSync(folder)) return folder;
  mkdirSync(cacheFolder(), { recursive: true });
  await withLock(`${folder}.lock`, async () => {
    if (existsSync(folder)) return;
    const temporary = mkdtempSync(`${folder}.new-`);
    try {
      await fill(temporary);
      renameSync(temporary, folder);
    } finally {
      rmSync(temporary, { recursive: true, force: true });
    }
  });
  return folder;
}
