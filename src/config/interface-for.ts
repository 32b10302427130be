import type { FileInstance } from './schema/schema-vrrp.js';

/** Throws when a map leaves the director out, which semantics.ts has refused. */
export function interfaceFor(value: FileInstance['interface'], director: string): string {
  const name = typeof value === 'string' ? value : value[director];
  if (name === undefined) throw new Error(`invariant: no interface for director ${director}`);
  return name;
}
