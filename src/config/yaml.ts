/** YAML text into a tree of values that remembers where each node stands. */

import {
  boolCoreTag,
  EVENT_ID,
  type Event,
  floatCoreTag,
  getScalarValue,
  intCoreTag,
  NOT_RESOLVED,
  nullCoreTag,
  parseEvents,
  SCALAR_STYLE,
  type ScalarEvent,
  YAMLException,
} from 'js-yaml';
import { messageOf } from '../util/error-message.js';

/** Characters of text. A pair with 40,000 real servers needs about 3 million. */
export const MAX_TEXT_LENGTH = 8 * 1024 * 1024;
/** Levels of nesting, those behind an alias included; the format needs eight. */
export const MAX_DEPTH = 32;
/** Nodes, those behind an alias counted at each use: aliases of aliases grow without bound otherwise. */
export const MAX_NODES = 1_000_000;

export type Scalar = string | number | boolean | null;

export interface YamlEntry {
  readonly key: string;
  /** Offset of the key's first character. */
  readonly keyOffset: number;
  readonly value: YamlNode;
}

/** `offset` is that of the node's first character, -1 for a value that was left empty. */
export type YamlNode =
  | { readonly kind: 'scalar'; readonly offset: number; readonly value: Scalar }
  | { readonly kind: 'sequence'; readonly offset: number; readonly items: readonly YamlNode[] }
  | { readonly kind: 'mapping'; readonly offset: number; readonly entries: readonly YamlEntry[] };

/** A fault of the text itself. `path` leads to the node that holds it. */
export interface YamlFault {
  readonly offset: number;
  readonly path: readonly (string | number)[];
  readonly message: string;
}

export interface YamlDocument {
  /** Undefined when the text has no readable document. */
  readonly root: YamlNode | undefined;
  readonly faults: readonly YamlFault[];
}

const PLAIN_TAGS = [nullCoreTag, boolCoreTag, intCoreTag, floatCoreTag];

/** How what is not plain text begins in the core schema (YAML 1.2.2 section 10.3.2). */
const MAY_BE_TAGGED = /^(?:$|[-+.~0-9nNtTfF])/;

/** Reads one document. Never throws; what cannot be read is a fault. */
export function readYaml(text: string): YamlDocument {
  if (text.length > MAX_TEXT_LENGTH) {
    return broken(0, `the file is too long: at most ${MAX_TEXT_LENGTH} characters are read`);
  }
  try {
    const events = parseEvents(text, { maxDepth: MAX_DEPTH });
    return new TreeBuilder(text, events).build();
  } catch (error) {
    if (error instanceof YAMLException) {
      return broken(Math.min(error.mark?.position ?? 0, text.length), `not valid YAML: ${error.reason}`);
    }
    return broken(0, `not readable as YAML: ${messageOf(error)}`);
  }
}

/** The plain value of a node; mappings have no prototype, so that no key of the file meets one. */
export function plainValue(node: YamlNode): unknown {
  switch (node.kind) {
    case 'scalar':
      return node.value;
    case 'sequence':
      return node.items.map(plainValue);
    case 'mapping': {
      const object: Record<string, unknown> = Object.create(null);
      for (const { key, value } of node.entries) object[key] = plainValue(value);
      return object;
    }
  }
}

function broken(offset: number, message: string): YamlDocument {
  return { root: undefined, faults: [{ offset, path: [], message }] };
}

/** Stops the walk at the first fault that leaves no tree to go on with. */
class Unreadable extends Error {
  readonly code = 'ERR_CONFIG_YAML';
  readonly offset: number;
  constructor(offset: number, message: string) {
    super(message);
    this.offset = offset;
  }
}

interface Anchor {
  readonly node: YamlNode;
  readonly size: number;
  /** Levels below the node. */
  readonly height: number;
}

class TreeBuilder {
  readonly #text: string;
  readonly #events: readonly Event[];
  readonly #faults: YamlFault[] = [];
  readonly #anchors = new Map<string, Anchor>();
  #position = 0;
  #nodes = 0;
  /** Level of the deepest node below the one being read. */
  #deepest = 0;

  constructor(text: string, events: readonly Event[]) {
    this.#text = text;
    this.#events = events;
  }

  build(): YamlDocument {
    if (this.#events.length === 0) return broken(0, 'the file is empty: expected a configuration');
    const documents = this.#events.filter((event) => event.type === EVENT_ID.DOCUMENT).length;
    try {
      this.#position = 1;
      const root = this.#node([]);
      if (documents > 1) {
        const next = this.#nextDocumentOffset();
        this.#fault(next, [], `the file holds ${documents} YAML documents: expected one`);
      }
      if (root.kind === 'scalar' && root.value === null && root.offset < 0) {
        return broken(0, 'the file is empty: expected a configuration');
      }
      return { root, faults: this.#faults };
    } catch (error) {
      if (error instanceof Unreadable) return broken(error.offset, error.message);
      throw error;
    }
  }

  #fault(offset: number, path: readonly (string | number)[], message: string): void {
    this.#faults.push({ offset, path: [...path], message });
  }

  #nextDocumentOffset(): number {
    for (let index = this.#position; index < this.#events.length; index += 1) {
      const event = this.#events[index];
      if (event === undefined) continue;
      if (event.type === EVENT_ID.SCALAR && event.valueStart >= 0) return event.valueStart;
      if (event.type === EVENT_ID.MAPPING || event.type === EVENT_ID.SEQUENCE) return event.start;
    }
    return this.#text.length;
  }

