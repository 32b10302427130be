/**
 * Dumps our own routes and rules: the kernel picks them out of a table of any size (NETLINK_GET_STRICT_CHK), or, where it
 * cannot, a long dump is read in several turns of the event loop (5,000 routes in one would take 16 ms).
 */

import {
  decodeRoute,
  isOwnRoute,
  type KernelRoute,
  RTM_GETROUTE,
  RTM_NEWROUTE,
  routeDumpPayload,
} from '../../../netlink/route-messages.js';
import {
  decodeRule,
  type KernelRule,
  RTM_GETRULE,
  RTM_NEWRULE,
  ruleDumpPayload,
} from '../../../netlink/rule-messages.js';
import { AF_INET, AF_INET6 } from '../../../util/ip-address.js';
import { NETLINK_ROUTE, NetlinkConnection, NetlinkError } from '../connection.js';
import { nativeRequestSocket } from '../request-socket.js';

/** Our routes alone; on a kernel that cannot pick them, all it has, 64 datagrams a turn. */
const RECEIVE_BUFFER_BYTES = 1024 * 1024;

/** As the kernel told it: the same payload in RTM_DELROUTE or RTM_DELRULE removes that one and no other. */
export interface Dumped {
  readonly payload: Uint8Array;
}
export type DumpedRoute = KernelRoute & Dumped;
export type DumpedRule = KernelRule & Dumped;

/** One kind of thing that is dumped. */
interface Kind<Item> {
  readonly request: number;
  readonly answer: number;
  payload(family: number): Uint8Array;
  /** Undefined for what is not ours. */
  decode(payload: Uint8Array): Item | undefined;
}

const ROUTES: Kind<KernelRoute> = {
  request: RTM_GETROUTE,
  answer: RTM_NEWROUTE,
  payload: routeDumpPayload,
  decode: (payload) => (isOwnRoute(payload) ? decodeRoute(payload) : undefined),
};

const RULES: Kind<KernelRule> = {
  request: RTM_GETRULE,
  answer: RTM_NEWRULE,
  payload: ruleDumpPayload,
  decode: (payload) => {
    const rule = decodeRule(payload);
    return rule?.own === true ? rule : undefined;
  },
};

/**
 * The routes of all tables that bear our protocol number, of both families. Rejects with NetlinkError when the
 * kernel refuses, and as `NetlinkConnection.dump` does.
 */
export function dumpOwnRoutes(): Promise<readonly DumpedRoute[]> {
  return dump(ROUTES);
}

/** The rules that bear our protocol number, of both families. Rejects as `dumpOwnRoutes`. */
export function dumpOwnRules(): Promise<readonly DumpedRule[]> {
  return dump(RULES);
}

async function dump<Item>(kind: Kind<Item>): Promise<readonly (Item & Dumped)[]> {
  const strict = nativeRequestSocket({ immediate: false, strict: true });
  const connection = NetlinkConnection.open(NETLINK_ROUTE, RECEIVE_BUFFER_BYTES, strict);
  try {
    return [
      ...(await dumpFamily(connection, kind, AF_INET)),
      ...(await dumpFamily(connection, kind, AF_INET6)),
    ];
  } finally {
    connection.close();
  }
}

/** What the kernel says of a family that has no table or no rule yet, or that it does not have at all. */
const NOTHING_THERE: ReadonlySet<string> = new Set(['ENOENT', 'EAFNOSUPPORT', 'EOPNOTSUPP']);

async function dumpFamily<Item>(
  connection: NetlinkConnection,
  kind: Kind<Item>,
  family: number,
): Promise<readonly (Item & Dumped)[]> {
  try {
    const messages = await connection.dump(kind.request, kind.payload(family));
    return messages.flatMap(({ type, payload }) => {
      const item = type === kind.answer ? kind.decode(payload) : undefined;
      // A copy: what is remembered of one route would keep the whole batch it came in.
      return item === undefined ? [] : [{ ...item, payload: Uint8Array.from(payload) }];
    });
  } catch (error) {
    if (error instanceof NetlinkError && NOTHING_THERE.has(error.code)) return [];
    throw error;
  }
}
