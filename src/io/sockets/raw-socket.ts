/** Raw IP sockets (raw(7)) in the manner of node:dgram. */
import { IpSocket } from './ip-socket.js';
import { SOCK_RAW } from './socket-constants.js';

export interface RawSocketOptions {
  readonly type: 'raw4' | 'raw6';
  /** IP protocol number, 1 to 254; 112 is VRRP. */
  readonly protocol: number;
}

/**
 * A raw IP socket. IPv4 messages arrive with their IP header, IPv6 ones without it, as raw(7) and ipv6(7)
 * say; what is sent gets its header from the kernel.
 */
export class RawSocket extends IpSocket {
  constructor({ type, protocol }: RawSocketOptions) {
    super(type === 'raw6' ? 'ipv6' : 'ipv4', SOCK_RAW, protocol);
  }
}
