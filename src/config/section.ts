/** A part of the file as the checks across values see it: what of it holds, what is written there, and the path to it. */
import { isMapping } from '../util/mapping.js';
import type { Draft } from './draft.js';
import type { Path } from './place.js';
import { quote } from './yaml.js';

type Mapping<T> = Exclude<T, string | number | boolean | null | undefined | readonly unknown[]>;
export type Key<T> = keyof Mapping<T> & string;
type Part<T, K extends Key<T>> = NonNullable<Mapping<T>[K]>;
type Item<T> = T extends readonly (infer One)[] ? NonNullable<One> : never;

export class Section<T> {
  readonly value: Draft<T>;
  readonly path: Path;
  readonly #written: unknown;

  constructor(value: Draft<T>, written: unknown, path: Path = []) {
    this.value = value;
    this.path = path;
    this.#written = written;
  }

  /** Undefined when what is written there is wrong, or nothing is and there is no default. */
  part<K extends Key<T>>(key: K): Section<Part<T, K>> | undefined {
    return this.#below<Part<T, K>>(isMapping(this.value) ? this.value[key] : undefined, this.#of(key), key);
  }

  /** The items of a list that hold. */
  each<K extends Key<T>>(key: K): readonly Section<Item<Part<T, K>>>[] {
    const list: unknown = isMapping(this.value) ? this.value[key] : undefined;
    if (!Array.isArray(list)) return [];
    const written = this.#of(key);
    return list.flatMap((item: unknown, index) => {
      const said: unknown = Array.isArray(written) ? written[index] : undefined;
      return this.#below<Item<Part<T, K>>>(item, said, key, index) ?? [];
    });
  }

  /** Whether the file says anything there, right or wrong. */
  has(key: Key<T>): boolean {
    return this.#of(key) !== undefined;
  }

  /** The keys of a mapping as they are written, in their order, those that nobody knows as well. */
  get keys(): readonly string[] {
    return isMapping(this.#written) ? Object.keys(this.#written) : [];
  }

  /** What is written under a key, when that is text: a wrong name is still the one that is meant elsewhere. */
  textOf(key: Key<T>): string | undefined {
    const written = this.#of(key);
    return typeof written === 'string' ? written : undefined;
  }

  /** As it is written, quoted for a message. */
  get said(): string {
    return quote(String(this.#written));
  }

  #of(key: string): unknown {
    return isMapping(this.#written) ? this.#written[key] : undefined;
  }

  #below<Below>(value: unknown, written: unknown, ...steps: Path): Section<Below> | undefined {
    if (value === undefined) return undefined;
    return new Section<Below>(value as Draft<Below>, written, [...this.path, ...steps]);
  }
}

/** The text itself where a union of a text and a mapping is a text. */
export function textSection<T>(section: Section<T | string>): Section<string> | undefined {
  return typeof section.value === 'string' ? (section as Section<string>) : undefined;
}
