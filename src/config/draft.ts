/**
 * What of a file holds, though other parts of it may be wrong: typed as the validated file, with defaults filled in, and
 * undefined in every place whose value is missing or not what the schema takes.
 */
import * as z from 'zod';
import { isMapping } from '../util/mapping.js';

type Plain = string | number | boolean | null | undefined;

export type Draft<T> = T extends Plain
  ? T
  : T extends readonly (infer Item)[]
    ? readonly (Draft<Item> | undefined)[]
    : { readonly [Key in keyof T]?: Draft<T[Key]> | undefined };

/** `written` as `plainValue` gives it. Undefined when it is of another kind than the schema's. */
export function draftOf<Schema extends z.core.$ZodType>(
  schema: Schema,
  written: unknown,
): Draft<z.output<Schema>> | undefined {
  return read(schema, written) as Draft<z.output<Schema>> | undefined;
}

function read(schema: z.core.$ZodType, written: unknown): unknown {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  switch (def.type) {
    case 'optional':
      return written === undefined ? undefined : read(def.innerType, written);
    case 'default':
      return written === undefined ? def.defaultValue : read(def.innerType, written);
    case 'object':
      return isMapping(written) ? mapped(Object.entries(def.shape), written) : undefined;
    case 'record': {
      const { valueType } = def;
      if (!isMapping(written)) return undefined;
      return mapped(
        Object.keys(written).map((key) => [key, valueType]),
        written,
      );
    }
    case 'array':
      return Array.isArray(written) ? written.map((item) => read(def.element, item)) : undefined;
    case 'union':
      return readUnion(schema, def.options, written);
    default:
      return whole(schema, written);
  }
}

function mapped(
  fields: readonly (readonly [key: string, schema: z.core.$ZodType])[],
  written: Readonly<Record<string, unknown>>,
): object {
  const draft: Record<string, unknown> = Object.create(null);
  for (const [key, schema] of fields) draft[key] = read(schema, written[key]);
  return draft;
}

/** One that takes all of it, or else what holds of the one mapping that a union has. */
function readUnion(schema: z.core.$ZodType, options: readonly z.core.$ZodType[], written: unknown): unknown {
  const taken = whole(schema, written);
  if (taken !== undefined || !isMapping(written)) return taken;
  const mapping = options.find((option) => ['object', 'record'].includes(option._zod.def.type));
  return mapping && read(mapping, written);
}

function whole(schema: z.core.$ZodType, written: unknown): unknown {
  const parsed = z.safeParse(schema, written);
  return parsed.success ? parsed.data : undefined;
}
