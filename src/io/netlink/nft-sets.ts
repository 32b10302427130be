/** Elements of nftables sets, changed within the call: what starts nft(8) waits for a processor that others want just then. */
import { elementTransaction, setQuestion } from '../../netlink/nft-messages.js';
import type { NftSets } from '../../runtime/ports.js';
import { NETLINK_NETFILTER, NetlinkConnection, type NetlinkRequest } from './connection.js';

/** Three messages each: a transaction is within one datagram, also where the receive buffer is small. */
const MAX_ELEMENTS = 8;

/** The socket is opened when it is needed first. */
export function openNftSets(): NftSets {
  let connection: NetlinkConnection | undefined;
  const ask = async (requests: readonly NetlinkRequest[]): Promise<void> => {
    connection ??= NetlinkConnection.openImmediate(NETLINK_NETFILTER);
    const results = await connection.transact(requests);
    const error = results.find((result) => result.error !== undefined)?.error;
    if (error !== undefined) throw error;
  };
  return {
    change: async (elements) => {
      for (let at = 0; at < elements.length; at += MAX_ELEMENTS)
        await ask(elementTransaction(elements.slice(at, at + MAX_ELEMENTS)));
    },
    find: (table, set) => ask([setQuestion(table, set)]),
  };
}
