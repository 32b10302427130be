/** What the checks across values share. */
import { type Cursor, field, type Path, type RawFault, textOf } from './cursor.js';
import { quote } from './yaml.js';

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

/** Reports each text that stood before, in whatever place. */
export function checkUnique(places: readonly (Cursor | undefined)[], what: string, report: Report): void {
  const seen = new Set<string>();
  for (const place of places) {
    const text = textOf(place);
    if (place === undefined || text === undefined) continue;
    if (seen.has(text)) report(place, () => `there is already ${what} ${quote(text)}`);
    seen.add(text);
  }
}

/** The address of an entry under `addresses`, the prefix length left out. */
export function addressOf(entry: Cursor): string | undefined {
  return (textOf(entry) ?? textOf(field(entry, 'address')))?.split('/')[0];
}
