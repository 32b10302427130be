/**
 * What a table of nftables of our own does beside IPVS: it translates the source. For `forwarding: fullnat`, so that a real server
 * answers the director and needs no route through it, and for `masquerade`. Pure.
 */

import { canonicalPrefix, NFT_INTERFACE, splitPrefix } from '../config/address.js';
import type { DirectorConfig, Masquerade } from '../config/model.js';
import type { Protocol, RealServer, VirtualServer } from '../config/model-servers.js';
import { fnv1a } from '../util/fnv1a.js';
import { type AddressFamily, canonicalAddress, familyOf } from '../util/ip-address.js';
import { ipOf, nftRemoval } from '../util/nft-table.js';

/** The table that is ours alone: `nft list table inet lvs_director_nat` shows it. */
export const SOURCE_NAT_TABLE = 'inet lvs_director_nat';

export const SOURCE_NAT_REMOVAL = nftRemoval(SOURCE_NAT_TABLE);

/** How a connection to a real server is known: what it was to before IPVS, or its mark. */
type Kind = 'port' | 'all_ports' | 'mark';

interface Translation {
  readonly kind: Kind;
  /** Undefined with a mark, which is of any. */
  readonly protocol: Protocol | undefined;
  readonly family: AddressFamily;
  /** Undefined: the address of the interface that it leaves by. */
  readonly to: string | undefined;
  readonly elements: Set<string>;
}

/** The whole table, one transaction; undefined where nothing is to be translated. */
export function sourceNatRuleset({
  virtualServers,
  masquerades,
}: Pick<DirectorConfig, 'virtualServers' | 'masquerades'>): string | undefined {
  const translations = translationsOf(virtualServers);
  if (translations.length + masquerades.length === 0) return undefined;
  const sets = translations.map(
    ({ kind, family, elements }, index) =>
      `  set translated_${index} {\n    type ${typeOf(kind, family)}\n    elements = { ${[...elements].join(', ')} }\n  }\n`,
  );
  const rules = translations.map(
    (translation, index) =>
      `${matchOf(translation)} @translated_${index} ${toText(translation.family, translation.to)}`,
  );
  const body = [...rules, ...masquerades.map(masqueradeRule)].map((rule) => `    ${rule}\n`).join('');
  const name =
    CHAIN +
    fnv1a(sets.join('') + body)
      .toString(16)
      .padStart(8, '0');
  return `${SOURCE_NAT_REMOVAL}table ${SOURCE_NAT_TABLE} {
${sets.join('')}  chain ${name} {
    type nat hook postrouting priority 100; policy accept;
${body}  }
}
`;
}

/** How the chain's name begins; what follows says which rules it has, so that two tables can be told apart. */
const CHAIN = 'postrouting_';

/** The name of the chain in a ruleset, or in what nft lists of the table. */
export function sourceNatChain(text: string | undefined): string | undefined {
  return text === undefined ? undefined : new RegExp(`chain (${CHAIN}[0-9a-f]{8}) `).exec(text)?.[1];
}

function toText(family: AddressFamily, to: string | undefined): string {
  return to === undefined ? 'masquerade' : `snat ${ipOf(family)} to ${canonicalAddress(to)}`;
}

/** Not what goes to its own network: that needs nobody between. */
function masqueradeRule({ source, interface: device, snatAddress }: Masquerade): string {
  if (!NFT_INTERFACE.test(device)) throw new RangeError(`no interface for a ruleset: ${device}`);
  const network = canonicalPrefix(source);
  const family = familyOf(splitPrefix(network).address);
  const ip = ipOf(family);
  return `oifname "${device}" ${ip} saddr ${network} ${ip} daddr != ${network} ${toText(family, snatAddress)}`;
}

function translationsOf(virtualServers: readonly VirtualServer[]): readonly Translation[] {
  const found = new Map<string, Translation>();
  for (const server of virtualServers) {
    const { realServers, sorryServer, snatAddress } = server;
    for (const real of [...realServers, ...(sorryServer === undefined ? [] : [sorryServer])]) {
      if (real.forwarding !== 'fullnat') continue;
      const family = familyOf(real.address);
      const to = snatAddress !== undefined && familyOf(snatAddress) === family ? snatAddress : undefined;
      const { kind, protocol, element } = elementOf(server, real);
      const key = [kind, protocol, family, to].join(' ');
      const translation = found.get(key) ?? { kind, protocol, family, to, elements: new Set() };
      found.set(key, translation);
      translation.elements.add(element);
    }
  }
  return [...found.values()];
}

/** Canonical text by our own parser: nothing else gets into the ruleset. */
function elementOf(
  { service }: VirtualServer,
  real: RealServer,
): Pick<Translation, 'kind' | 'protocol'> & { readonly element: string } {
  const address = canonicalAddress(real.address);
  if ('fwmark' in service)
    return { kind: 'mark', protocol: undefined, element: `${service.fwmark} . ${address}` };
  const { protocol, port } = service;
  const vip = canonicalAddress(service.address);
  return port === 0
    ? { kind: 'all_ports', protocol, element: `${vip} . ${address}` }
    : { kind: 'port', protocol, element: `${vip} . ${port} . ${address} . ${real.port}` };
}

function typeOf(kind: Kind, family: AddressFamily): string {
  const address = `${family}_addr`;
  if (kind === 'mark') return `mark . ${address}`;
  if (kind === 'all_ports') return `${address} . ${address}`;
  return `${address} . inet_service . ${address} . inet_service`;
}

/** nft knows what a `proto-dst` is once the protocol is said before it. */
function matchOf({ kind, protocol, family }: Translation): string {
  const ip = ipOf(family);
  if (kind === 'mark') return `meta mark . ${ip} daddr`;
  const before = `meta l4proto ${protocol} ct original ${ip} daddr`;
  if (kind === 'all_ports') return `${before} . ${ip} daddr`;
  return `${before} . ct original proto-dst . ${ip} daddr . ${protocol} dport`;
}
