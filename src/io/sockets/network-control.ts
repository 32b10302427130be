/** What routers of one link say to each other: with the greatest TTL, and before everything else that leaves. */
import type { IpSocket } from './ip-socket.js';

/** No router has handed it on (RFC 5082). */
export const LINK_TTL = 255;
/** DSCP CS6, network control (RFC 4594 section 3.1), in its place in the DS field. */
const NETWORK_CONTROL_TOS = 0xc0;
/** TC_PRIO_INTERACTIVE: the first band of the default queueing discipline. */
const INTERACTIVE_PRIORITY = 6;

export function sendAsNetworkControl(socket: IpSocket): void {
  socket.setTTL(LINK_TTL);
  // In this order: setting the DS field resets the priority (ip(7)).
  socket.setTypeOfService(NETWORK_CONTROL_TOS);
  socket.setPriority(INTERACTIVE_PRIORITY);
}
