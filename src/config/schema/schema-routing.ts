/** The shape of an instance's `routes` and `rules`. */
import * as z from 'zod';
import { canonicalPrefix, refuseNetwork } from '../address.js';
import { type PortRange, ROUTE_TYPES, RULE_ACTIONS } from '../model.js';
import { checkedText, expect, hostAddress, integer, interfaceOf, mapping } from './schema-values.js';

const MAX_U32 = 2 ** 32 - 1;
/** RFC 791: every link carries so much. */
const MIN_MTU = 68;
const MAX_MTU = 65_535;
/** The kernel's own rules are 0, 32766 and 32767. */
const MAX_RULE_PRIORITY = 32_765;
const MAX_PORT = 65_535;

const TABLES = { local: 255, main: 254, default: 253 } as const;
const SCOPES = { global: 0, site: 200, link: 253, host: 254 } as const;
const PROTOCOLS = { icmp: 1, tcp: 6, udp: 17, 'ipv6-icmp': 58, sctp: 132 } as const;

function oneOf(words: readonly string[]): string {
  return words.map((word) => `'${word}'`).join(', ');
}

/** A number, or a word for one. */
function named(words: Readonly<Record<string, number>>, min: number, max: number) {
  const known = Object.keys(words);
  const error = expect(`${oneOf(known)} or a whole number from ${min} to ${max}`);
  return z.union([integer(min, max), z.enum(known, { error })], { error }).transform((value) => {
    return typeof value === 'number' ? value : (words[value] ?? 0);
  });
}

const table = named(TABLES, 1, MAX_U32);
const type = z.enum(ROUTE_TYPES, { error: expect(`one of ${oneOf(ROUTE_TYPES)}`) });
const flag = z.boolean({ error: expect('true or false') });

const destination = checkedText("'default' or a network such as 192.0.2.0/24", (text) =>
  text === 'default' ? undefined : refuseNetwork(text),
).transform(canonicalPrefix);

export const network = checkedText('a network such as 192.0.2.0/24', refuseNetwork).transform(
  canonicalPrefix,
);

export const route = mapping('to, via, source, metric, interface, table, type, scope, on_link, mtu', {
  to: destination,
  via: hostAddress.optional(),
  source: hostAddress.optional(),
  metric: integer(0, MAX_U32).optional(),
  interface: interfaceOf.optional(),
  table: table.default(TABLES.main),
  type: type.default('unicast'),
  scope: named(SCOPES, 0, 255).optional(),
  on_link: flag.default(false),
  mtu: integer(MIN_MTU, MAX_MTU).optional(),
});

const MARK = "a mark such as 7, '0x7' or '0x10/0xf0'";
const MARK_PATTERN = /^(0x[0-9a-fA-F]{1,8}|[0-9]{1,10})(?:\/(0x[0-9a-fA-F]{1,8}|[0-9]{1,10}))?$/;

function readMark(text: string): { mark: number; mask: number } | undefined {
  const [, mark, mask] = MARK_PATTERN.exec(text) ?? [];
  if (mark === undefined) return undefined;
  const found = { mark: Number(mark), mask: mask === undefined ? MAX_U32 : Number(mask) };
  return found.mark > MAX_U32 || found.mask > MAX_U32 ? undefined : found;
}

const fwmark = z
  .union([
    integer(0, MAX_U32).transform((mark) => ({ mark, mask: MAX_U32 })),
    checkedText(MARK, (text) => (readMark(text) === undefined ? `is not ${MARK}` : undefined)).transform(
      (text) => readMark(text) ?? { mark: 0, mask: 0 },
    ),
  ])
  .optional();

const PORTS = "a port such as 80, or a range such as '1024-2047'";

function readPorts(text: string): PortRange | undefined {
  const [, first, last] = /^([0-9]{1,5})-([0-9]{1,5})$/.exec(text) ?? [];
  if (first === undefined || last === undefined) return undefined;
  const range = { first: Number(first), last: Number(last) };
  return range.first < 1 || range.last > MAX_PORT || range.first > range.last ? undefined : range;
}

const ports = z
  .union([
    integer(1, MAX_PORT).transform((port) => ({ first: port, last: port })),
    checkedText(PORTS, (text) => (readPorts(text) === undefined ? `is not ${PORTS}` : undefined)).transform(
      (text) => readPorts(text) ?? { first: 1, last: 1 },
    ),
  ])
  .optional();

export const rule = mapping(
  'priority, table or action, from, to, not, fwmark, iif, oif, ip_protocol, source_port, destination_port',
  {
    priority: integer(1, MAX_RULE_PRIORITY),
    family: z.enum(['ipv4', 'ipv6'], { error: expect("'ipv4' or 'ipv6'") }).optional(),
    table: table.optional(),
    action: z.enum(RULE_ACTIONS, { error: expect(`one of ${oneOf(RULE_ACTIONS)}`) }).optional(),
    not: flag.default(false),
    from: network.optional(),
    to: network.optional(),
    fwmark,
    iif: interfaceOf.optional(),
    oif: interfaceOf.optional(),
    ip_protocol: named(PROTOCOLS, 1, 255).optional(),
    source_port: ports,
    destination_port: ports,
    suppress_prefix_length: integer(0, 128).optional(),
  },
);
