/** What somebody else did to the table, in words. */
import type { IpvsOp } from './model.js';
import { serviceKeyText } from './plan.js';

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

/** Services that `ops` removes though they are none of ours, by their keys' text, but for those whose removal is a repair. */
export function foreignRemovals(
  ops: readonly IpvsOp[],
  repairs: readonly IpvsOp[],
  owned: ReadonlySet<string>,
): readonly string[] {
  const removedBy = (list: readonly IpvsOp[]): string[] =>
    list.flatMap((op) => (op.op === 'delete-service' ? [serviceKeyText(op.key)] : []));
  const repaired = new Set(removedBy(repairs));
  return removedBy(ops).filter((text) => !owned.has(text) && !repaired.has(text));
}
