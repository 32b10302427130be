/** What the checks across values share. */
import { canonicalAddress, parseHostAddress } from '../address.js';
import { type Cursor, field, type Path, type RawFault, textOf } from '../cursor.js';
import { suggestion } from '../nearest.js';
import { quote } from '../yaml.js';

/** Faults told of one file. */
export const MAX_FAULTS = 1000;

/** Tells of a fault at a place. The message is made only while there is room for it: finding a near word costs time. */
export type Report = (place: { readonly path: Path; readonly offset: number }, message: () => string) => void;

/** Collects one fault more than are told, so that the excess shows. */
export function reportInto(faults: RawFault[]): Report {
  return ({ path, offset }, message) => {
    if (faults.length <= MAX_FAULTS) faults.push({ path, offset, message: message() });
  };
}

/** Reports each text that stood before, in whatever place and in whatever spelling that `canonical` makes equal. */
export function checkUnique(
  places: readonly (Cursor | undefined)[],
  what: string,
  report: Report,
  canonical: (text: string) => string = (text) => text,
): void {
  const seen = new Set<string>();
  for (const place of places) {
    const text = textOf(place);
    if (place === undefined || text === undefined) continue;
    const key = canonical(text);
    if (seen.has(key)) report(place, () => `there is already ${what} ${quote(text)}`);
    seen.add(key);
  }
}

/** Reports a name that is none of `known`, with the one that was meant. */
export function checkKnown(
  place: Cursor | undefined,
  what: string,
  known: ReadonlySet<string>,
  report: Report,
): void {
  const name = textOf(place);
  if (place === undefined || name === undefined || known.has(name)) return;
  report(place, () => `no ${what} is named ${quote(name)}${suggestion(name, known)}`);
}

/** The texts under `name` of a list's items. */
export function namesOf(places: readonly Cursor[]): ReadonlySet<string> {
  return new Set(
    places.flatMap((place) => {
      const name = textOf(field(place, 'name'));
      return name === undefined ? [] : [name];
    }),
  );
}

/** The address of an entry under `addresses`, canonical, the prefix length left out; undefined when it is none. */
export function addressOf(entry: Cursor): string | undefined {
  const text = (textOf(entry) ?? textOf(field(entry, 'address')))?.split('/')[0];
  return text !== undefined && parseHostAddress(text).ok ? canonicalAddress(text) : undefined;
}
