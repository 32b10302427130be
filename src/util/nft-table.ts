/** Takes a table of nftables away, and is no fault where there is none: making it comes before deleting it. */
export function nftRemoval(table: string): string {
  return `table ${table}\ndelete table ${table}\n`;
}
