/** The address of this host that a check goes from, as options of node:net have it. */
import type { CheckWay } from '../../config/model-servers.js';

export function sourceOf({ from }: CheckWay): { readonly localAddress?: string } {
  return from === undefined ? {} : { localAddress: from };
}
