/** From a path through the file to the place of what stands there. */
import type { YamlNode } from './yaml.js';

export type Path = readonly (string | number)[];

export interface Place {
  readonly node: YamlNode;
  readonly path: Path;
  /** Start of a scalar or of a list item; a mapping, a list and an empty value point to their key. */
  readonly offset: number;
  /** Start of its key; undefined for the root and for an item of a list. */
  readonly keyOffset?: number | undefined;
}

/** Faults told of one file. */
export const MAX_FAULTS = 1000;

/** A fault not yet counted into line and column. */
export interface RawFault {
  readonly path: Path;
  readonly offset: number;
  readonly message: string;
  /** Of another place that the message is about: its line is told. */
  readonly otherOffset?: number | undefined;
}

/** The deepest place on the way along `path` that exists. */
export function placeAt(root: YamlNode, path: Path): Place {
  let place: Place = { node: root, path: [], offset: Math.max(root.offset, 0) };
  for (const step of path) {
    const next = typeof step === 'number' ? itemAt(place, step) : fieldAt(place, step);
    if (next === undefined) return place;
    place = next;
  }
  return place;
}

/** What stands under a key of a mapping; undefined for another kind of node. */
export function fieldAt({ node, path }: Place, key: string): Place | undefined {
  if (node.kind !== 'mapping') return undefined;
  const entry = node.entries.find((entry) => entry.key === key);
  if (entry === undefined) return undefined;
  const { keyOffset, value } = entry;
  const offset = value.kind === 'scalar' && value.offset >= 0 ? value.offset : keyOffset;
  return { node: value, path: [...path, key], offset, keyOffset };
}

function itemAt({ node, path, offset }: Place, index: number): Place | undefined {
  const item = node.kind === 'sequence' ? node.items[index] : undefined;
  if (item === undefined) return undefined;
  return { node: item, path: [...path, index], offset: item.offset >= 0 ? item.offset : offset };
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
