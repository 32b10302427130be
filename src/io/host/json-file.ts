/** A JSON file of ours: versioned, for root alone, and replaced as a whole. */
import { constants } from 'node:fs';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';

const VERSION = 1;
const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

export type Fields = Readonly<Record<string, unknown>>;

/** @throws TypeError for what is no object. */
export function record(value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new TypeError('an object is expected');
  }
  return Object.fromEntries(Object.entries(value));
}

/** Throws as readFile, and SyntaxError or TypeError for what `writeJson` has not written. */
export async function readJson(path: string): Promise<Fields> {
  const fields = record(JSON.parse(await readFile(path, 'utf8')));
  if (fields['version'] !== VERSION) throw new TypeError(`its version is not ${VERSION}`);
  return fields;
}

/**
 * A reader or a crash finds the old content or the new one; with `lasting` it is on the disk, too. Makes the directory,
 * and follows no link that somebody laid there.
 */
export async function writeJson(path: string, state: object, { lasting = false } = {}): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: DIRECTORY_MODE });
  const temporary = `${path}.new`;
  const { O_WRONLY, O_CREAT, O_TRUNC, O_NOFOLLOW } = constants;
  const file = await open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, FILE_MODE);
  try {
    await file.writeFile(`${JSON.stringify({ version: VERSION, ...state }, undefined, 2)}\n`);
    await file.chmod(FILE_MODE);
    if (lasting) await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
}
