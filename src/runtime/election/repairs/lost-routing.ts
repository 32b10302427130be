/** Whom a lost route or rule concerns. */
import type { LostRouting, RoutesAndRules } from '../../ports.js';

export function isConcernedBy({ routes, rules }: RoutesAndRules, lost: LostRouting): boolean {
  switch (lost.kind) {
    case 'route':
      return routes.some(
        ({ table, destination, prefixLength }) =>
          table === lost.table && destination === lost.destination && prefixLength === lost.prefixLength,
      );
    case 'rule':
      return rules.some(({ family, priority }) => family === lost.family && priority === lost.priority);
    case 'unknown':
      return routes.length + rules.length > 0;
  }
}
