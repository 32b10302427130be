/** What the file says for each director: see semantics.ts. */
import { suggestion } from '../nearest.js';
import type { Path } from '../place.js';
import type { FileDirector } from '../schema/schema.js';
import type { FileInstance } from '../schema/schema-vrrp.js';
import type { Section } from '../section.js';
import { quote } from '../yaml.js';
import type { Report } from './report.js';

/** Names listed in one message. */
const MAX_LISTED = 20;

/** The hosts of the file; undefined where what is said of one is no mapping. */
export type Directors = ReadonlyMap<string, Section<FileDirector> | undefined>;

/** A value for all directors, or one for each. */
export type ForEach<T> = T | Readonly<Record<string, T>>;

export function listed(names: readonly string[]): string {
  return names.slice(0, MAX_LISTED).join(', ') + (names.length > MAX_LISTED ? ', ...' : '');
}

/** A mapping by director. */
interface ByDirector {
  readonly path: Path;
  readonly keys: readonly string[];
}

export function checkDirectorKeys({ path, keys }: ByDirector, directors: Directors, report: Report): void {
  for (const key of keys) {
    if (directors.has(key)) continue;
    const message = () => `no director is named ${quote(key)}${suggestion(key, directors.keys())}`;
    report([...path, key], message, { at: 'key' });
  }
}

/** A mapping by director has one value for each, and for nobody else. `what` such as `interface`. */
export function checkEach(
  section: Section<ForEach<string>> | undefined,
  what: string,
  directors: Directors,
  report: Report,
): void {
  if (section === undefined || typeof section.value === 'string') return;
  checkDirectorKeys(section, directors, report);
  const named = new Set(section.keys);
  const missing = [...directors.keys()].filter((name) => !named.has(name));
  if (missing.length === 0) return;
  report(section.path, () => `names no ${what} for ${listed(missing)}: every director needs one`);
}

/** The one of a director; undefined where it cannot be told. */
export function interfaceOf(
  section: Section<ForEach<string>> | undefined,
  director: string,
): string | undefined {
  const value = section?.value;
  return typeof value === 'object' ? value[director] : value;
}

/** That of an instance on a director; undefined where it cannot be told. */
export function priorityOf(
  instance: Section<FileInstance>,
  director: string,
  directors: Directors,
): number | undefined {
  return instance.value.priority?.[director] ?? directors.get(director)?.value.priority;
}
