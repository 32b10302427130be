/** Draws files that differ in their groups: members come and go, groups are formed and dissolved, instances are renamed. */
import type { Random } from './random.js';
import type { Layout, Router } from './scenario.js';

/** Beside that of the start. */
const LAYOUTS = 4;
/** In a file that has some to spare. */
const MAX_MORE_ROUTERS = 3;
const MAX_GROUP_SIZE = 3;
/** In the kernels' bits and in what a host has to do at once. */
const MAX_ROUTERS = 6;

/** `groups` is the layout of the start; routers that it does not have come later. */
export function drawLayouts(
  random: Random,
  routers: readonly Router[],
  groups: readonly (readonly number[])[],
  segments: number,
): { routers: readonly Router[]; layouts: readonly [Layout, ...Layout[]] } {
  const more = Math.max(0, Math.min(random.whole(1, MAX_MORE_ROUTERS), MAX_ROUTERS - routers.length));
  const all = [...routers];
  for (let i = 0; i < more; i += 1) {
    const number = all.length;
    const addresses = Array.from({ length: random.whole(1, 3) }, (_, a) => `198.51.${number + 1}.${a + 1}`);
    all.push({ name: `r${number}`, segment: random.whole(0, segments - 1), addresses });
  }
  const first = { groups, names: all.map(({ name }) => name) };
  const layouts: [Layout, ...Layout[]] = [first];
  let last: Layout = first;
  for (let i = 0; i < LAYOUTS; i += 1) {
    last = changed(random, last, all);
    layouts.push(last);
  }
  return { routers: all, layouts };
}

function changed(random: Random, { groups, names }: Layout, routers: readonly Router[]): Layout {
  let changedGroups = groups.map((group) => [...group]);
  for (let i = random.whole(1, 3); i > 0; i -= 1) changedGroups = regrouped(random, changedGroups, routers);
  const isRenamed = random.chance(0.3) ? random.whole(0, routers.length - 1) : -1;
  return {
    groups: changedGroups,
    names: names.map((name, router) => (router === isRenamed ? otherName(name) : name)),
  };
}

function otherName(name: string): string {
  return name.endsWith('-renamed') ? name.slice(0, -'-renamed'.length) : `${name}-renamed`;
}

type Change = 'add' | 'remove' | 'dissolve' | 'form' | 'move';

function regrouped(random: Random, groups: readonly number[][], routers: readonly Router[]): number[][] {
  const change = random.pick<Change>(['add', 'remove', 'dissolve', 'form', 'move']);
  const at = random.whole(0, groups.length - 1);
  const group = groups[at] ?? [];
  const others = groups.filter((_, number) => number !== at);
  const beside = random.whole(0, Math.max(0, others.length - 1));
  switch (change) {
    case 'add': {
      const present = new Set(groups.flat());
      const absent = routers.map((_, number) => number).filter((number) => !present.has(number));
      const fresh = absent[random.whole(0, Math.max(0, absent.length - 1))];
      if (fresh === undefined) return [...groups];
      const joins = random.chance(0.7) && group.length < MAX_GROUP_SIZE;
      return joins ? [...others, [...group, fresh]] : [...groups, [fresh]];
    }
    case 'remove': {
      if (groups.flat().length === 1) return [...groups];
      const gone = random.whole(0, group.length - 1);
      return [...others, group.filter((_, number) => number !== gone)].filter(({ length }) => length > 0);
    }
    case 'dissolve':
      return [...others, ...group.map((router) => [router])];
    case 'form':
      return merged(others, beside, group);
    case 'move': {
      const gone = random.whole(0, group.length - 1);
      const rest = group.filter((_, number) => number !== gone);
      return [...(rest.length > 0 ? [rest] : []), ...merged(others, beside, group.slice(gone, gone + 1))];
    }
  }
}

/** `members` with another group; where that would be too large, beside it. */
function merged(groups: readonly number[][], at: number, members: readonly number[]): number[][] {
  const group = groups[at] ?? [];
  if (groups.length === 0 || group.length + members.length > MAX_GROUP_SIZE) return [...groups, [...members]];
  return groups.map((one, number) => (number === at ? [...one, ...members] : one));
}

/** Those of `routers` that are tied by `groups`, over any number of them, to none but `routers`. */
export function untouched(
  routers: ReadonlySet<number>,
  groups: readonly (readonly number[])[],
): ReadonlySet<number> {
  const left = new Set(routers);
  for (let before = left.size + 1; left.size < before; ) {
    before = left.size;
    for (const group of groups) {
      if (group.some((router) => !left.has(router))) for (const router of group) left.delete(router);
    }
  }
  return left;
}
