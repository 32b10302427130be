/** A place in the tree: the node, the path that leads there and the offset a fault about it points to. */
import type { YamlEntry, YamlNode } from './yaml.js';

export type Path = readonly (string | number)[];

export interface Cursor {
  readonly node: YamlNode;
  readonly path: Path;
  /** Start of a scalar or of a list item; a mapping, a list and an empty value point to their key. */
  readonly offset: number;
}

export interface Field extends Cursor {
  readonly key: string;
  readonly keyOffset: number;
}

/** A fault not yet counted into line and column. */
export interface RawFault {
  readonly path: Path;
  readonly offset: number;
  readonly message: string;
}

export function rootCursor(node: YamlNode): Cursor {
  return { node, path: [], offset: Math.max(node.offset, 0) };
}

/** The entries of a mapping; none for another kind of node. */
export function fields(cursor: Cursor | undefined): Field[] {
  if (cursor?.node.kind !== 'mapping') return [];
  return cursor.node.entries.map((entry) => fieldOf(cursor, entry));
}

export function field(cursor: Cursor | undefined, key: string): Field | undefined {
  if (cursor?.node.kind !== 'mapping') return undefined;
  const entry = cursor.node.entries.find((entry) => entry.key === key);
  return entry && fieldOf(cursor, entry);
}

function fieldOf(cursor: Cursor, { key, keyOffset, value }: YamlEntry): Field {
  const offset = value.kind === 'scalar' && value.offset >= 0 ? value.offset : keyOffset;
  return { node: value, path: [...cursor.path, key], offset, key, keyOffset };
}

/** The items of a list; none for another kind of node. */
export function items(cursor: Cursor | undefined): Cursor[] {
  if (cursor?.node.kind !== 'sequence') return [];
  return cursor.node.items.map((node, index) => ({
    node,
    path: [...cursor.path, index],
    offset: node.offset >= 0 ? node.offset : cursor.offset,
  }));
}

export function textOf(cursor: Cursor | undefined): string | undefined {
  return cursor?.node.kind === 'scalar' && typeof cursor.node.value === 'string'
    ? cursor.node.value
    : undefined;
}

export function numberOf(cursor: Cursor | undefined): number | undefined {
  return cursor?.node.kind === 'scalar' && typeof cursor.node.value === 'number'
    ? cursor.node.value
    : undefined;
}

export function booleanOf(cursor: Cursor | undefined): boolean | undefined {
  return cursor?.node.kind === 'scalar' && typeof cursor.node.value === 'boolean'
    ? cursor.node.value
    : undefined;
}

/** The deepest place on the way along `path` that exists. */
export function walk(root: Cursor, path: Path): Cursor {
  let cursor = root;
  for (const step of path) {
    const next = typeof step === 'number' ? itemAt(cursor, step) : field(cursor, step);
    if (next === undefined) return cursor;
    cursor = next;
  }
  return cursor;
}

function itemAt(cursor: Cursor, index: number): Cursor | undefined {
  const node = cursor.node.kind === 'sequence' ? cursor.node.items[index] : undefined;
  if (node === undefined) return undefined;
  return { node, path: [...cursor.path, index], offset: node.offset >= 0 ? node.offset : cursor.offset };
}

/** `vrrp.instances[0].priority`; a key that is no plain word stands quoted in brackets. */
export function formatPath(path: Path): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (/^[A-Za-z0-9_-]+$/.test(step)) text += text === '' ? step : `.${step}`;
    else text += `[${JSON.stringify(step)}]`;
  }
  return text;
}
