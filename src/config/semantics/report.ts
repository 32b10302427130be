/** What the checks across values share. */
import { suggestion } from '../nearest.js';
import { MAX_FAULTS, type Path, placeAt, type RawFault } from '../place.js';
import type { Section } from '../section.js';
import { quote, type YamlNode } from '../yaml.js';

interface Where {
  /** At the key of the path's end; otherwise at its value. */
  readonly at?: 'key';
  /** Another place that the message is about. */
  readonly other?: Path;
}

/** Tells of a fault at a path. The message is made only while there is room for it: finding a near word costs time. */
export type Report = (path: Path, message: () => string, where?: Where) => void;

/** Collects one fault more than are told, so that the excess shows. */
export function reportInto(faults: RawFault[], root: YamlNode): Report {
  return (path, message, { at, other } = {}) => {
    if (faults.length > MAX_FAULTS) return;
    const { offset, keyOffset } = placeAt(root, path);
    faults.push({
      path,
      offset: at === 'key' ? (keyOffset ?? offset) : offset,
      message: message(),
      otherOffset: other && placeAt(root, other).offset,
    });
  };
}

/** Reports each text that stood before, in whatever place. */
export function checkUnique(
  sections: readonly (Section<string> | undefined)[],
  what: string,
  report: Report,
): void {
  const seen = new Set<string>();
  for (const section of sections) {
    if (section === undefined) continue;
    const { value } = section;
    if (seen.has(value)) report(section.path, () => `there is already ${what} ${section.said}`);
    seen.add(value);
  }
}

/** Reports a name that is none of `known`, with the one that was meant. */
export function checkKnown(
  section: Section<string> | undefined,
  what: string,
  known: ReadonlySet<string>,
  report: Report,
): void {
  if (section === undefined || known.has(section.value)) return;
  const { value, path } = section;
  report(path, () => `no ${what} is named ${quote(value)}${suggestion(value, known)}`);
}

interface Named {
  textOf(key: 'name'): string | undefined;
}

/** What is written under `name`, right or wrong: who refers to it means this one. */
export function nameOf(section: Named): string {
  return section.textOf('name') ?? '';
}

export function namesOf(sections: readonly Named[]): ReadonlySet<string> {
  return new Set(sections.flatMap((section) => section.textOf('name') ?? []));
}

/** Reports a command that is no whole path. */
export function checkCommand(words: readonly Section<string>[], report: Report): void {
  const program = words.find(({ path }) => path.at(-1) === 0);
  if (program === undefined || program.value.startsWith('/')) return;
  report(
    program.path,
    () => `expected the whole path of the command, which begins with '/', not ${program.said}`,
  );
}
