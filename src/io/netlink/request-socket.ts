/** What a connection sends its requests by, and its two ways of reading the answers. */
import { SO_RCVBUF, SOL_SOCKET } from '../sockets/socket-constants.js';
import { NetlinkSocket } from './socket.js';

/** Wished-for SO_RCVBUF. */
export const RECEIVE_BUFFER_BYTES = 8 * 1024 * 1024;

export interface RequestSocketEvents {
  onDatagram(datagram: Uint8Array): void;
  /** An error that belongs to no call; the socket is closed. Called at most once. */
  onBroken(cause: Error): void;
}

export interface RequestSocket {
  send(bytes: Uint8Array, onError: (error: Error) => void): void;
  /** SO_RCVBUF as the kernel granted it, with its own overhead counted in. */
  readonly receiveBufferBytes: number;
  close(): void;
}

/** Opens and binds a netlink socket of `protocol`. Throws with `code` when the kernel refuses. */
export type OpenRequestSocket = (
  protocol: number,
  events: RequestSocketEvents,
  receiveBufferBytes: number,
) => RequestSocket;

export interface NativeOptions {
  /**
   * Reads the answers inside `send`: rtnetlink does its work within sendmsg(2), and a dump goes on with each
   * recvmsg(2), so all of it is there already. A takeover then waits for no turn of the event loop, which has other
   * things to do just then. Otherwise 64 datagrams are read a turn, and a long dump keeps nobody else waiting.
   */
  readonly immediate: boolean;
  /** NETLINK_GET_STRICT_CHK (Linux 4.20): a dump picks what its payload names. An older kernel dumps all. */
  readonly strict?: boolean;
}

/** Such sockets on the native part, which reports ENOBUFS as an error (the `netlink` package aborts the process). */
export function nativeRequestSocket({ immediate, strict = false }: NativeOptions): OpenRequestSocket {
  return (protocol, events, receiveBufferBytes) => {
    const socket = new NetlinkSocket(protocol, [], receiveBufferBytes);
    if (strict) socket.checkStrictly();
    // Nothing is awaited beyond a request: it keeps no process alive.
    if (immediate) socket.unref();
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
          if (immediate) socket.drain();
        } catch (error) {
          onError(error instanceof Error ? error : new Error(String(error)));
        }
      },
      get receiveBufferBytes() {
        const bytes = socket.getOption(SOL_SOCKET, SO_RCVBUF, 4);
        return new Int32Array(new Uint8Array(bytes).buffer)[0] ?? 0;
      },
      close: () => socket.close(),
    };
  };
}
