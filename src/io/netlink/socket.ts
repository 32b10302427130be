/**
 * A netlink socket of the native part and not of the `netlink` package: when the receive buffer overflows, the kernel
 * raises POLLERR with ENOBUFS, and the package (0.3.0) answers POLLERR by aborting the process.
 */
import { DatagramSocket } from '../sockets/datagram-socket.js';
import type { NativeMessage } from '../sockets/receive-table.js';
import {
  AF_NETLINK,
  SO_RCVBUFFORCE,
  SOCK_RAW,
  SOL_NETLINK,
  SOL_SOCKET,
} from '../sockets/socket-constants.js';

const NETLINK_ADD_MEMBERSHIP = 1;
const NETLINK_GET_STRICT_CHK = 12;
const SOCKADDR_NL_BYTES = 12;
/** Offset of nl_pid in struct sockaddr_nl. */
const PORT_OFFSET = 4;

/** struct sockaddr_nl with port 0: the kernel as the one who is spoken to. */
export const KERNEL = Buffer.alloc(SOCKADDR_NL_BYTES);
KERNEL.set(new Uint8Array(new Uint16Array([AF_NETLINK]).buffer));

/** `message` carries the sender's port: 0 is the kernel. `error` with code ENOBUFS says that events were lost. */
export class NetlinkSocket extends DatagramSocket<{ readonly port: number }> {
  /**
   * Opens, binds and joins `groups` (numbers, not a mask). Beyond net.core.rmem_max the buffer size in bytes needs
   * CAP_NET_ADMIN. Throws with the kernel's `code`.
   */
  constructor(protocol: number, groups: readonly number[], receiveBufferBytes: number) {
    super(AF_NETLINK, SOCK_RAW, protocol);
    try {
      this.#growReceiveBuffer(receiveBufferBytes);
      // Port 0: the kernel chooses one that is free.
      this.bindTo(KERNEL);
      // After bind, which would set the groups to its nl_groups (netlink_bind).
      for (const group of groups) {
        this.setIntOption(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, group);
      }
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Dumps pick what their payload names from now on, where the kernel can do that (Linux 4.20). */
  checkStrictly(): void {
    try {
      this.setIntOption(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1);
    } catch {
      // An older kernel dumps all, and who decodes it picks.
    }
  }

  /** Sends a datagram of requests. Throws with the kernel's `code`. */
  request(bytes: Uint8Array): void {
    this.sendTo(bytes, KERNEL);
  }

  #growReceiveBuffer(bytes: number): void {
    try {
      this.setIntOption(SOL_SOCKET, SO_RCVBUFFORCE, bytes);
    } catch {
      this.setRecvBufferSize(bytes);
    }
  }

  protected override info(message: NativeMessage): { readonly port: number } {
    const { address } = message;
    const port =
      address.length < SOCKADDR_NL_BYTES
        ? -1
        : (new Uint32Array(new Uint8Array(address.subarray(PORT_OFFSET, PORT_OFFSET + 4)).buffer)[0] ?? -1);
    return { port };
  }
}
