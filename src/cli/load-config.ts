/** The configuration file for every command: where it is, whose part counts, and how its faults are told. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { hostname } from 'node:os';
import type { ConfigFault, ConfigResult } from '../config/model.js';
import type { DirectorChoice } from '../config/semantics/semantics.js';
import { endSoon } from '../io/host/memory.js';

export const DEFAULT_CONFIG_FILE = '/etc/lvs-director/director.yaml';
/** The configuration or the arguments are wrong. */
export const EXIT_CONFIG = 2;
/** A character takes up to four bytes of UTF-8. */
const MAX_CHARACTER_BYTES = 4;

/** Options that most commands share, for `parseArgs` of `node:util`. */
export const CONFIG_OPTIONS = {
  config: { type: 'string', short: 'c', default: DEFAULT_CONFIG_FILE },
  director: { type: 'string' },
  json: { type: 'boolean', default: false },
} as const;

/** Their text in a command's usage. */
export const CONFIG_OPTIONS_USAGE = `  -c, --config FILE   the configuration (default ${DEFAULT_CONFIG_FILE})
  --director NAME     whose part of it (default this host's name, also without its domain)
  --json              the answer as JSON
`;

/** What `parseArgs` gives for `CONFIG_OPTIONS`. */
export interface ConfigOptions {
  readonly config: string;
  readonly director?: string | undefined;
  /** Who reads the file again. */
  readonly current?: string | undefined;
}

/** `sha256`: of the file's text, in hexadecimal. */
export type GoodFile = Extract<ConfigResult, { ok: true }> & { readonly sha256: string };

/** `unreadable` is a sentence: the file could not be read at all. */
export type LoadResult =
  | GoodFile
  | Extract<ConfigResult, { ok: false }>
  | { readonly ok: false; readonly unreadable: string };

/** Loaded only when a file is to be read: `run` starts its services process before it pays for this. */
export async function readingParts() {
  endSoon();
  const [{ parseConfig }, { MAX_TEXT_LENGTH }] = await Promise.all([
    import('../config/parse.js'),
    import('../config/yaml.js'),
  ]);
  return { parseConfig, MAX_TEXT_LENGTH };
}

/** Reads and checks the file; prints nothing, never rejects. */
export async function readConfig(options: ConfigOptions): Promise<LoadResult> {
  const { parseConfig, MAX_TEXT_LENGTH } = await readingParts();
  let text: string;
  try {
    text = await readText(options.config, MAX_CHARACTER_BYTES * MAX_TEXT_LENGTH);
  } catch (error) {
    return { ok: false, unreadable: `cannot read the configuration ${options.config}: ${reason(error)}` };
  }
  const { director, current } = options;
  const choice = director === undefined ? { current, ...thisHost() } : { name: director };
  const result = parseConfig(text, choice);
  return result.ok ? { ...result, sha256: createHash('sha256').update(text).digest('hex') } : result;
}

/** Whose part of a file is meant where nobody is named. */
export function thisHost(): DirectorChoice & { readonly shortName: string | undefined } {
  const name = hostname();
  return { name, shortName: name.split('.')[0] };
}

/**
 * The configuration, or undefined after every fault has been printed to standard error: the command then returns
 * `EXIT_CONFIG`.
 */
export async function loadConfig(options: ConfigOptions): Promise<GoodFile | undefined> {
  const result = await readConfig(options);
  if (result.ok) return result;
  process.stderr.write(faultText(options.config, result));
  return undefined;
}

/** What goes to standard error for a file that is refused: one line a fault. */
export function faultText(file: string, result: Exclude<LoadResult, { ok: true }>): string {
  if ('unreadable' in result) return `director: ${result.unreadable}\n`;
  return result.faults.map((fault) => `${formatFault(file, fault)}\n`).join('');
}

/** `FILE:LINE:COLUMN: PATH: message`; without the path when the fault has none. */
export function formatFault(file: string, { line, column, path, message }: ConfigFault): string {
  return `${file}:${line}:${column}: ${path === '' ? '' : `${path}: `}${message}`;
}

/** UTF-8 text, read no further than the parser would look. */
async function readText(file: string, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of createReadStream(file, { end: maxBytes })) {
    if (chunk instanceof Buffer) chunks.push(chunk);
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks));
}

/** The kernel's words out of `ENOENT: no such file or directory, open 'x'`. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error instanceof TypeError) return 'it is not UTF-8 text';
  return /^[A-Z0-9]+: ([^,]+),/.exec(error.message)?.[1] ?? error.message;
}
