/** UDP sockets (udp(7)) in the manner of node:dgram, with what that cannot do: filters, receive times, TTL, volleys. */
import { IpSocket } from './ip-socket.js';
import { IPPROTO_UDP, SO_REUSEADDR, SO_REUSEPORT, SOCK_DGRAM, SOL_SOCKET } from './socket-constants.js';

export interface UdpSocketOptions {
  readonly type: 'udp4' | 'udp6';
  /** 1 to 65535: to it, and from it unless `bind` is told another one. */
  readonly port: number;
}

export class UdpSocket extends IpSocket {
  constructor({ type, port }: UdpSocketOptions) {
    super(type === 'udp6' ? 'ipv6' : 'ipv4', SOCK_DGRAM, IPPROTO_UDP, port);
  }

  /** SO_REUSEADDR: others may be bound to the same group, and each gets every multicast to it. */
  shareGroup(): void {
    this.setIntOption(SOL_SOCKET, SO_REUSEADDR, 1);
  }

  /**
   * SO_REUSEPORT: another socket of this user with the option may be bound to the same address, and the two divide what
   * comes. Set behind `bind`, this one is bound to an address that was nobody's.
   */
  sharePort(): void {
    this.setIntOption(SOL_SOCKET, SO_REUSEPORT, 1);
  }
}
