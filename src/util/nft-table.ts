import type { AddressFamily } from './ip-address.js';

/** What nft calls the header of a family. */
export function ipOf(family: AddressFamily): string {
  return family === 'ipv4' ? 'ip' : 'ip6';
}

/** Takes a table of nftables away, and is no fault where there is none: making it comes before deleting it. */
export function nftRemoval(table: string): string {
  return `table ${table}\ndelete table ${table}\n`;
}
