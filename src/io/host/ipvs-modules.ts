/** What IPVS of this kernel is made of: schedulers and persistence engines are modules of their own. */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';

/** By `ip_vs_NAME` and `ip_vs_pe_NAME` without the beginning. */
export interface IpvsModules {
  /** As uname(2) says it. */
  readonly release: string;
  has(module: string): boolean;
}

/**
 * By what depmod(8) wrote of this kernel: what it can load, and what is built in. Undefined where that tells of no ip_vs at
 * all: in a container without the host's modules nothing can be known. `root` is for tests.
 */
export function ipvsModules(kernel: string = release(), root = '/lib/modules'): IpvsModules | undefined {
  const listed = ['modules.dep', 'modules.builtin']
    .map((file) => textOf(join(root, kernel, file)))
    .join('\n');
  const names = new Set(
    [...listed.matchAll(/^\S*\/(ip_vs\w*)\.ko(?:\.\w+)?(?::|$)/gm)].map((match) => match[1]),
  );
  if (!names.has('ip_vs')) return undefined;
  return { release: kernel, has: (module) => names.has(`ip_vs_${module}`) };
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
