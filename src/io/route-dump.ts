/**
 * Dumps our own routes. On a socket of its own kind: the kernel picks them out of a table of any size
 * (NETLINK_GET_STRICT_CHK, Linux 4.20), an option that the `netlink` package cannot set; and that package reads a whole
 * dump in one turn of the event loop, which takes 16 ms and more with 5,000 routes and stalls the election.
 */
import { NETLINK_ROUTE } from './netlink.js';
import { NetlinkEventSocket } from './netlink-event-socket.js';
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
} from './netlink-message.js';
import { AF_INET, AF_INET6 } from './rtnetlink-messages.js';
import {
  decodeOwnRoute,
  type KernelRoute,
  RTM_GETROUTE,
  RTM_NEWROUTE,
  routeDumpPayload,
} from './rtnetlink-routes.js';

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
      // An older kernel dumps all routes, and decodeOwnRoute picks ours.
    }
  }

  request(family: number, sequence: number): void {
    const kernel = Buffer.alloc(SOCKADDR_NL_BYTES);
    kernel.set(new Uint8Array(new Uint16Array([AF_NETLINK]).buffer));
    const flags = NLM_F_REQUEST | NLM_F_DUMP;
    this.sendTo(encodeMessage(RTM_GETROUTE, flags, sequence, routeDumpPayload(family)), kernel);
  }
}

/**
 * The routes of the main table that bear our protocol number, of both families. Rejects with NetlinkError when the
 * kernel refuses, when the table changes during each of MAX_ATTEMPTS dumps (EINTR), or when the answer does not come
 * within DUMP_TIMEOUT_MS (ETIMEDOUT).
 */
export async function dumpOwnRoutes(): Promise<readonly KernelRoute[]> {
  const socket = new RouteDumpSocket();
  try {
    return [...(await dumpFamily(socket, AF_INET)), ...(await dumpFamily(socket, AF_INET6))];
  } finally {
    socket.close();
  }
}

async function dumpFamily(socket: RouteDumpSocket, family: number): Promise<readonly KernelRoute[]> {
  for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
    const { routes, interrupted } = await dumpOnce(socket, family, MAX_ATTEMPTS * family + attempt);
    if (!interrupted) return routes;
  }
  throw new NetlinkError(EINTR, `the routes changed during each of ${MAX_ATTEMPTS} dumps`);
}

function dumpOnce(
  socket: RouteDumpSocket,
  family: number,
  sequence: number,
): Promise<{ routes: readonly KernelRoute[]; interrupted: boolean }> {
  return new Promise((resolve, reject) => {
    const routes: KernelRoute[] = [];
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
      () => fail(new NetlinkError(ETIMEDOUT, `no routes within ${DUMP_TIMEOUT_MS} ms`)),
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
          // A namespace without any route of the family has no table yet.
          if (error !== undefined && error.code !== 'ENOENT') return fail(error);
          end();
          return resolve({ routes, interrupted });
        }
        const route = frame.type === RTM_NEWROUTE ? decodeOwnRoute(frame.payload) : undefined;
        if (route !== undefined) routes.push(route);
      }
    });
    try {
      socket.request(family, sequence);
    } catch (error) {
      fail(error instanceof Error ? error : new Error(String(error)));
    }
  });
}