  #node(path: (string | number)[]): YamlNode {
    const event = this.#events[this.#position];
    this.#position += 1;
    if (event === undefined || event.type === EVENT_ID.POP || event.type === EVENT_ID.DOCUMENT) {
      return { kind: 'scalar', offset: -1, value: null };
    }
    if (event.type === EVENT_ID.ALIAS) return this.#alias(event.anchorStart, event.anchorEnd, path.length);
    const before = this.#nodes;
    const deepestOutside = this.#deepest;
    this.#deepest = path.length;
    this.#count(1, event.type === EVENT_ID.SCALAR ? event.valueStart : event.start);
    const node = this.#own(event, path);
    if (event.tagStart >= 0) {
      const tag = this.#text.slice(event.tagStart, event.tagEnd);
      this.#fault(event.tagStart, path, `the YAML tag ${quote(tag)} is not supported: leave it out`);
    }
    if (event.anchorStart >= 0) {
      const name = this.#text.slice(event.anchorStart, event.anchorEnd);
      this.#anchors.set(name, { node, size: this.#nodes - before, height: this.#deepest - path.length });
    }
    this.#deepest = Math.max(this.#deepest, deepestOutside);
    return node;
  }

  #own(event: Exclude<Event, { type: 1 | 5 | 6 }>, path: (string | number)[]): YamlNode {
    if (event.type === EVENT_ID.SCALAR) return this.#scalar(event);
    if (event.type === EVENT_ID.MAPPING) return this.#mapping(event.start, path);
    const items: YamlNode[] = [];
    while (!this.#popped()) items.push(this.#below(path, items.length));
    return { kind: 'sequence', offset: event.start, items };
  }

  /** One path is led through the whole tree: a copy for each node would cost more than the node. */
  #below(path: (string | number)[], step: string | number): YamlNode {
    path.push(step);
    const node = this.#node(path);
    path.pop();
    return node;
  }

  #alias(start: number, end: number, level: number): YamlNode {
    const name = this.#text.slice(start, end);
    const anchor = this.#anchors.get(name);
    if (anchor === undefined) {
      throw new Unreadable(
        start,
        `the alias ${quote(`*${name}`)} names no anchor that is complete before it`,
      );
    }
    this.#count(anchor.size, start);
    const deepest = level + anchor.height;
    if (deepest > MAX_DEPTH) throw new Unreadable(start, `nested more than ${MAX_DEPTH} levels deep`);
    this.#deepest = Math.max(this.#deepest, deepest);
    return anchor.node;
  }

  #count(size: number, offset: number): void {
    this.#nodes += size;
    if (this.#nodes > MAX_NODES) {
      throw new Unreadable(Math.max(offset, 0), `the file holds more than ${MAX_NODES} values`);
    }
  }

  #popped(): boolean {
    const event = this.#events[this.#position];
    if (event !== undefined && event.type !== EVENT_ID.POP) return false;
    this.#position += 1;
    return true;
  }

  #scalar(event: ScalarEvent): YamlNode {
    const source = event.valueStart < 0 ? '' : getScalarValue(this.#text, event);
    const offset = firstCharacter(event);
    if (event.style !== SCALAR_STYLE.PLAIN || !MAY_BE_TAGGED.test(source))
      return { kind: 'scalar', offset, value: source };
    for (const tag of PLAIN_TAGS) {
      const value = tag.resolve(source, false, tag.tagName);
      if (value !== NOT_RESOLVED) return { kind: 'scalar', offset, value };
    }
    return { kind: 'scalar', offset, value: source };
  }

  #mapping(start: number, path: (string | number)[]): YamlNode {
    const entries: YamlEntry[] = [];
    const seen = new Set<string>();
    while (!this.#popped()) {
      const keyEvent = this.#events[this.#position];
      const scalar = keyEvent?.type === EVENT_ID.SCALAR && keyEvent.valueStart >= 0 ? keyEvent : undefined;
      const keyOffset = scalar === undefined ? start : firstCharacter(scalar);
      const key = scalar && getScalarValue(this.#text, scalar);
      this.#key(scalar, path);
      const value = key === undefined ? this.#node(path) : this.#below(path, key);
      if (key === undefined) {
        this.#fault(keyOffset, path, 'a key must be a plain word');
      } else if (key === '__proto__') {
        this.#fault(keyOffset, [...path, key], "unknown key '__proto__'");
      } else if (seen.has(key)) {
        this.#fault(keyOffset, [...path, key], `duplicate key ${quote(key)}: it may stand only once here`);
      } else {
        seen.add(key);
        entries.push({ key, keyOffset, value });
      }
    }
    return { kind: 'mapping', offset: start, entries };
  }

  /** Its text is known; whatever else it has is a fault. */
  #key(scalar: ScalarEvent | undefined, path: (string | number)[]): void {
    if (scalar === undefined || scalar.tagStart >= 0 || scalar.anchorStart >= 0) {
      this.#node(path);
      return;
    }
    this.#position += 1;
    this.#count(1, scalar.valueStart);
  }
}

/** A quoted value begins at its quotation mark, not behind it; -1 for one that was left empty. */
function firstCharacter({ style, valueStart }: ScalarEvent): number {
  const quoted = style === SCALAR_STYLE.SINGLE_QUOTED || style === SCALAR_STYLE.DOUBLE_QUOTED;
  return quoted ? valueStart - 1 : valueStart;
}

/** A word of the file as it stands in a message: short, on one line. */
export function quote(word: string): string {
  const limit = 60;
  const line = JSON.stringify(word.length > limit ? `${word.slice(0, limit)}...` : word).slice(1, -1);
  return `'${line.replaceAll('\\"', '"')}'`;
}
