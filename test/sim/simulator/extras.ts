/** What an episode may have beside what all have: each is drawn from numbers of its own, so that the rest stays as it is without. */
export const EXTRAS = ['regrouping', 'sources', 'virtual-mac', 'unicast', 'synced', 'bfd', 'bursts'] as const;
export type Extra = (typeof EXTRAS)[number];
