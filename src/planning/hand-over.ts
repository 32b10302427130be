/**
 * What a new master does with TCP packets of connections that it does not know yet. Its predecessor's kernel tells of the youngest
 * ones up to two seconds late (IPVS_SYNC_FLUSH_TIME), and to a packet that no connection and no socket takes this host's TCP
 * would answer with a reset. Dropped, it is repeated by its sender, and finds its connection then. Pure.
 *
 * The rules are there whatever the roles are. A gate for each instance puts them in force: a set with the protocol TCP in it, or
 * nothing. To change it is one message to the kernel, where nft(8) would first have to be started.
 */
import type { VirtualServer } from '../config/model-servers.js';
import { type AddressFamily, canonicalAddress, familyOf } from '../util/ip-address.js';
import { ipOf, nftRemoval, type SetElement } from '../util/nft-table.js';

const TABLE = 'lvs_director_hand_over';

/** The table that is ours alone: `nft list table inet lvs_director_hand_over` shows it. */
export const HAND_OVER_TABLE = `inet ${TABLE}`;

export const HAND_OVER_REMOVAL = nftRemoval(HAND_OVER_TABLE);

/** IPPROTO_TCP: what a gate has in it while its instance waits. */
const TCP = Uint8Array.of(6);

/** Who does not wait: an element that is about to go, in milliseconds. */
const AT_ONCE_MS = 1;

const FAMILIES = ['ipv4', 'ipv6'] as const;

/** By family: `address . port`. */
type Elements = Readonly<Record<AddressFamily, Set<string>>>;

interface Share {
  /** Name of the set; those of the elements end alike. */
  readonly gate: string;
  /** Of virtual servers. */
  readonly virtual: Elements;
  /** Of real servers whose answers are translated. */
  readonly real: Elements;
}

/** By name of the instance that holds the addresses; those alone with something to wait for. */
export type HandOverPlan = ReadonlyMap<string, Share>;

/** For how long an instance waits from now on, in milliseconds; 0: it does not; Infinity: as long as it is not master. */
export type Wait = (instance: string) => number;

/** Behind IPVS in both hooks (NF_IP_PRI_NAT_SRC - 2 and the next in LOCAL_IN, the same and NF_IP_PRI_NAT_SRC - 1 in FORWARD). */
const PRIORITY = 200;

interface HolderOfAddresses {
  readonly name: string;
  readonly addresses: readonly { readonly address: string }[];
}

/**
 * Virtual servers of all ports and of firewall marks are left out: packets to them cannot be told from those of this host's own
 * connections. `own` are the addresses of this host: where a real server is one of them, its connections are this host's own.
 */
export function planHandOver(
  instances: readonly HolderOfAddresses[],
  virtualServers: readonly VirtualServer[],
  own: ReadonlySet<string>,
): HandOverPlan {
  const holders = new Map(
    instances.flatMap(({ name, addresses }) =>
      addresses.map(({ address }) => [canonicalAddress(address), name] as const),
    ),
  );
  const plan = new Map<string, Share>();
  for (const { service, realServers, sorryServer } of virtualServers) {
    if ('fwmark' in service || service.protocol !== 'tcp' || service.port === 0) continue;
    const instance = holders.get(canonicalAddress(service.address));
    const all = sorryServer === undefined ? realServers : [...realServers, sorryServer];
    if (instance === undefined || all.some(({ address }) => own.has(canonicalAddress(address)))) continue;
    const share = plan.get(instance) ?? {
      gate: `waits_${plan.size}`,
      virtual: { ipv4: new Set<string>(), ipv6: new Set<string>() },
      real: { ipv4: new Set<string>(), ipv6: new Set<string>() },
    };
    plan.set(instance, share);
    share.virtual[familyOf(service.address)].add(elementOf(service));
    for (const server of all)
      if (isTranslated(server)) share.real[familyOf(server.address)].add(elementOf(server));
  }
  return plan;
}

/** The whole table, one transaction; undefined where there is nothing to wait for. */
export function handOverRuleset(plan: HandOverPlan, waits: Wait): string | undefined {
  if (plan.size === 0) return undefined;
  const sets: string[] = [];
  const input: string[] = [];
  const forward: string[] = [];
  for (const [instance, { gate, virtual, real }] of plan) {
    sets.push(gateOf(gate, waits(instance)));
    for (const family of FAMILIES) {
      const ip = ipOf(family);
      if (virtual[family].size > 0) {
        const name = `virtual_${family}_${gate}`;
        sets.push(setOf(name, family, virtual[family]));
        // A virtual address on another device, such as `lo`, is that of a real server: this host forwards nothing then.
        const known = 'fib daddr . iif type local tcp flags & syn == 0x0';
        input.push(`meta l4proto @${gate} ${known} ${ip} daddr . tcp dport @${name} counter drop`);
      }
      if (real[family].size > 0) {
        const name = `real_${family}_${gate}`;
        sets.push(setOf(name, family, real[family]));
        forward.push(`meta l4proto @${gate} ${ip} saddr . tcp sport @${name} counter drop`);
      }
    }
  }
  return `${HAND_OVER_REMOVAL}table ${HAND_OVER_TABLE} {
${sets.join('')}${chainOf('input', input)}${chainOf('forward', forward)}}
`;
}

/** What the gates of these instances are to have in them; instances that the plan does not have are passed over. */
export function gateElements(plan: HandOverPlan, instances: Iterable<string>, waits: Wait): SetElement[] {
  return [...instances].flatMap((instance) => {
    const share = plan.get(instance);
    if (share === undefined) return [];
    return [{ table: TABLE, set: share.gate, key: TCP, timeoutMs: Math.max(waits(instance), AT_ONCE_MS) }];
  });
}

/** What such a server answers must not reach the client from its own address: the client would reset the connection. */
function isTranslated({ forwarding }: VirtualServer['realServers'][number]): boolean {
  return forwarding === 'nat' || forwarding === 'fullnat';
}

/** Canonical text by our own parser: nothing else gets into the ruleset. */
function elementOf({ address, port }: { readonly address: string; readonly port: number }): string {
  return `${canonicalAddress(address)} . ${port}`;
}

function gateOf(name: string, waitMs: number): string {
  const timeout = waitMs === Number.POSITIVE_INFINITY ? '' : ` timeout ${Math.ceil(waitMs)}ms`;
  const elements = waitMs > 0 ? `    elements = { tcp${timeout} }\n` : '';
  return `  set ${name} {\n    type inet_proto\n    flags timeout\n${elements}  }\n`;
}

function setOf(name: string, family: AddressFamily, elements: ReadonlySet<string>): string {
  return `  set ${name} {\n    type ${family}_addr . inet_service\n    elements = { ${[...elements].join(', ')} }\n  }\n`;
}

function chainOf(hook: 'input' | 'forward', rules: readonly string[]): string {
  const body = rules.map((rule) => `    ${rule}\n`).join('');
  return `  chain ${hook} {\n    type filter hook ${hook} priority ${PRIORITY}; policy accept;\n${body}  }\n`;
}
