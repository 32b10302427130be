/** The text of `modules.dep`: for each module's path, the paths of what it needs. */
export type ModuleDependencies = ReadonlyMap<string, readonly string[]>;

/** Parses `modules.dep` as depmod(8) writes it: `PATH: NEEDED NEEDED`, one line a module. */
export function parseModulesDep(text: string): ModuleDependencies {
  const dependencies = new Map<string, readonly string[]>();
  for (const line of text.split('\n')) {
    const colon = line.indexOf(':');
    if (colon < 0) continue;
    const needed = line
      .slice(colon + 1)
      .split(' ')
      .filter((path) => path !== '');
    dependencies.set(line.slice(0, colon), needed);
  }
  return dependencies;
}

/** `kernel/net/netfilter/ipvs/ip_vs.ko.xz` -> `ip_vs`; the kernel takes `-` and `_` for the same. */
export function moduleName(path: string): string {
  const file = path.slice(path.lastIndexOf('/') + 1);
  return file.replace(/\.ko(\.\w+)?$/, '').replaceAll('-', '_');
}

/**
 * Paths of the modules named and of all they need, each once, what is needed before what needs it.
 * Names that `dependencies` does not hold are left out: they are built in, or this kernel has no such module.
 */
export function loadOrder(dependencies: ModuleDependencies, names: readonly string[]): string[] {
  const pathOf = new Map<string, string>();
  for (const path of dependencies.keys()) pathOf.set(moduleName(path), path);
  const order = new Set<string>();
  const underWay = new Set<string>();
  const visit = (path: string): void => {
    if (order.has(path) || underWay.has(path)) return;
    underWay.add(path);
    for (const needed of dependencies.get(path) ?? []) visit(needed);
    order.add(path);
  };
  for (const name of names) {
    const path = pathOf.get(name.replaceAll('-', '_'));
    if (path !== undefined) visit(path);
  }
  return [...order];
}
