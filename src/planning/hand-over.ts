/**
 * What a new master does with TCP packets of connections that it does not know yet. Its predecessor's kernel tells of the youngest
 * ones up to two seconds late (IPVS_SYNC_FLUSH_TIME), and to a packet that no connection and no socket takes this host's TCP
 * would answer with a reset. Dropped, it is repeated by its sender, and finds its connection then. Pure.
 */
import type { VirtualServer } from '../config/model-servers.js';
import { type AddressFamily, canonicalAddress, familyOf } from '../util/ip-address.js';
import { ipOf, nftRemoval } from '../util/nft-table.js';

/** The table that is ours alone: `nft list table inet lvs_director_hand_over` shows it. */
export const HAND_OVER_TABLE = 'inet lvs_director_hand_over';

export const HAND_OVER_REMOVAL = nftRemoval(HAND_OVER_TABLE);

/** By family: `address . port`. */
type Elements = Readonly<Record<AddressFamily, Set<string>>>;

/** Behind IPVS in both hooks (NF_IP_PRI_NAT_SRC - 2 and the next in LOCAL_IN, the same and NF_IP_PRI_NAT_SRC - 1 in FORWARD). */
const PRIORITY = 200;

export interface HandOverTableOptions {
  /** Addresses of this host. Where a real server is one of them, its connections are this host's own. */
  readonly own: ReadonlySet<string>;
  /** Whether this host is not master of the address, or has become it just now. */
  readonly waits: (virtualAddress: string) => boolean;
}

/**
 * The whole table, one transaction; undefined where there is nothing to wait for. Virtual servers of all ports and of firewall marks
 * are left out: packets to them cannot be told from those of this host's own connections.
 */
export function handOverRuleset(
  virtualServers: readonly VirtualServer[],
  { own, waits }: HandOverTableOptions,
): string | undefined {
  const virtual: Elements = { ipv4: new Set(), ipv6: new Set() };
  const real: Elements = { ipv4: new Set(), ipv6: new Set() };
  for (const { service, realServers, sorryServer } of virtualServers) {
    if ('fwmark' in service || service.protocol !== 'tcp' || service.port === 0) continue;
    const all = sorryServer === undefined ? realServers : [...realServers, sorryServer];
    if (!waits(service.address) || all.some(({ address }) => own.has(canonicalAddress(address)))) continue;
    virtual[familyOf(service.address)].add(elementOf(service));
    for (const server of all) if (isTranslated(server)) real[familyOf(server.address)].add(elementOf(server));
  }
  if (virtual.ipv4.size + virtual.ipv6.size === 0) return undefined;
  const families = ['ipv4', 'ipv6'] as const;
  const sets = families.flatMap((family) => [
    setOf(`virtual_${family}`, family, virtual[family]),
    setOf(`real_${family}`, family, real[family]),
  ]);
  // A virtual address on another device, such as `lo`, is that of a real server: this host forwards nothing then.
  const known = 'fib daddr . iif type local tcp flags & syn == 0x0';
  const input = families.map(
    (family) => `${known} ${ipOf(family)} daddr . tcp dport @virtual_${family} counter drop`,
  );
  const forward = families.map((family) => `${ipOf(family)} saddr . tcp sport @real_${family} counter drop`);
  return `${HAND_OVER_REMOVAL}table ${HAND_OVER_TABLE} {
${sets.join('')}${chainOf('input', input)}${chainOf('forward', forward)}}
`;
}

/** What such a server answers must not reach the client from its own address: the client would reset the connection. */
function isTranslated({ forwarding }: VirtualServer['realServers'][number]): boolean {
  return forwarding === 'nat' || forwarding === 'fullnat';
}

/** Canonical text by our own parser: nothing else gets into the ruleset. */
function elementOf({ address, port }: { readonly address: string; readonly port: number }): string {
  return `${canonicalAddress(address)} . ${port}`;
}

function setOf(name: string, family: AddressFamily, elements: ReadonlySet<string>): string {
  const list = elements.size === 0 ? '' : `    elements = { ${[...elements].join(', ')} }\n`;
  return `  set ${name} {\n    type ${family}_addr . inet_service\n${list}  }\n`;
}

function chainOf(hook: 'input' | 'forward', rules: readonly string[]): string {
  const body = rules.map((rule) => `    ${rule}\n`).join('');
  return `  chain ${hook} {\n    type filter hook ${hook} priority ${PRIORITY}; policy accept;\n${body}  }\n`;
}
