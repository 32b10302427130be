/** What outlives the process, as one JSON file in a directory that a reboot empties. */
import { constants } from 'node:fs';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { PersistentState, StateFile } from '../runtime/ports.js';

export const RUNTIME_DIRECTORY = '/run/lvs-director';
const FILE_NAME = 'state.json';
const VERSION = 1;
const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

const EMPTY: PersistentState = { ownedServices: [], sysctls: {}, addresses: [] };

const stateSchema = z.object({
  version: z.literal(VERSION),
  ownedServices: z.array(z.string()),
  sysctls: z.record(z.string(), z.string()),
  addresses: z.array(
    z.object({
      address: z.union([z.ipv4(), z.ipv6()]),
      prefixLength: z.int().min(0).max(128),
      interface: z.string().min(1),
    }),
  ),
});

/**
 * State in `directory`/state.json. A missing file loads as empty; so does a damaged one, after `onDamaged` was
 * told why. Saves are atomic: a reader or a crash finds the old content or the new one. Saves follow one another in
 * the order of the calls.
 */
export function openStateFile(
  directory: string = RUNTIME_DIRECTORY,
  onDamaged: (path: string, reason: Error) => void = () => undefined,
): StateFile {
  const path = join(directory, FILE_NAME);
  let tail: Promise<unknown> = Promise.resolve();
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const turn = tail.then(work);
    tail = turn.catch(() => undefined);
    return turn;
  };
  return {
    load: () => inTurn(() => load(path, onDamaged)),
    save: (state) => inTurn(() => save(directory, path, state)),
    remove: () => inTurn(() => rm(path, { force: true })),
  };
}

async function load(
  path: string,
  onDamaged: (path: string, reason: Error) => void,
): Promise<PersistentState> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      return EMPTY;
    }
    throw error;
  }
  try {
    const { ownedServices, sysctls, addresses } = stateSchema.parse(JSON.parse(text));
    return { ownedServices, sysctls, addresses };
  } catch (error) {
    onDamaged(path, error instanceof Error ? error : new Error(String(error)));
    return EMPTY;
  }
}

async function save(directory: string, path: string, state: PersistentState): Promise<void> {
  await mkdir(directory, { recursive: true, mode: DIRECTORY_MODE });
  const temporary = `${path}.new`;
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants;
  const file = await open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, FILE_MODE);
  try {
    await file.writeFile(`${JSON.stringify({ version: VERSION, ...state }, undefined, 2)}\n`);
    await file.chmod(FILE_MODE);
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}
