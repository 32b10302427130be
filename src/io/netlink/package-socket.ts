/**
 * `RawNetlinkSocket` of the `netlink` package with its sharp edges covered:
 *
 * - An exception that leaves a native callback aborts the process, so nothing thrown by a listener gets there.
 * - Closing the socket inside a native callback uses a freed watcher, so closing waits for the next turn.
 * - When the receive buffer overflows, the kernel raises POLLERR, and version 0.3.0 aborts the process while it makes
 *   the error for it. So this socket carries requests alone, and the caller keeps what can come in answer below
 *   `receiveBufferBytes` (capped at net.core.rmem_max). For commands, where an abort costs nothing.
 */
import { RawNetlinkSocket } from 'netlink/dist/raw.js';
import type { OpenRequestSocket } from './request-socket.js';

export const SEND_BUFFER_BYTES = 256 * 1024;
/** The kernel fills dumps up to 32 KiB a datagram when it has seen a receive of that size (netlink_recvmsg). */
export const DATAGRAM_BYTES = 32 * 1024;

/** Rethrows outside the native callback, where it ends in `uncaughtException` as any other error. */
function guarded(action: () => void): void {
  try {
    action();
  } catch (error) {
    setImmediate(() => {
      throw error;
    });
  }
}

export const openPackageSocket: OpenRequestSocket = (protocol, events, receiveBufferBytes) => {
  const raw = new RawNetlinkSocket(protocol, {
    messagePeeking: false,
    msgBufferSize: DATAGRAM_BYTES,
    recvBufferSize: receiveBufferBytes,
    sendBufferSize: SEND_BUFFER_BYTES,
  });
  let open = true;
  const close = (): void => {
    if (open) {
      open = false;
      setImmediate(() => raw.close());
    }
  };
  const broken = (cause: Error): void => {
    if (open) {
      close();
      guarded(() => events.onBroken(cause));
    }
  };
  raw.on('message', (datagram, sender) => {
    // Only the kernel (port 0) is believed.
    if (open && sender.port === 0) {
      guarded(() => events.onDatagram(datagram));
    }
  });
  raw.on('truncatedMessage', () => broken(new Error(`netlink datagram above ${DATAGRAM_BYTES} bytes`)));
  raw.on('error', broken);
  return {
    send: (bytes, onError) => {
      raw.send(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), {}, (error) => {
        if (error !== undefined) {
          guarded(() => onError(error));
        }
      });
    },
    receiveBufferBytes: raw.getRecvBufferSize(),
    close,
  };
};
