/** Accept_Mode false (RFC 9568 section 6.1) by nftables: nft(8) is given a ruleset on its standard input. */
import type { AcceptFilter } from '../../runtime/ports.js';
import { type AddressFamily, canonicalAddress, familyOf } from '../../util/ip-address.js';
import { nftRemoval } from '../../util/nft-table.js';
import { NoNftError, openNft } from './nft.js';

/** A set of the table that is ours alone: there, maybe without elements, as long as the table is. */
export const ACCEPT_FILTER_SET = { table: 'lvs_director', set: 'ipv4' };
/** `nft list table inet lvs_director` shows it. */
export const ACCEPT_FILTER_TABLE = `inet ${ACCEPT_FILTER_SET.table}`;
/**
 * Of the chain in the input hook: behind IPVS (ip_vs_remote_request4 at NF_IP_PRI_NAT_SRC - 1 = 99), so that packets to
 * virtual servers are balanced and only what the host itself would take is dropped.
 */
const CHAIN_PRIORITY = 150;

/**
 * The whole table for these addresses, one transaction; without addresses the table is removed.
 *
 * Packets to the addresses are dropped where the host would take them. Neighbour Solicitations and Advertisements
 * are not, as RFC 9568 section 6.4.3 asks: a master answers for its addresses. ARP is no concern of an inet table.
 */
export function acceptFilterRuleset(addresses: readonly string[]): string {
  const removal = nftRemoval(ACCEPT_FILTER_TABLE);
  if (addresses.length === 0) return removal;
  // Canonical text by our own parser: nothing else gets into the ruleset.
  const canonical = [...new Set(addresses.map(canonicalAddress))];
  const set = (family: AddressFamily): string => {
    const members = canonical.filter((address) => familyOf(address) === family);
    const elements = members.length === 0 ? '' : `\n    elements = { ${members.join(', ')} }`;
    return `  set ${family} {\n    type ${family}_addr${elements}\n  }`;
  };
  return `${removal}table ${ACCEPT_FILTER_TABLE} {
${set('ipv4')}
${set('ipv6')}
  chain input {
    type filter hook input priority ${CHAIN_PRIORITY}; policy accept;
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    ip daddr @ipv4 drop
    ip6 daddr @ipv6 drop
  }
}
`;
}

/**
 * Rejects with NoNftError or NftError. Calls run one after the other. To remove a filter without nft counts as done:
 * without nft there never was one. `program` is for tests.
 */
export function openAcceptFilter(program = 'nft'): AcceptFilter {
  const nft = openNft('accept_mode: false', program);
  return {
    drop: async (addresses) => {
      try {
        await nft.set(acceptFilterRuleset(addresses));
      } catch (error) {
        if (addresses.length > 0 || !(error instanceof NoNftError)) throw error;
      }
    },
  };
}
