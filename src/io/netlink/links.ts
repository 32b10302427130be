/** Watches links, addresses and our routes by rtnetlink events. */

import {
  AF_UNSPEC,
  decodeLink,
  linkDumpPayload,
  RTM_GETLINK,
  RTNLGRP_IPV4_IFADDR,
  RTNLGRP_IPV6_IFADDR,
  RTNLGRP_LINK,
} from '../../netlink/address-messages.js';
import { RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE } from '../../netlink/route-messages.js';
import { RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE } from '../../netlink/rule-messages.js';
import type { LinkMonitor, OpenLinkMonitor } from '../../runtime/ports.js';
import { NETLINK_ROUTE, NetlinkConnection } from './connection.js';
import { LinkTable, type OnAddress, type OnChange, type OnHardwareAddress } from './link-table.js';
import { dumpAddresses } from './present-addresses.js';
import { RECEIVE_BUFFER_BYTES } from './request-socket.js';
import { dumpOwnRoutes } from './routing/route-dump.js';
import { RouteWatch } from './routing/route-watch.js';

/** Attempts at the dump after lost events, and the pause between them. */
export const MAX_RESYNC_ATTEMPTS = 10;
const RESYNC_PAUSE_MS = 200;

type OnRoutingLost = NonNullable<Parameters<OpenLinkMonitor>[2]>;

/**
 * Opens the watch; when the promise resolves, `isUp` tells the state of now. An interface that does not exist is
 * down. Rejects with the kernel's code when rtnetlink refuses. When events were lost, it dumps again and reports
 * the differences; when that keeps failing, the error is thrown where nothing catches it: a director blind to its
 * links must not go on.
 *
 * Of the addresses that are there at the start, those whose duplicate was found are reported, a turn of the event
 * loop after the promise resolved. Of routes, only those that bear ROUTE_PROTOCOL are told.
 */
export const openLinkMonitor: OpenLinkMonitor = (onChange, onAddress, onRoutingLost, onHardwareAddress) =>
  watchLinks(onChange, onAddress, onRoutingLost, RECEIVE_BUFFER_BYTES, onHardwareAddress);

/** As `openLinkMonitor`, with the event sockets' receive buffer in bytes. */
export async function watchLinks(
  onChange: OnChange,
  onAddress: OnAddress,
  onRoutingLost: OnRoutingLost = () => {},
  receiveBufferBytes = RECEIVE_BUFFER_BYTES,
  onHardwareAddress: OnHardwareAddress = () => {},
): Promise<LinkMonitor> {
  const connection = NetlinkConnection.open(NETLINK_ROUTE);
  let closed = false;
  const retries = new Set<NodeJS.Timeout>();
  const insist = (work: () => Promise<void>, attempt = 1): void => {
    work().catch((error: unknown) => {
      if (closed) return;
      if (attempt >= MAX_RESYNC_ATTEMPTS) throw error;
      const retry = setTimeout(() => {
        retries.delete(retry);
        insist(work, attempt + 1);
      }, RESYNC_PAUSE_MS);
      retries.add(retry);
    });
  };
  const table = new LinkTable({
    onChange,
    onAddress,
    onHardwareAddress,
    onRoutesAtRisk: () => routes.check(),
  });
  const routes = new RouteWatch({
    dump: dumpOwnRoutes,
    insist,
    onLost: onRoutingLost,
  });
  const dump = async (): Promise<void> => {
    for (let attempt = 1; ; attempt++) {
      const { events } = table;
      const messages = await connection.dump(RTM_GETLINK, linkDumpPayload());
      const addresses = await dumpAddresses(connection, AF_UNSPEC);
      if (closed) return;
      if (events === table.events || attempt >= MAX_RESYNC_ATTEMPTS) {
        const links = messages.flatMap((message) => decodeLink(message.payload) ?? []);
        table.replace(links, addresses);
        return;
      }
    }
  };
  try {
    // Join first, dump second: what changes in between is seen twice and not missed.
    connection.subscribe(
      [RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR, RTNLGRP_IPV6_IFADDR],
      (message) => table.take(message),
      () => insist(dump),
      receiveBufferBytes,
    );
    // On a socket of their own: a routing daemon that fills its table must not cost us a link's event.
    connection.subscribe(
      [RTNLGRP_IPV4_ROUTE, RTNLGRP_IPV6_ROUTE, RTNLGRP_IPV4_RULE, RTNLGRP_IPV6_RULE],
      (message) => routes.take(message),
      () => routes.resync(),
      receiveBufferBytes,
    );
    await dump();
    await routes.begin();
  } catch (error) {
    connection.close();
    throw error;
  }
  setImmediate(() => {
    if (!closed) table.tellDuplicates();
  });
  table.quiet = false;
  return {
    isUp: (interfaceName) => table.isUp(interfaceName),
    index: (interfaceName) => table.index(interfaceName),
    holds: (interfaceName, address) => table.holds(interfaceName, address),
    catchUp: dump,
    close: () => {
      closed = true;
      for (const retry of retries) clearTimeout(retry);
      connection.close();
    },
  };
}
