/** What has to be there on this host before an instance can be master: virtual MAC devices and the accept filter. */
import { OWNER_PRIORITY, type VirtualAddress, type VrrpInstance } from '../../config/model.js';
import type { AcceptFilter, Addresses, Log, Routing } from '../ports.js';
import type { VirtualMacKeeper } from './virtual-mac-keeper.js';

/** Removes what an earlier run left: a director that starts is no master. */
export async function removeLeftovers(
  leftBehind: readonly VirtualAddress[],
  instances: readonly VrrpInstance[],
  { addresses, routing, log }: { addresses: Addresses; routing: Routing; log: Log },
): Promise<void> {
  const owned = instances.filter(isOwner).flatMap((one) => one.addresses);
  const others = instances.filter((one) => !isOwner(one)).flatMap((one) => one.addresses);
  // An address owner's may be there for its host, too, with another prefix length.
  const exact = await addresses.held([...leftBehind, ...owned]);
  if (exact.length > 0) await addresses.remove(exact);
  const stale = [...exact, ...(await addresses.evict(others))].map(({ address }) => address);
  if (stale.length > 0) log.warn({ addresses: stale }, 'removed virtual addresses left by an earlier run');
  const left = await routing.clear();
  if (left > 0) log.warn({ count: left }, `removed ${left} routes and rules left by an earlier run`);
}

function isOwner({ priority }: VrrpInstance): boolean {
  return priority === OWNER_PRIORITY;
}

export class PreparedHost {
  readonly #virtualMacs: VirtualMacKeeper;
  readonly #acceptFilter: AcceptFilter;
  #instances: readonly VrrpInstance[] = [];
  /** Addresses that the filter drops; undefined: not known, an earlier run may have left one. */
  #filtered: string | undefined;

  constructor(virtualMacs: VirtualMacKeeper, acceptFilter: AcceptFilter) {
    this.#virtualMacs = virtualMacs;
    this.#acceptFilter = acceptFilter;
  }

  /** For these instances and no others. Rejects when the host refuses. */
  async prepare(instances: readonly VrrpInstance[]): Promise<void> {
    await this.#virtualMacs.keep(instances);
    await this.#filter(instances);
    this.#instances = instances;
  }

  /** For these beside those it is prepared for. When the host refuses it is as before, and the error is thrown. */
  async prepareAlso(instances: readonly VrrpInstance[]): Promise<void> {
    const before = this.#instances;
    try {
      await this.prepare([...instances, ...before]);
    } catch (error) {
      await this.prepare(before);
      throw error;
    }
  }

  async #filter(instances: readonly VrrpInstance[]): Promise<void> {
    const refused = instances.filter(
      ({ acceptMode, priority }) => !acceptMode && priority !== OWNER_PRIORITY,
    );
    const addresses = [...new Set(refused.flatMap((one) => one.addresses.map((a) => a.address)))].sort();
    const text = addresses.join();
    // It takes a program, for which this process forks.
    if (this.#filtered === text) return;
    this.#filtered = undefined;
    await this.#acceptFilter.drop(addresses);
    this.#filtered = text;
  }
}
