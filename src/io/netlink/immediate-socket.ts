/**
 * A netlink socket whose answers are read inside `send`: rtnetlink does its work within sendmsg(2), and a dump goes
 * on with each recvmsg(2), so all of it is there already. A takeover then waits for no turn of the event loop, which
 * has other things to do just then. On the native part, which reports ENOBUFS as an error (the `netlink` package
 * aborts the process).
 */

import { SO_RCVBUF, SOL_SOCKET } from '../sockets/socket-constants.js';
import { KERNEL, NetlinkEventSocket } from './event-socket.js';
import type { OpenNetlinkSocket } from './netlink-socket.js';

class RequestSocket extends NetlinkEventSocket {
  get receiveBufferBytes(): number {
    const bytes = this.getOption(SOL_SOCKET, SO_RCVBUF, 4);
    return new Int32Array(new Uint8Array(bytes).buffer)[0] ?? 0;
  }

  request(bytes: Uint8Array): void {
    this.sendTo(bytes, KERNEL);
    this.drain();
  }
}

/**
 * Opens and binds such a socket of `protocol`. `onDatagram` is called inside `send` as a rule, and from the event
 * loop for what came later. Throws with `code` when the kernel refuses.
 */
export const openImmediateSocket: OpenNetlinkSocket = (protocol, events, receiveBufferBytes) => {
  const socket = new RequestSocket(protocol, [], receiveBufferBytes);
  // Nothing is awaited beyond a request: it keeps no process alive.
  socket.unref();
  let broken = false;
  socket.on('message', (datagram, { port }) => {
    // Only the kernel (port 0) is believed.
    if (port === 0 && !broken) events.onDatagram(datagram);
  });
  socket.on('error', (cause: Error) => {
    if (broken) return;
    broken = true;
    socket.close();
    events.onBroken(cause);
  });
  return {
    send(bytes, onError) {
      try {
        socket.request(bytes);
      } catch (error) {
        onError(error instanceof Error ? error : new Error(String(error)));
      }
    },
    get receiveBufferBytes() {
      return socket.receiveBufferBytes;
    },
    close: () => socket.close(),
  };
};
