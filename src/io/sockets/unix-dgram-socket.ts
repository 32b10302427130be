/** AF_UNIX datagram sockets (unix(7)) in the manner of node:dgram. */
import { DatagramSocket } from './datagram-socket.js';
import type { NativeMessage } from './receive-table.js';
import { unixAddress, unixAddressText } from './socket-address.js';
import { AF_UNIX, SOCK_DGRAM } from './socket-constants.js';

export interface UnixMessageInfo {
  /** The sender's path, empty when it is not bound. */
  readonly address: string;
  /** CLOCK_MONOTONIC milliseconds with a fraction: when it was read. */
  readonly receivedAtMs: number;
  readonly size: number;
}

/** A unix datagram socket. A path that begins with `@` is in the abstract namespace. */
export class UnixDgramSocket extends DatagramSocket<UnixMessageInfo> {
  constructor() {
    super(AF_UNIX, SOCK_DGRAM, 0);
  }

  /** Takes a path and receives on it. The file is the caller's to remove. */
  bind(path: string): this {
    this.bindTo(unixAddress(path));
    return this;
  }

  /** Sends now or throws: ENOENT, ECONNREFUSED without a receiver, EAGAIN when its queue is full. */
  send(message: Uint8Array, path: string): void {
    this.sendTo(message, unixAddress(path));
  }

  protected override info(message: NativeMessage): UnixMessageInfo {
    return {
      address: unixAddressText(message.address),
      receivedAtMs: message.receivedAtMs,
      size: message.data.length,
    };
  }
}
