/** Text of a configuration file to what one director runs, or every fault with its place. */
import type { core } from 'zod';
import { isMapping } from '../util/mapping.js';
import { draftOf } from './draft.js';
import type { ConfigFault, ConfigResult } from './model.js';
import { nearest } from './nearest.js';
import { fieldAt, formatPath, MAX_FAULTS, type Path, placeAt, type RawFault } from './place.js';
import { resolveConfig } from './resolve/resolve.js';
import { type ConfigFile, fileSchema } from './schema/schema.js';
import { Section } from './section.js';
import { checkSemantics, type DirectorChoice, directorAmong, selectDirector } from './semantics/semantics.js';
import { plainValue, readYaml, type YamlNode } from './yaml.js';

/**
 * Reads and checks a whole configuration. Never throws for any text; faults come sorted by their place, lines and
 * columns count from 1, columns in UTF-16 units.
 */
export function parseConfig(text: string, director: DirectorChoice): ConfigResult {
  const { root, faults } = readYaml(text);
  const raw: RawFault[] = [...faults];
  if (root === undefined) return { ok: false, faults: locate(text, raw) };
  const written = plainValue(root);
  const parsed = fileSchema.safeParse(written);
  if (!parsed.success) {
    const issues = parsed.error.issues.slice(0, MAX_FAULTS + 1);
    raw.push(...withoutEchoes(issues.flatMap((issue) => issueFaults(root, issue, []))));
  }
  const draft = parsed.success ? parsed.data : draftOf(fileSchema, written);
  if (draft === undefined) return { ok: false, faults: locate(text, raw) };
  const file = new Section<ConfigFile>(draft, written);
  raw.push(...checkSemantics(file, root, director));
  const name = selectDirector(file, director);
  if (raw.length > 0 || !parsed.success || name === undefined)
    return { ok: false, faults: locate(text, raw) };
  return { ok: true, config: resolveConfig(parsed.data, name), written };
}

/** The key under `directors` that is meant by another choice, in a file that `parseConfig` took. */
export function chooseDirector(written: unknown, director: DirectorChoice): string | undefined {
  const directors = isMapping(written) ? written['directors'] : undefined;
  return directorAmong(isMapping(directors) ? Object.keys(directors) : [], director);
}

/** Words about places of a text that `parseConfig` took, each at the deepest place on its path that is there. */
export function locateIn(
  text: string,
  words: readonly { readonly path: Path; readonly message: string }[],
): readonly ConfigFault[] {
  const { root } = readYaml(text);
  if (root === undefined) return [];
  return locate(
    text,
    words.map(({ path, message }) => {
      const place = placeAt(root, path);
      return { path: place.path, offset: place.offset, message };
    }),
  );
}

/** Unknown keys of one mapping that are compared with its missing ones. */
const MAX_TYPOS = 16;

interface IssueFault extends RawFault {
  readonly kind: 'missing' | 'unknown' | 'wrong';
}

/** A zod issue as faults: one for each unknown key, and those of the branch of a union that was meant. */
function issueFaults(root: YamlNode, issue: core.$ZodIssue, outer: readonly PropertyKey[]): IssueFault[] {
  const path = [...outer, ...issue.path].map((step) => (typeof step === 'number' ? step : String(step)));
  const place = placeAt(root, path);
  if (issue.code === 'unrecognized_keys') {
    const messages = issue.message.split('\n');
    return issue.keys.slice(0, MAX_FAULTS + 1).map((key, index) => ({
      kind: 'unknown',
      path: [...path, key],
      offset: fieldAt(place, key)?.keyOffset ?? place.offset,
      message: messages[index] ?? 'unknown key',
    }));
  }
  if (issue.code === 'invalid_union') {
    const meant = issue.errors.find((issues) => !issues.some(isWrongKind));
    if (meant !== undefined) return meant.flatMap((inner) => issueFaults(root, inner, path));
  }
  if (issue.code === 'invalid_key') {
    const message = issue.issues[0]?.message ?? issue.message;
    return [{ kind: 'wrong', path, offset: place.keyOffset ?? place.offset, message }];
  }
  const kind = place.path.length < path.length ? 'missing' : 'wrong';
  return [{ kind, path, offset: place.offset, message: issue.message }];
}

/** A mistyped key is one fault: that the right one is missing goes without saying. */
function withoutEchoes(faults: readonly IssueFault[]): RawFault[] {
  const unknown = new Map<string, string[]>();
  for (const { kind, path } of faults) {
    if (kind !== 'unknown') continue;
    const parent = formatPath(path.slice(0, -1));
    unknown.set(parent, [...(unknown.get(parent) ?? []).slice(-MAX_TYPOS), String(path.at(-1))]);
  }
  return faults.filter(({ kind, path }) => {
    if (kind !== 'missing') return true;
    const typos = unknown.get(formatPath(path.slice(0, -1))) ?? [];
    return !typos.some((typo) => nearest(typo, [String(path.at(-1))]) !== undefined);
  });
}

function isWrongKind(issue: core.$ZodIssue): boolean {
  return issue.code === 'invalid_type' && issue.path.length === 0;
}

/** Counts offsets into lines and columns, sorts, and leaves out what is said twice. */
function locate(text: string, raw: readonly RawFault[]): ConfigFault[] {
  const lines = lineStarts(text);
  const sorted = raw.toSorted((a, b) => a.offset - b.offset);
  const faults: ConfigFault[] = [];
  const seen = new Set<string>();
  for (const { path, offset, message, otherOffset } of sorted) {
    if (faults.length === MAX_FAULTS) {
      faults.push({
        ...position(lines, offset),
        path: '',
        message: `there are more faults than these ${MAX_FAULTS}`,
      });
      break;
    }
    const elsewhere = otherOffset === undefined ? '' : ` (line ${position(lines, otherOffset).line})`;
    const fault = { ...position(lines, offset), path: formatPath(path), message: message + elsewhere };
    const identity = JSON.stringify(fault);
    if (seen.has(identity)) continue;
    seen.add(identity);
    faults.push(fault);
  }
  return faults;
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (const match of text.matchAll(/\r\n|\n|\r/g)) starts.push(match.index + match[0].length);
  return starts;
}

function position(starts: readonly number[], offset: number): { line: number; column: number } {
  let low = 0;
  let high = starts.length - 1;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((starts[middle] ?? 0) <= offset) low = middle;
    else high = middle - 1;
  }
  return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
}
