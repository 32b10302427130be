/** Gives what a set names other names, all at once: two may swap theirs. */
export function renameIn(set: Set<string>, names: ReadonlyMap<string, string>): void {
  const now = [...set].map((name) => names.get(name) ?? name);
  set.clear();
  for (const name of now) set.add(name);
}
