/** What the file says for each director: see semantics.ts. */
import { parseHostAddress } from '../address.js';
import { type Cursor, type Field, field, fields, numberOf, textOf } from '../cursor.js';
import type { AddressFamily } from '../model.js';
import { suggestion } from '../nearest.js';
import { DEFAULT_PRIORITY } from '../schema/schema.js';
import { quote } from '../yaml.js';
import type { Report } from './report.js';

/** Names listed in one message. */
const MAX_LISTED = 20;

/** The hosts of the file, each with its place under `directors`. */
export type Directors = ReadonlyMap<string, Cursor>;

export function listed(names: readonly string[]): string {
  return names.slice(0, MAX_LISTED).join(', ') + (names.length > MAX_LISTED ? ', ...' : '');
}

export function checkDirectorKeys(entries: readonly Field[], directors: Directors, report: Report): void {
  for (const entry of entries) {
    if (directors.has(entry.key)) continue;
    const place = { path: entry.path, offset: entry.keyOffset };
    report(place, () => `no director is named ${quote(entry.key)}${suggestion(entry.key, directors.keys())}`);
  }
}

/** A mapping by director has one value for each, and for nobody else. `what` such as `interface`. */
export function checkEach(
  place: Field | undefined,
  what: string,
  directors: Directors,
  report: Report,
): void {
  if (place?.node.kind !== 'mapping') return;
  const entries = fields(place);
  checkDirectorKeys(entries, directors, report);
  const named = new Set(entries.map((entry) => entry.key));
  const missing = [...directors.keys()].filter((name) => !named.has(name));
  if (missing.length > 0) {
    report(place, () => `names no ${what} for ${listed(missing)}: every director needs one`);
  }
}

/** The one of a director where `interface` is a text or a mapping; undefined where it cannot be told. */
export function interfaceOf(place: Cursor | undefined, director: string): string | undefined {
  return textOf(place) ?? textOf(field(place, director));
}

/** That of an instance on a director. */
export function priorityOf(instance: Cursor, director: string, directors: Directors): number {
  return (
    numberOf(field(field(instance, 'priority'), director)) ??
    numberOf(field(directors.get(director), 'priority')) ??
    DEFAULT_PRIORITY
  );
}

/** Undefined when the text is no address. */
export function familyOfText(text: string | undefined): AddressFamily | undefined {
  const parsed = text === undefined ? undefined : parseHostAddress(text);
  return parsed?.ok === true ? parsed.family : undefined;
}
