/**
 * Dumps our own routes and rules. On a socket of its own kind: the kernel picks them out of a table of any size
 * (NETLINK_GET_STRICT_CHK, Linux 4.20), an option that the `netlink` package cannot set; and that package reads a whole
 * dump in one turn of the event loop, which takes 16 ms and more with 5,000 routes and stalls the election.
 */

import { AF_INET, AF_INET6 } from '../../netlink/address-messages.js';
import {
  decodeDatagram,
  decodeVerdict,
  EINTR,
  ETIMEDOUT,
  encodeMessage,
  NetlinkError,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
} from '../../netlink/message.js';
import {
  decodeRoute,
  isOwnRoute,
  type KernelRoute,
  RTM_GETROUTE,
  RTM_NEWROUTE,
  routeDumpPayload,
} from '../../netlink/route-messages.js';
import {
  decodeRule,
  type KernelRule,
  RTM_GETRULE,
  RTM_NEWRULE,
  ruleDumpPayload,
} from '../../netlink/rule-messages.js';
import { NetlinkEventSocket } from './event-socket.js';
import { NETLINK_ROUTE } from './netlink.js';

const SOL_NETLINK = 270;
const NETLINK_GET_STRICT_CHK = 12;
const SOCKADDR_NL_BYTES = 12;
const AF_NETLINK = 16;
const RECEIVE_BUFFER_BYTES = 1024 * 1024;
/** For both families together. */
const DUMP_TIMEOUT_MS = 5_000;
/** Dumps that the kernel marks NLM_F_DUMP_INTR because the table changed underneath, before that is an error. */
const MAX_ATTEMPTS = 8;

class RouteDumpSocket extends NetlinkEventSocket {
  constructor() {
    super(NETLINK_ROUTE, [], RECEIVE_BUFFER_BYTES);
    try {
      this.setIntOption(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
    } catch {
      // An older kernel dumps all routes, and the kind's decode picks ours.
    }
  }

  request(type: number, payload: Uint8Array, sequence: number): void {
    const kernel = Buffer.alloc(SOCKADDR_NL_BYTES);
    kernel.set(new Uint8Array(new Uint16Array([AF_NETLINK]).buffer));
    const flags = NLM_F_REQUEST | NLM_F_DUMP;
    this.sendTo(encodeMessage(type, flags, sequence, payload), kernel);
  }
}

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
 * kernel refuses, when the table changes during each of MAX_ATTEMPTS dumps (EINTR), or when the answer does not come
 * within DUMP_TIMEOUT_MS (ETIMEDOUT).
 */
export function dumpOwnRoutes(): Promise<readonly DumpedRoute[]> {
  return dump(ROUTES);
}

/** The rules that bear our protocol number, of both families. Rejects as `dumpOwnRoutes`. */
export function dumpOwnRules(): Promise<readonly DumpedRule[]> {
  return dump(RULES);
}

async function dump<Item>(kind: Kind<Item>): Promise<readonly (Item & Dumped)[]> {
  const socket = new RouteDumpSocket();
  try {
    return [...(await dumpFamily(socket, kind, AF_INET)), ...(await dumpFamily(socket, kind, AF_INET6))];
  } finally {
    socket.close();
  }
}

async function dumpFamily<Item>(
  socket: RouteDumpSocket,
  kind: Kind<Item>,
  family: number,
): Promise<readonly (Item & Dumped)[]> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const { items, interrupted } = await dumpOnce(socket, kind, family, MAX_ATTEMPTS * family + attempt);
    if (!interrupted) return items;
  }
  throw new NetlinkError(EINTR, `the routes changed during each of ${MAX_ATTEMPTS} dumps`);
}

/** What the kernel says of a family that has no table or no rule yet, or that it does not have at all. */
const NOTHING_THERE: ReadonlySet<string> = new Set(['ENOENT', 'EAFNOSUPPORT', 'EOPNOTSUPP']);

function dumpOnce<Item>(
  socket: RouteDumpSocket,
  kind: Kind<Item>,
  family: number,
  sequence: number,
): Promise<{ items: readonly (Item & Dumped)[]; interrupted: boolean }> {
  return new Promise((resolve, reject) => {
    const items: (Item & Dumped)[] = [];
    let interrupted = false;
    const end = (): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
    };
    const fail = (error: Error): void => {
      end();
      reject(error);
    };
    const timer = setTimeout(
      () => fail(new NetlinkError(ETIMEDOUT, `no answer within ${DUMP_TIMEOUT_MS} ms`)),
      DUMP_TIMEOUT_MS,
    );
    socket.on('error', fail);
    socket.on('message', (datagram, { port }) => {
      if (port !== 0) return;
      for (const frame of decodeDatagram(datagram).frames) {
        if (frame.sequence !== sequence) continue;
        interrupted ||= (frame.flags & NLM_F_DUMP_INTR) !== 0;
        if (frame.type === NLMSG_DONE || frame.type === NLMSG_ERROR) {
          const error = decodeVerdict(frame);
          if (error !== undefined && !NOTHING_THERE.has(error.code)) return fail(error);
          end();
          return resolve({ items, interrupted });
        }
        const item = frame.type === kind.answer ? kind.decode(frame.payload) : undefined;
        // The datagram's memory is used again.
        if (item !== undefined) items.push({ ...item, payload: Uint8Array.from(frame.payload) });
      }
    });
    try {
      socket.request(kind.request, kind.payload(family), sequence);
    } catch (error) {
      fail(error instanceof Error ? error : new Error(String(error)));
    }
  });
}
