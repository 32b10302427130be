/** Resolved configurations as JSON in the runtime directory: written by the loader, read by the services process. */
import { randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, open, readdir, readFile, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { DirectorConfig } from '../../config/model.js';
import type { VirtualServer } from '../../config/model-servers.js';

const NAME = /^configuration-[0-9a-f-]{36}\.json$/;
const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

/** Writes a new file for root alone; resolves with its path when all of it is there. A file that failed is removed. */
export async function writeConfiguration(runtimeDirectory: string, config: DirectorConfig): Promise<string> {
  const path = join(runtimeDirectory, `configuration-${randomUUID()}.json`);
  await writeAt(path, config);
  return path;
}

/**
 * Writes it again where somebody removed it: the next services process would have nothing to read. Resolves with whether
 * he did.
 */
export async function restoreConfiguration(path: string, config: DirectorConfig): Promise<boolean> {
  if (existsSync(path)) return false;
  await writeAt(path, config);
  return true;
}

async function writeAt(path: string, config: DirectorConfig): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: DIRECTORY_MODE });
  const file = await open(path, 'wx', FILE_MODE);
  try {
    await file.writeFile(linesOf(config));
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  } finally {
    await file.close();
  }
}

/** A line for each virtual server, behind one for all else. */
function linesOf({ virtualServers, ...rest }: DirectorConfig): string {
  return [rest, ...virtualServers].map((part) => `${JSON.stringify(part)}\n`).join('');
}

/** What JSON leaves out reads as undefined, which is what it was. */
export async function readConfiguration(path: string): Promise<DirectorConfig> {
  return openConfigurationReader()(path);
}

interface Read {
  readonly path: string;
  readonly virtualServers: readonly VirtualServer[];
}

/**
 * Reads one configuration after the other. Virtual servers that the last one had as they are, but for a part in the middle that
 * differs, are its very objects: what is made of them need not be made again.
 */
export function openConfigurationReader(): (path: string) => Promise<DirectorConfig> {
  let last: Read | undefined;
  return async (path) => {
    const text = await readFile(path);
    // It is there until the new one is accepted; without it all is read anew.
    const before = last && (await readFile(last.path).catch(() => undefined));
    const starts = lineStarts(text);
    const count = starts.length - 2;
    const line = (index: number): string => text.toString('utf8', starts[index], starts[index + 1]);
    const { head, tail } =
      last === undefined || before === undefined
        ? { head: 0, tail: 0 }
        : commonLines(text, starts, before, lineStarts(before));
    const known = last?.virtualServers ?? [];
    const virtualServers: VirtualServer[] = known.slice(0, head);
    for (let index = head; index < count - tail; index += 1) virtualServers.push(JSON.parse(line(index + 1)));
    virtualServers.push(...known.slice(known.length - tail));
    last = { path, virtualServers };
    return { ...JSON.parse(line(0)), virtualServers };
  };
}

/** Of each line, and the end of the last one. */
function lineStarts(text: Buffer): number[] {
  const starts = [0];
  for (let at = text.indexOf('\n'); at >= 0; at = text.indexOf('\n', at + 1)) starts.push(at + 1);
  return starts;
}

/** Lines that two texts have in common behind the first one and before the end, no line counted twice. */
function commonLines(
  a: Buffer,
  aStarts: readonly number[],
  b: Buffer,
  bStarts: readonly number[],
): { readonly head: number; readonly tail: number } {
  const [aLines, bLines] = [aStarts.length - 1, bStarts.length - 1];
  const same = (i: number, j: number): boolean =>
    a.compare(b, bStarts[j], bStarts[j + 1], aStarts[i], aStarts[i + 1]) === 0;
  const most = Math.min(aLines, bLines) - 1;
  let head = 0;
  while (head < most && same(head + 1, head + 1)) head += 1;
  let tail = 0;
  while (tail < most - head && same(aLines - 1 - tail, bLines - 1 - tail)) tail += 1;
  return { head, tail };
}

/** Removes all but one: those of reloads that were refused, and of an earlier run. */
export async function keepConfiguration(runtimeDirectory: string, kept: string | undefined): Promise<void> {
  const names = (await readdir(runtimeDirectory)).filter((name) => NAME.test(name));
  const paths = names.map((name) => join(runtimeDirectory, name)).filter((path) => path !== kept);
  await Promise.all(paths.map((path) => rm(path, { force: true })));
}
