/** A copy of the product with one line of it changed, and the simulator beside it: for seeded bugs of the shell. */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type * as services from './services/history.js';
import type * as election from './simulator/run.js';

export interface Mutation {
  /** Below `src`, compiled. */
  readonly file: string;
  /** What stands there exactly once, and what is put in its place. */
  readonly from: string;
  readonly to: string;
}

/** What can be run over a changed product. */
interface Simulators {
  readonly election: typeof election;
  readonly services: typeof services;
}

const BUILT = fileURLToPath(new URL('../../', import.meta.url));
const PARTS = ['src', join('test', 'sim', 'simulator'), join('test', 'sim', 'services')];

/** Lets `use` run the simulators over the changed product; nothing of it stays. */
export async function withMutation<T>(
  { file, from, to }: Mutation,
  use: (simulators: Simulators) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'director-mutated-'));
  try {
    for (const part of PARTS) await cp(join(BUILT, part), join(folder, part), { recursive: true });
    await writeFile(join(folder, 'package.json'), '{ "type": "module" }\n');
    const path = join(folder, 'src', file);
    const parts = (await readFile(path, 'utf8')).split(from);
    if (parts.length !== 2)
      throw new Error(`${file} has '${from}' ${parts.length - 1} times, and once is wanted`);
    await writeFile(path, parts.join(to));
    const load = async (path: string) => import(pathToFileURL(join(folder, 'test', 'sim', path)).href);
    return await use({
      election: await load(join('simulator', 'run.js')),
      services: await load(join('services', 'history.js')),
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
