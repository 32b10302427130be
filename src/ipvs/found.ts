/** What somebody else did to the table, in words. */
import type { IpvsOp } from './model.js';

const WORDS: Readonly<Record<IpvsOp['op'], readonly [what: string, how: string]>> = {
  'add-service': ['virtual server', 'gone'],
  'add-destination': ['real server', 'gone'],
  'edit-service': ['virtual server', 'changed'],
  'edit-destination': ['real server', 'changed'],
  'delete-service': ['virtual server', 'added'],
  'delete-destination': ['real server', 'added'],
};

/** From the changes that undo it, such as `2 virtual servers gone, 1 real server changed`. */
export function foundWords(repairs: readonly IpvsOp[]): string {
  const counts = new Map<IpvsOp['op'], number>();
  for (const { op } of repairs) counts.set(op, (counts.get(op) ?? 0) + 1);
  return [...counts]
    .map(([op, count]) => {
      const [what, how] = WORDS[op];
      return `${count} ${what}${count === 1 ? '' : 's'} ${how}`;
    })
    .join(', ');
}
