import type { AddressFamily } from './ip-address.js';

/** What nft calls the header of a family. */
export function ipOf(family: AddressFamily): string {
  return family === 'ipv4' ? 'ip' : 'ip6';
}

/** Takes a table of nftables away, and is no fault where there is none: making it comes before deleting it. */
export function nftRemoval(table: string): string {
  return `table ${table}\ndelete table ${table}\n`;
}

/** One element of a set, as it is to be, in a table of the family `inet`. */
export interface SetElement {
  /** Without its family. */
  readonly table: string;
  readonly set: string;
  /** As long as the set's keys are. */
  readonly key: Uint8Array;
  /** How long it stays, in milliseconds, more than 0; for ever with Infinity. */
  readonly timeoutMs: number;
}
