/** Closed connections that this host's kernel keeps for two minutes are made to go at once, by its own backup daemon. */
import { isClosed } from '../../sync/entry-lines.js';
import { MessageWriter } from '../../sync/message.js';
import { TableEntries } from '../../sync/table-entries.js';
import { addressText } from '../../util/ip-address.js';
import { readConnections } from '../netlink/connection-table.js';
import { GroupSender, groupOf } from './group-sender.js';
import type { TableReader } from './replay.js';

/** A backup takes the timer out of a message as it is (`ip_vs_proc_conn`). */
const AT_ONCE_SECONDS = 1;
/** A datagram of this TTL does not leave the host. */
const TTL = 0;

/**
 * Those of `virtualAddresses`, canonical. Resolves with how many; 0 where no backup daemon runs. Rejects with the signal's reason, or with
 * what reading and sending refuse.
 */
export async function forgetClosed(
  ipvs: TableReader,
  virtualAddresses: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<number> {
  const hearing = (await ipvs.syncDaemons()).find(({ state }) => state === 'backup');
  if (hearing === undefined) return 0;
  const group = groupOf(hearing);
  const writer = new MessageWriter(group.syncid, group.maxBytes);
  const sender = new GroupSender({ ...group, ttl: TTL }, { isHeardHere: true });
  const send = async (message: Uint8Array | undefined): Promise<void> => {
    if (message !== undefined) await sender.send(message);
  };
  let entries: TableEntries | undefined;
  let count = 0;
  try {
    for await (const batch of readConnections(undefined, isClosed)) {
      if (batch.length === 0) continue;
      // Asked for where there is something to forget: there may be thousands of virtual servers.
      entries ??= new TableEntries(await ipvs.dump());
      for (const closed of batch) {
        const entry = entries.entryOf(closed);
        if (typeof entry === 'string' || !entry.isServed) continue;
        const { connection } = entry;
        if (!virtualAddresses.has(addressText(connection.virtualAddress) ?? '')) continue;
        count += 1;
        await send(writer.add({ ...connection, timeoutSeconds: AT_ONCE_SECONDS }));
      }
      // At once: what is read may be another connection a moment later.
      await send(writer.flush());
      signal.throwIfAborted();
    }
  } finally {
    sender.close();
  }
  return count;
}
