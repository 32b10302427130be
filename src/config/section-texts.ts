/** What each top-level key of a file says, as text that is the same for the same content, to be compared between hosts. */
import { isMapping } from '../util/mapping.js';

/** `written` as `plainValue` gives it: defaults are not filled in, so that two releases agree on one file. */
export function sectionTexts(written: unknown): Readonly<Record<string, string>> {
  if (!isMapping(written)) return {};
  return Object.fromEntries(Object.entries(written).map(([key, value]) => [key, canonical(value)]));
}

/** JSON with the keys of every mapping sorted: their order says nothing. */
function canonical(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (!isMapping(value)) return JSON.stringify(value) ?? 'null';
  const keys = Object.keys(value).sort();
  return `{${keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key])}`).join(',')}}`;
}
