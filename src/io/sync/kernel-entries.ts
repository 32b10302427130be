/** The kernel's connections as a peer would be told of them. */
import type { Service } from '../../ipvs/model.js';
import type { SyncConnection } from '../../sync/message.js';
import { TableEntries, type Untellable } from '../../sync/table-entries.js';
import { readConnections } from '../netlink/connection-table.js';

export interface KernelEntries {
  /** Those that a peer can be told of. */
  readonly connections: readonly SyncConnection[];
  /** Those that no virtual server here has (`TableEntry`). */
  readonly unserved: readonly SyncConnection[];
  /** The rest, by reason. */
  readonly untellable: ReadonlyMap<Untellable, number>;
}

/**
 * In the kernel's order, as many at a time as a read has brought. Before Linux 7 each read walks through the table from its
 * start: of 100,000 connections that is seconds, and four times as much of twice as many.
 */
export async function* readKernelEntries(
  table: readonly Service[],
  path?: string,
  wanted?: (line: string) => boolean,
): AsyncGenerator<KernelEntries> {
  const entries = new TableEntries(table);
  for await (const batch of readConnections(path, wanted)) {
    const connections: SyncConnection[] = [];
    const unserved: SyncConnection[] = [];
    const untellable = new Map<Untellable, number>();
    for (const connection of batch) {
      const entry = entries.entryOf(connection);
      if (typeof entry === 'string') untellable.set(entry, (untellable.get(entry) ?? 0) + 1);
      else (entry.isServed ? connections : unserved).push(entry.connection);
    }
    yield { connections, unserved, untellable };
  }
}
