/** nf_tables messages about sets and their elements (include/uapi/linux/netfilter/nf_tables.h). Values in, requests out. */
import type { SetElement } from '../util/nft-table.js';
import { AttributeWriter } from './attributes.js';
import { type NetlinkRequest, NLM_F_CREATE } from './message.js';

const NFNL_SUBSYS_NFTABLES = 10;
const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;
const NFT_MSG_GETSET = (NFNL_SUBSYS_NFTABLES << 8) | 10;
const NFT_MSG_NEWSETELEM = (NFNL_SUBSYS_NFTABLES << 8) | 12;
const NFT_MSG_DELSETELEM = (NFNL_SUBSYS_NFTABLES << 8) | 14;
const NFTA_SET_TABLE = 1;
const NFTA_SET_NAME = 2;
const NFTA_SET_ELEM_LIST_TABLE = 1;
const NFTA_SET_ELEM_LIST_SET = 2;
const NFTA_SET_ELEM_LIST_ELEMENTS = 3;
const NFTA_LIST_ELEM = 1;
const NFTA_SET_ELEM_KEY = 1;
const NFTA_SET_ELEM_TIMEOUT = 4;
const NFTA_DATA_VALUE = 1;
const NFPROTO_UNSPEC = 0;
const NFPROTO_INET = 1;

/** struct nfgenmsg. */
const INET = Uint8Array.of(NFPROTO_INET, 0, 0, 0);

/**
 * One transaction, whatever each element was before: an element that is there keeps its timeout when it is made again (before
 * Linux 6.12), and to delete one that is not there is refused. So it is made, deleted, and made.
 */
export function elementTransaction(elements: readonly SetElement[]): readonly NetlinkRequest[] {
  return [
    bound(NFNL_MSG_BATCH_BEGIN),
    ...elements.flatMap((element) => {
      const made = { type: NFT_MSG_NEWSETELEM, flags: NLM_F_CREATE, payload: elementPayload(element) };
      return [made, { type: NFT_MSG_DELSETELEM, flags: 0, payload: made.payload }, made];
    }),
    bound(NFNL_MSG_BATCH_END),
  ];
}

/** Asks for a set of a table of the family `inet`: ENOENT where there is no such table, or no such set in it. */
export function setQuestion(table: string, set: string): NetlinkRequest {
  const payload = new AttributeWriter(INET).string(NFTA_SET_TABLE, table).string(NFTA_SET_NAME, set).finish();
  return { type: NFT_MSG_GETSET, flags: 0, payload };
}

/** Its resource is the subsystem. The kernel does not acknowledge what begins and ends a transaction (before Linux 6.10). */
function bound(type: number): NetlinkRequest {
  const payload = Uint8Array.of(NFPROTO_UNSPEC, 0, 0, NFNL_SUBSYS_NFTABLES);
  return { type, flags: 0, payload, unacknowledged: true };
}

function elementPayload({ table, set, key, timeoutMs }: SetElement): Uint8Array {
  return new AttributeWriter(INET)
    .string(NFTA_SET_ELEM_LIST_TABLE, table)
    .string(NFTA_SET_ELEM_LIST_SET, set)
    .nested(NFTA_SET_ELEM_LIST_ELEMENTS, (list) =>
      list.nested(NFTA_LIST_ELEM, (element) => {
        element.nested(NFTA_SET_ELEM_KEY, (data) => data.bytes(NFTA_DATA_VALUE, key));
        if (timeoutMs !== Number.POSITIVE_INFINITY) element.bytes(NFTA_SET_ELEM_TIMEOUT, u64be(timeoutMs));
      }),
    )
    .finish();
}

function u64be(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(Math.ceil(value)), false);
  return bytes;
}
